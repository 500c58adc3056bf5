import { randomInt } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What a connection through the proxy is made of. */
interface Passage {
  readonly near: Socket;
  readonly far: Socket;
  /** Bytes, of both ways together, that it still passes on. */
  budget: number;
}

/** Ports that are tried before it gives up; the error of the last says why. */
const portAttemptsMax = 100;

/**
 * A TCP proxy before a broker that comes and goes, whose connections are cut on command. Where there is no broker
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

  /** Cuts each open connection that `chosen` says yes to, once `bytes` more have passed. */
  cut(chosen: () => boolean, bytes: number): void {
    for (const passage of this.#passages) {
      if (!chosen()) continue;
      if (bytes === 0) end(passage);
      else passage.budget = Math.min(passage.budget, bytes);
    }
  }

  stop(): void {
    this.#server?.close();
    for (const passage of this.#passages) end(passage);
  }

  #onConnection(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: this.#targetHost, noDelay: true });
    near.setNoDelay(true);
    const passage: Passage = { near, far, budget: Infinity };
    this.#passages.add(passage);
    const onEnd = (): void => {
      this.#passages.delete(passage);
      end(passage);
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (bytes) => pass(passage, from, to, bytes));
      to.on("drain", () => from.resume());
      from.on("error", onEnd).on("close", onEnd);
    }
  }
}

function pass(passage: Passage, from: Socket, to: Socket, bytes: Buffer): void {
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

function end({ near, far }: Passage): void {
  near.destroy();
  far.destroy();
}
