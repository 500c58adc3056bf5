import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { FrameReader, packetById, packetIdAt } from "@everhold/wire";

import { LateLine } from "../late-line.ts";

/** Towards the broker, or from it. */
export type Way = "out" | "in";

/**
 * What becomes of a connection: so many frames of one way pass. `after`: then it breaks at once, and whatever was
 * answered is lost. `before`: it breaks when the next one comes, of which nothing passes; `inside`: half of it
 * passes. `silence`: from the next one on nothing passes any more, either way, and the connection seems to live.
 * `drop`: the same that way only; the other way all passes. `late`: it breaks for who sends, and the next one passes all the same, when later connections have had some frames.
 */
export interface Cut {
  readonly way: Way;
  readonly frames: number;
  readonly manner: "after" | "before" | "inside" | "silence" | "drop" | "late";
}

/** Whether who is cut off is not told, and finds it by the silence. */
export function isSilent(cut: Cut | undefined): boolean {
  return cut?.manner === "silence" || cut?.manner === "drop";
}

/** A cut as one says it: `out before 12`. */
export function cutText({ way, frames, manner }: Cut): string {
  return `${way} ${manner} ${frames}`;
}

/** How a proxy breaks connections. */
export interface FrameProxyOptions {
  /** Of the first connection, the second and so on. Default: none breaks by itself. */
  readonly cuts?: readonly (Cut | undefined)[];
  /** Told of each break, in its midst. */
  readonly onCut?: () => void;
  /** Everything comes so many ms later, either way. Default 0. */
  readonly delayMs?: number;
  /** Default: one that the system chooses. Who goes down and comes up again needs one that nobody else is given. */
  readonly port?: number;
}

/** Frames that come on later connections before what is `late` does: a session has returned by then. */
const lateFrames = 12;

/** The names of the packets that passed a connection. */
export type Passed = Readonly<Record<Way, readonly string[]>>;

/**
 * A TCP proxy that knows the frames of CORE, and breaks each connection at one of them: the first as the first of
 * `cuts` says, the second as the second; later connections live. The 7 bytes before the first frame belong to it.
 */
export class FrameProxy {
  /** Of each connection, in the order in which they came. */
  readonly passed: Passed[] = [];
  cutCount = 0;
  /** What is late, and for how many frames still. */
  #late: { readonly pass: () => void; left: number } | undefined;
  #port = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #links = new Set<CutLink>();

  private constructor(
    targetPort: number,
    { cuts = [], onCut = () => undefined, delayMs = 0 }: FrameProxyOptions,
  ) {
    this.#server = createServer({ noDelay: true }, (near) => {
      const far = connect({ port: targetPort, host: "127.0.0.1", noDelay: true });
      const passed = { out: [], in: [] };
      const cut = cuts[this.passed.length];
      this.passed.push(passed);
      this.#sockets.add(near).add(far);
      const link = new CutLink(near, far, passed, cut, {
        onCut: () => {
          this.cutCount += 1;
          onCut();
        },
        onLate: (pass) => (this.#late = { pass, left: lateFrames }),
        onPassed: () => this.#onPassed(),
        delayMs,
      });
      this.#links.add(link);
      link.start();
    });
  }

  /** Listens on a port of its own. */
  static async start(targetPort: number, options: FrameProxyOptions = {}): Promise<FrameProxy> {
    const proxy = new FrameProxy(targetPort, options);
    proxy.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(proxy.#server, "listening");
    const address = proxy.#server.address();
    if (isAddress(address)) proxy.#port = address.port;
    return proxy;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.#port}`;
  }

  #onPassed(): void {
    const late = this.#late;
    if (late === undefined) return;
    late.left -= 1;
    if (late.left > 0) return;
    this.#late = undefined;
    late.pass();
  }

  /** From now on nothing passes this way through what is open, and nobody is told. */
  drop(way: Way): void {
    for (const link of this.#links) link.drop(way);
  }

  /** Nobody listens any more; what is open stays. */
  refuse(): void {
    if (this.#server.listening) this.#server.close();
  }

  /** Ends every connection, and nobody listens. */
  async down(): Promise<void> {
    const closed = once(this.#server, "close");
    this.stop();
    await closed;
  }

  /** Listens again, where it did. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  stop(): void {
    this.refuse();
    for (const link of this.#links) link.forgetLate();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Who is told what becomes of a connection. */
interface CutLinkOwner {
  readonly onCut: () => void;
  /** `pass` lets pass what is late. */
  readonly onLate: (pass: () => void) => void;
  /** A frame has come from the broker. */
  readonly onPassed: () => void;
  readonly delayMs: number;
}

/** One connection through the proxy. */
class CutLink {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #passed: Record<Way, string[]>;
  readonly #cut: Cut | undefined;
  readonly #owner: CutLinkOwner;
  /** What comes from either end waits there. */
  readonly #lines: Readonly<Record<Way, LateLine>>;
  #isOver = false;
  /** Nothing passes this way any more. */
  #dropped: Way | undefined;

  constructor(
    near: Socket,
    far: Socket,
    passed: Record<Way, string[]>,
    cut: Cut | undefined,
    owner: CutLinkOwner,
  ) {
    this.#near = near;
    this.#far = far;
    this.#passed = passed;
    this.#cut = cut;
    this.#owner = owner;
    this.#lines = { out: new LateLine(owner.delayMs), in: new LateLine(owner.delayMs) };
  }

  start(): void {
    this.#pass("out", this.#near, this.#far);
    this.#pass("in", this.#far, this.#near);
  }

  /** From now on nothing passes this way. Nobody is told. */
  drop(way: Way): false {
    this.#dropped = way;
    this.#owner.onCut();
    return false;
  }

  /** What is late does not come any more. */
  forgetLate(): void {
    this.#lines.out.stop();
    this.#lines.in.stop();
  }

  #pass(way: Way, source: Socket, target: Socket): void {
    const reader = new FrameReader({ expectMagic: way === "out" });
    let magic: Uint8Array = new Uint8Array(0);
    const sink = {
      onFrame: (bytes: Uint8Array, view: DataView, start: number, end: number): boolean => {
        const frame = Buffer.concat([magic, bytes.subarray(start, end)]);
        magic = new Uint8Array(0);
        return this.#onFrame(way, frame, packetIdAt(view, start), target);
      },
    };
    let isFirst = way === "out";
    const onData = (bytes: Buffer): void => {
      if (this.#isOver || this.#dropped === way) return;
      // A client writes the magic together with its first frame, or before it.
      if (isFirst) magic = bytes.subarray(0, 7);
      isFirst = false;
      reader.push(bytes, sink);
    };
    const line = this.#lines[way];
    source.on("data", (bytes) => line.add(() => onData(bytes)));
    source.on("error", () => line.add(() => this.#end(source)));
    source.on("close", () => line.add(() => this.#end(source)));
  }

  /** @returns whether more may pass */
  #onFrame(way: Way, frame: Buffer, packetId: number, target: Socket): boolean {
    const passed = this.#passed[way];
    const cut = this.#cut?.way === way ? this.#cut : undefined;
    if (cut !== undefined && cut.manner !== "after" && passed.length === cut.frames) {
      if (cut.manner === "late") return this.#breakLate(frame, target);
      if (cut.manner === "drop") return this.drop(way);
      const half = Math.floor(frame.length / 2);
      this.#break(cut, target, cut.manner === "inside" ? frame.subarray(0, half) : undefined);
      return false;
    }
    passed.push(packetById(packetId)?.name ?? String(packetId));
    if (cut?.manner === "after" && passed.length === cut.frames) {
      this.#break(cut, target, frame);
      return false;
    }
    target.write(frame);
    if (way === "in") this.#owner.onPassed();
    return true;
  }

  /** Who sends is told of a break, who receives is not yet. */
  #breakLate(frame: Buffer, target: Socket): false {
    this.#isOver = true;
    this.#owner.onCut();
    this.#owner.onLate(() => target.end(frame));
    const source = target === this.#near ? this.#far : this.#near;
    source.destroy();
    return false;
  }

  /** What was let pass arrives, nothing else does. */
  #break({ manner }: Cut, target: Socket, last: Buffer | undefined): void {
    this.#isOver = true;
    this.#owner.onCut();
    if (manner === "silence") return;
    const source = target === this.#near ? this.#far : this.#near;
    source.destroy();
    if (last === undefined) target.end();
    else target.end(last);
  }

  /** One side has gone. Behind a silence, or where nothing passes its way, the other one does not learn of it. */
  #end(source: Socket): void {
    const [way, other] =
      source === this.#near ? (["out", this.#far] as const) : (["in", this.#near] as const);
    if (this.#dropped === way) source.destroy();
    else if (!this.#isOver) other.end();
    else if (!outlives.has(this.#cut?.manner)) other.destroy();
    this.#isOver = true;
    source.destroy();
  }
}

/** Breaks of which the other side does not learn. */
const outlives: ReadonlySet<Cut["manner"] | undefined> = new Set(["silence", "late"] as const);

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
