import type { Link, LinkHandler, Network } from "@everhold/env";
import { channelIdAt, FrameReader, magicBytes, packetById, packetIdAt } from "@everhold/wire";

/** Which frame the fault strikes at, counted over all connections to the broker from the moment it is armed. */
export interface CutPoint {
  /** Who sends the frame. */
  readonly from: "client" | "broker";
  /** The first is 0. */
  readonly index: number;
  /** Whether the frame still arrives. */
  readonly when: "before" | "after";
}

/** What passes by. */
export interface Passing {
  readonly from: "client" | "broker";
  readonly name: string;
  readonly channelId: number;
}

/**
 * The network of a broker in which a fault strikes at one frame: nothing passes on that connection from there on,
 * and both ends hear that it broke. Pings do not count: when they come depends on the time.
 */
export class CuttingNetwork {
  /** Told when the fault strikes. */
  onStrike: () => void = () => undefined;
  /** Everything that passed since it was armed, in order. */
  readonly passed: Passing[] = [];
  #point: CutPoint | undefined;
  #isCounting = false;
  readonly #counts = { client: 0, broker: 0 };

  /** Lets the fault strike at this frame, counted from now. */
  arm(point: CutPoint | undefined): void {
    this.#point = point;
    this.#isCounting = true;
    this.#counts.client = 0;
    this.#counts.broker = 0;
    this.passed.length = 0;
  }

  /** What passes from here on is not counted. */
  disarm(): void {
    this.#isCounting = false;
  }

  /** Whether the fault is yet to come. */
  get isArmed(): boolean {
    return this.#point !== undefined;
  }

  /** The network as the broker gets it. */
  around(network: Network): Network {
    return {
      listen: (endpoint, accept) =>
        network.listen(endpoint, (link) => {
          const cutting = new CuttingLink(link, this);
          return cutting.attach(accept(cutting));
        }),
      connect: (endpoint, attempt) => network.connect(endpoint, attempt),
    };
  }

  /** A frame is about to pass: whether it does, and whether the fault strikes then. */
  judge(passing: Passing): "pass" | "strike-before" | "strike-after" {
    if (passing.name === "PING" || !this.#isCounting) return "pass";
    this.passed.push(passing);
    const { from } = passing;
    const index = this.#counts[from];
    this.#counts[from] += 1;
    const point = this.#point;
    if (point === undefined || point.from !== from || point.index !== index) return "pass";
    this.#point = undefined;
    return point.when === "before" ? "strike-before" : "strike-after";
  }
}

class CuttingLink implements Link {
  readonly #link: Link;
  readonly #network: CuttingNetwork;
  readonly #incoming = new FrameReader();
  readonly #outgoing = new FrameReader();
  readonly #originals: Uint8Array[] = [];
  #handler: LinkHandler | undefined;
  #magicLeft = magicBytes.length;
  #isCut = false;

  constructor(link: Link, network: CuttingNetwork) {
    this.#link = link;
    this.#network = network;
  }

  get peer(): string {
    return this.#link.peer;
  }

  get queuedBytes(): number {
    return this.#isCut ? 0 : this.#link.queuedBytes;
  }

  attach(handler: LinkHandler): LinkHandler {
    this.#handler = handler;
    return {
      onData: (bytes) => this.#onData(handler, bytes),
      onSent: () => {
        const original = this.#originals.shift();
        if (original !== undefined) handler.onSent(original);
      },
      onDrained: () => {
        if (!this.#isCut) handler.onDrained();
      },
      onClosed: (error) => {
        if (!this.#isCut) handler.onClosed(error);
        this.#isCut = true;
      },
    };
  }

  send(bytes: Uint8Array): void {
    this.#originals.push(bytes);
    const passing: Uint8Array[] = [];
    this.#outgoing.push(bytes, {
      onFrame: (chunk, view, start, end) => {
        if (this.#isCut) return false;
        const verdict = this.#network.judge(passingOf(view, start, "broker"));
        if (verdict !== "strike-before") passing.push(chunk.slice(start, end));
        if (verdict !== "pass") this.#isCut = true;
        return !this.#isCut;
      },
    });
    const joined = new Uint8Array(passing.reduce((sum, { length }) => sum + length, 0));
    let offset = 0;
    for (const part of passing) {
      joined.set(part, offset);
      offset += part.length;
    }
    this.#link.send(joined);
    if (!this.#isCut) return;
    // What was sent before arrives; the broker is in the middle of a step, and hears of it after that.
    this.#link.end();
    this.#network.onStrike();
    queueMicrotask(() => this.#handler?.onClosed(new Error("the connection was cut")));
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    if (!this.#isCut) this.#link.resume();
  }

  end(): void {
    if (!this.#isCut) this.#link.end();
  }

  destroy(): void {
    if (!this.#isCut) this.#link.destroy();
    this.#isCut = true;
  }

  #onData(handler: LinkHandler, bytes: Uint8Array): void {
    if (this.#isCut) return;
    const magic = bytes.subarray(0, this.#magicLeft);
    this.#magicLeft -= magic.length;
    if (magic.length > 0) handler.onData(magic.slice());
    this.#incoming.push(bytes.subarray(magic.length), {
      onFrame: (chunk, view, start, end) => {
        if (this.#isCut) return false;
        const verdict = this.#network.judge(passingOf(view, start, "client"));
        if (verdict !== "strike-before") handler.onData(chunk.slice(start, end));
        if (verdict !== "pass") this.#cut(handler);
        return !this.#isCut;
      },
    });
  }

  #cut(handler: LinkHandler): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#link.destroy();
    this.#network.onStrike();
    handler.onClosed(new Error("the connection was cut"));
  }
}

function passingOf(view: DataView, start: number, from: "client" | "broker"): Passing {
  const id = packetIdAt(view, start);
  return { from, name: packetById(id)?.name ?? String(id), channelId: channelIdAt(view, start) };
}
