/** As much of its surface as is measured. */
declare module "node-zookeeper-client" {
  import type { EventEmitter } from "node:events";

  type Callback = (error: Error | null) => void;

  interface Client extends EventEmitter {
    connect(): void;
    close(): void;
    create(path: string, data: Buffer, callback: Callback): void;
    remove(path: string, callback: Callback): void;
    getData(path: string, callback: Callback): void;
    getData(path: string, watcher: () => void, callback: Callback): void;
    setData(path: string, data: Buffer, callback: Callback): void;
  }

  export function createClient(
    connectString: string,
    options?: { readonly sessionTimeout?: number },
  ): Client;
}
