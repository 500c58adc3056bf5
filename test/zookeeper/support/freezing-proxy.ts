import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Which bytes a frozen proxy holds back. */
export type FrozenDirection = "both" | "requests" | "replies";

interface Link {
  readonly near: Socket;
  readonly far: Socket;
}

/**
 * A TCP proxy on 127.0.0.1 that can stand between two processes as a bad network does: hold bytes back without a
 * word, cut, or refuse.
 */
export class FreezingProxy implements Disposable {
  readonly port: number;
  /** Connections that were ever made to it. */
  connectionCount = 0;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #targetPort: number;
  #frozen: FrozenDirection | undefined;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
    server.on("connection", (near: Socket) => this.#link(near));
  }

  /** Listens on `port`, or on any. */
  static async start(targetPort: number, port = 0): Promise<FreezingProxy> {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no port was given");
    return new FreezingProxy(server, address.port, targetPort);
  }

  /** Connections that are open at its near side. */
  get openCount(): number {
    return this.#links.size;
  }

  /** Holds everything back from now on; new connections are taken and hear nothing. */
  freeze(direction: FrozenDirection = "both"): void {
    this.#frozen = direction;
    for (const link of this.#links) this.#apply(link);
  }

  /** Lets go what was held back, and all that follows. */
  thaw(): void {
    this.#frozen = undefined;
    for (const link of this.#links) this.#apply(link);
  }

  /** Breaks every connection; what was held back is lost. */
  cut(): void {
    for (const link of this.#links) this.#end(link);
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.cut();
  }

  #link(near: Socket): void {
    this.connectionCount += 1;
    const link = { near, far: connect(this.#targetPort, "127.0.0.1") };
    this.#links.add(link);
    for (const [from, to] of [
      [link.near, link.far],
      [link.far, link.near],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (bytes: Buffer) => to.write(bytes));
      from.on("error", () => this.#end(link));
      from.on("close", () => {
        this.#links.delete(link);
        to.destroySoon();
      });
    }
    this.#apply(link);
  }

  #apply({ near, far }: Link): void {
    if (this.#frozen === "both" || this.#frozen === "requests") near.pause();
    else near.resume();
    if (this.#frozen === "both" || this.#frozen === "replies") far.pause();
    else far.resume();
  }

  #end(link: Link): void {
    this.#links.delete(link);
    link.near.destroy();
    link.far.destroy();
  }
}
