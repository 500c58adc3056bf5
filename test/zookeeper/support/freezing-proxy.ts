import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import { freePort } from "#free-port";
import { LateLine } from "#late-line";

/** Which bytes a frozen proxy holds back. */
export type FrozenDirection = "both" | "requests" | "replies";

interface Link {
  readonly near: Socket;
  readonly far: Socket;
  /** What comes from either end waits there. */
  readonly lines: Readonly<Record<"near" | "far", LateLine>>;
  /** The next bytes, of either way, come twice. */
  repeats: boolean;
}

/** To find a port that nobody takes meanwhile. */
const attemptsMax = 5;

/** Between attempts to reach a target where nobody listens. */
const retryMs = 20;

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
  /** Near sides without far ones. */
  readonly #waiting = new Set<Socket>();
  readonly #targetPort: number;
  #frozen: FrozenDirection | undefined;

  private constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
    server.on("connection", (near: Socket) => this.#take(near));
  }

  /** Whoever comes while nobody listens at the target waits so long for that, instead of being told at once. */
  patienceMs = 0;
  #delayMs = 0;

  /** Listens on `port`, or on one that the system gives nobody by itself: it may be given back and be wanted again. */
  static async start(targetPort: number, port?: number): Promise<FreezingProxy> {
    for (let attempt = 1; ; attempt += 1) {
      const wanted = port ?? (await freePort());
      const server = createServer().listen(wanted, "127.0.0.1");
      try {
        await once(server, "listening");
        return new FreezingProxy(server, wanted, targetPort);
      } catch (error) {
        // Somebody else was quicker.
        if (port !== undefined || attempt === attemptsMax) throw error;
      }
    }
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

  /** From now on all comes so many ms later, in its order. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
    for (const { lines } of this.#links) {
      lines.near.delayMs = delayMs;
      lines.far.delayMs = delayMs;
    }
  }

  /** The next bytes on each connection, of either way, come twice. */
  repeat(): void {
    for (const link of this.#links) link.repeats = true;
  }

  /** Breaks every connection; what was held back is lost. */
  cut(): void {
    for (const link of this.#links) this.#end(link);
    for (const near of this.#waiting) near.destroy();
  }

  [Symbol.dispose](): void {
    this.#server.close();
    this.cut();
  }

  #take(near: Socket): void {
    this.connectionCount += 1;
    // What it means is seen when it is linked, or at the next attempt to.
    near.on("error", () => undefined);
    if (this.patienceMs > 0) this.#await(near, performance.now() + this.patienceMs);
    else this.#link(near, connect(this.#targetPort, "127.0.0.1"));
  }

  /** Links it when somebody listens. */
  #await(near: Socket, deadlineMs: number): void {
    this.#waiting.add(near);
    const far = connect(this.#targetPort, "127.0.0.1");
    far.once("connect", () => {
      this.#waiting.delete(near);
      if (near.destroyed) far.destroy();
      else this.#link(near, far);
    });
    far.once("error", () => {
      if (near.destroyed || performance.now() > deadlineMs) {
        this.#waiting.delete(near);
        near.destroy();
      } else setTimeout(() => this.#await(near, deadlineMs), retryMs);
    });
  }

  #link(near: Socket, far: Socket): void {
    const lines = { near: new LateLine(this.#delayMs), far: new LateLine(this.#delayMs) };
    const link: Link = { near, far, lines, repeats: false };
    this.#links.add(link);
    for (const [end, from, to] of [
      ["near", near, far],
      ["far", far, near],
    ] as const) {
      from.setNoDelay(true);
      from.on("data", (bytes: Buffer) => lines[end].add(() => pass(link, bytes, to)));
      from.on("error", () => this.#end(link));
      from.on("close", () => {
        this.#links.delete(link);
        lines[end].add(() => to.destroySoon());
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
    link.lines.near.stop();
    link.lines.far.stop();
    link.near.destroy();
    link.far.destroy();
  }
}

function pass(link: Link, bytes: Buffer, to: Socket): void {
  // One end may have gone meanwhile.
  if (to.destroyed) return;
  to.write(bytes);
  if (link.repeats) to.write(bytes);
  link.repeats = false;
}
