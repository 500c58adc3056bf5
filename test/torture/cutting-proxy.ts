import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import { LateLine } from "#late-line";

/** Towards the broker, or from it. */
export type Way = "out" | "in";

/** What a connection through the proxy is made of. */
interface Passage {
  readonly near: Socket;
  readonly far: Socket;
  /** What comes from either end waits there. */
  readonly lines: Readonly<Record<Way, LateLine>>;
  /** Bytes, of both ways together, that it still passes on. */
  budget: number;
  /** Nothing passes this way any more, and nobody is told. */
  dropped: Way | undefined;
}

/** Ports that are tried before it gives up; the error of the last says why. */
const portAttemptsMax = 100;

/**
 * A TCP proxy before a broker that comes and goes, whose connections are cut on command, or drop
 * what goes one way, or are slow for a while. Where there is no broker
 * nobody listens, as without a proxy: some clients wait long for who takes a connection and says nothing.
 */
export class CuttingProxy {
  readonly port: number;
  /** Where the broker listens now. */
  #targetPort = 0;
  #server: Server | undefined;
  readonly #passages = new Set<Passage>();
  readonly #targetHost: string;

  private constructor(port: number, targetHost: string) {
    this.port = port;
    this.#targetHost = targetHost;
  }

  /** Finds a port for itself; brokers listen on `targetHost`. */
  static async start(targetHost = "127.0.0.1"): Promise<CuttingProxy> {
    for (let attempt = 1; ; attempt += 1) {
      // None that the system gives by itself: it must be free again after a pause.
      const proxy = new CuttingProxy(randomInt(10_000, 30_000), targetHost);
      try {
        await proxy.accept(0);
        await proxy.refuse();
        return proxy;
      } catch (error) {
        if (attempt === portAttemptsMax) throw error;
      }
    }
  }

  /** The broker listens on `targetPort` from now on. */
  async accept(targetPort: number): Promise<void> {
    await this.refuse();
    this.#targetPort = targetPort;
    const server = createServer((near) => this.#onConnection(near));
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }

  /** There is no broker any more. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const passage of this.#passages) end(passage);
    server.close();
    await once(server, "close");
  }

  /** Nobody is let in any more; connections that are open stay. */
  listenNoMore(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Cuts each open connection that `chosen` says yes to, once `bytes` more have passed. */
  cut(chosen: () => boolean, bytes: number): void {
    for (const passage of this.#passages) {
      if (!chosen()) continue;
      if (bytes === 0) end(passage);
      else passage.budget = Math.min(passage.budget, bytes);
    }
  }

  /** Of each open connection that `chosen` says yes to nothing passes this way any more, and nobody is told. */
  drop(chosen: () => boolean, way: Way): void {
    for (const passage of this.#passages) {
      if (chosen()) passage.dropped ??= way;
    }
  }

  /** On each open connection that `chosen` says yes to all comes so many ms later from now on, in its order. */
  delay(chosen: () => boolean, delayMs: number): void {
    for (const { lines } of this.#passages) {
      if (!chosen()) continue;
      lines.out.delayMs = delayMs;
      lines.in.delayMs = delayMs;
    }
  }

  stop(): void {
    this.#server?.close();
    for (const passage of this.#passages) end(passage);
  }

  #onConnection(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: this.#targetHost, noDelay: true });
    near.setNoDelay(true);
    const lines = { out: new LateLine(), in: new LateLine() };
    const passage: Passage = { near, far, lines, budget: Infinity, dropped: undefined };
    this.#passages.add(passage);
    for (const [way, from, to] of [
      ["out", near, far],
      ["in", far, near],
    ] as const) {
      from.on("data", (bytes) => lines[way].add(() => pass(passage, way, bytes)));
      to.on("drain", () => from.resume());
      const onEnd = (): void => lines[way].add(() => this.#onEnd(passage, way));
      from.on("error", onEnd).on("close", onEnd);
    }
  }

  /** The end that this way comes from has gone. The other one does not learn of it where nothing passes that way. */
  #onEnd(passage: Passage, way: Way): void {
    const { near, far } = passage;
    const [own, other] = way === "out" ? [near, far] : [far, near];
    own.destroy();
    if (passage.dropped === way && !other.destroyed) return;
    this.#passages.delete(passage);
    end(passage);
  }
}

function pass(passage: Passage, way: Way, bytes: Buffer): void {
  const [from, to] = way === "out" ? [passage.near, passage.far] : [passage.far, passage.near];
  // One end may have gone without the other's knowing.
  if (passage.dropped === way || to.destroyed) return;
  if (bytes.length < passage.budget) {
    passage.budget -= bytes.length;
    if (!to.write(bytes)) from.pause();
    return;
  }
  // What came before the cut arrives, the rest does not.
  passage.near.pause();
  passage.far.pause();
  to.write(bytes.subarray(0, passage.budget), () => end(passage));
  passage.budget = 0;
}

function end({ near, far, lines }: Passage): void {
  lines.out.stop();
  lines.in.stop();
  near.destroy();
  far.destroy();
}
