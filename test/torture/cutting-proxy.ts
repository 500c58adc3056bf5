import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** What a connection through the proxy is made of. */
interface Passage {
  readonly near: Socket;
  readonly far: Socket;
  /** Bytes, of both ways together, that it still passes on. */
  budget: number;
}

/** A TCP proxy before a broker that comes and goes, whose connections are cut on command. */
export class CuttingProxy {
  /** Where the broker listens now. */
  targetPort = 0;
  readonly #server: Server;
  readonly #passages = new Set<Passage>();

  private constructor() {
    this.#server = createServer((near) => this.#onConnection(near));
  }

  static async start(): Promise<CuttingProxy> {
    const proxy = new CuttingProxy();
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
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
    this.#server.close();
    for (const passage of this.#passages) end(passage);
  }

  #onConnection(near: Socket): void {
    const far = connect({ port: this.targetPort, host: "127.0.0.1", noDelay: true });
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
