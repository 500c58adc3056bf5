import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * A TCP proxy that breaks each connection after so many bytes, one way or the other, as long as `cuts`
 * has numbers; later connections live.
 */
export class CuttingProxy {
  cutCount = 0;
  /** Connections that were ever made. */
  connectionCount = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(targetPort: number, cuts: number[]) {
    this.#server = createServer((near) => {
      const far = connect(targetPort, "127.0.0.1");
      this.connectionCount += 1;
      const budget = cuts.shift();
      let passed = 0;
      const end = (): void => {
        near.destroy();
        far.destroy();
      };
      const pass = (to: Socket) => (bytes: Buffer) => {
        passed += bytes.length;
        if (budget === undefined || passed < budget) {
          to.write(bytes);
          return;
        }
        // What came before the cut arrives, the rest does not.
        to.write(bytes.subarray(0, bytes.length - (passed - budget)), end);
        this.cutCount += near.destroyed ? 0 : 1;
        near.pause();
        far.pause();
      };
      near.on("data", pass(far)).on("error", end).on("close", end);
      far.on("data", pass(near)).on("error", end).on("close", end);
      this.#sockets.add(near).add(far);
    });
  }

  /** Listens on a port of its own. */
  static async start(targetPort: number, cuts: number[]): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(targetPort, cuts);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return `tcp://127.0.0.1:${isAddress(address) ? address.port : 0}`;
  }

  /** Connections that are open. */
  get openCount(): number {
    return [...this.#sockets].filter((socket) => !socket.destroyed).length / 2;
  }

  /** Breaks every connection; later ones live. */
  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.#server.close();
    this.breakAll();
  }
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
