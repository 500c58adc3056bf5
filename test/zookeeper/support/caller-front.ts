import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import { freePort } from "#free-port";

/**
 * Where one member is called by the others: each caller is led to a port of its own, so that links can be cut by pairs
 * although a member has one address for all. Who calls says so in its first bytes, which are not secret.
 */
export class CallerFront {
  readonly port: number;
  /** By the caller's name. */
  readonly #ports: ReadonlyMap<string, number>;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(port: number, ports: ReadonlyMap<string, number>) {
    this.port = port;
    this.#ports = ports;
  }

  /** `ports`: where each caller is led to, by its name. */
  static async start(ports: ReadonlyMap<string, number>): Promise<CallerFront> {
    const front = new CallerFront(await freePort(), ports);
    await front.accept();
    return front;
  }

  async accept(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((near) => this.#take(near));
    this.#server = server;
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
  }

  /** Nobody listens any more, as where the member has died; connections that are open stay. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  stop(): void {
    this.refuse();
    for (const socket of this.#sockets) socket.destroy();
  }

  #take(near: Socket): void {
    this.#own(near);
    near.once("data", (first: Buffer) => {
      const port = this.#portOf(first.toString("latin1"));
      if (port === undefined) {
        near.destroy();
        return;
      }
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      this.#own(far);
      far.write(first);
      near.pipe(far).pipe(near);
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
  }

  /** Short names have two bytes a letter; beside the caller's there is only the name of who is called. */
  #portOf(greeting: string): number | undefined {
    const words = greeting.replaceAll("\0", "");
    const found = [...this.#ports].filter(([caller]) => words.includes(caller));
    return found.length === 1 ? found[0]?.[1] : undefined;
  }

  #own(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    // What it means is seen when it closes.
    socket.on("error", () => undefined).on("close", () => this.#sockets.delete(socket));
  }
}
