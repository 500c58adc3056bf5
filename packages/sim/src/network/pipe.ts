import { crc32 } from "node:zlib";
import type { Prng } from "@everhold/base";
import type { World } from "../world/world.ts";
import { limits } from "../limits.ts";

/** Who is at the receiving end of a {@link Pipe}. */
export interface PipeReader {
  /** Whether `onBytes` may be called now. */
  readonly reading: boolean;
  onBytes(bytes: Uint8Array): void;
  /** Nothing more comes. */
  onEnd(): void;
}

/** Who is at the sending end of a {@link Pipe}. */
export interface PipeWriter {
  /** The pipe needs these bytes no more. */
  onTaken(bytes: Uint8Array): void;
  /** Nothing waits any more, after something did. */
  onEmpty(): void;
}

/** How a {@link Pipe} is made. */
export interface PipeOptions {
  readonly world: World;
  readonly prng: Prng;
  /** Its name in the trace. */
  readonly name: string;
  readonly latencyMs: () => number;
  readonly writer: PipeWriter;
  readonly reader: PipeReader;
}

/**
 * One direction of a connection: bytes arrive in order, after some time, in pieces that have nothing to
 * do with those in which they were sent.
 *
 * `waiting` is what the sender's system has not taken yet, `travelling` is on its way, `arrived` waits
 * for the receiver to read. The latter two together never hold more than the window.
 */
export class Pipe {
  readonly #options: PipeOptions;
  readonly #windowBytes: number;
  readonly #waiting: { readonly bytes: Uint8Array; taken: number }[] = [];
  readonly #travelling: (Uint8Array | "end")[] = [];
  readonly #arrived: Uint8Array[] = [];
  #waitingBytes = 0;
  #windowUsedBytes = 0;
  #lastArrivalMs = 0;
  #stalledUntilMs = 0;
  #pumping = false;
  #ending = false;
  #endArrived = false;
  #frozen = false;
  #broken = false;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.#windowBytes = options.prng.integer(limits.windowBytesMin, limits.windowBytesMax);
  }

  /** Bytes that the sender's system has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Bytes that were sent and not read yet. */
  get unreadBytes(): number {
    return this.#waitingBytes + this.#windowUsedBytes;
  }

  /** Sends `bytes`, which belong to the pipe until `onTaken`. */
  write(bytes: Uint8Array): void {
    this.#waiting.push({ bytes, taken: 0 });
    this.#waitingBytes += bytes.length;
    this.#pumpSoon();
  }

  /** Ends this direction, after what was written. */
  end(): void {
    this.#ending = true;
    this.#pumpSoon();
  }

  /** The reader reads again. */
  resume(): void {
    this.#deliverSoon();
  }

  /** Lets nothing arrive for a while; then everything does. */
  stall(durationMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, this.#options.world.nowMs + durationMs);
  }

  /** Lets nothing arrive any more, and tells nobody: what a cut cable does. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Loses what the sender's system has not taken; the rest arrives, and then the end. */
  abandon(): void {
    this.#giveBack();
    this.end();
  }

  /** Loses everything and gives buffers back. */
  break(): void {
    this.#broken = true;
    this.#arrived.length = 0;
    this.#giveBack();
  }

  #giveBack(): void {
    this.#waitingBytes = 0;
    for (const { bytes } of this.#waiting.splice(0)) this.#options.writer.onTaken(bytes);
  }

  #pumpSoon(): void {
    if (this.#pumping || this.#broken) return;
    this.#pumping = true;
    const delayMs = this.#options.prng.fraction() * 0.02;
    this.#after(delayMs, "takes", () => {
      this.#pumping = false;
      this.#pump();
    });
  }

  /** Takes from the sender what the window has room for. */
  #pump(): void {
    let moved = false;
    this.#giveBackEmpty();
    while (this.#waitingBytes > 0 && this.#windowUsedBytes < this.#windowBytes) {
      this.#travel(this.#take());
      moved = true;
    }
    if (moved && this.#waitingBytes === 0) this.#options.writer.onEmpty();
    if (!this.#ending || this.#waitingBytes > 0 || this.#broken) return;
    this.#ending = false;
    this.#travel("end");
  }

  /** Cuts the next piece: mostly large, sometimes tiny, across the borders of what was sent. */
  #take(): Uint8Array {
    const { prng, writer } = this.#options;
    const wanted = prng.chance(0.15) ? prng.integer(1, 40) : prng.integer(1, limits.chunkBytesMax);
    const room = this.#windowBytes - this.#windowUsedBytes;
    const piece = new Uint8Array(Math.min(wanted, room, this.#waitingBytes));
    let filled = 0;
    while (filled < piece.length) {
      const first = this.#waiting[0];
      if (first === undefined) break;
      const end = Math.min(first.bytes.length, first.taken + piece.length - filled);
      piece.set(first.bytes.subarray(first.taken, end), filled);
      filled += end - first.taken;
      first.taken = end;
      if (end < first.bytes.length) break;
      this.#waiting.shift();
      writer.onTaken(first.bytes);
    }
    this.#waitingBytes -= filled;
    this.#giveBackEmpty();
    return piece;
  }

  /** Buffers of no bytes hold nothing up. */
  #giveBackEmpty(): void {
    while (this.#waiting[0]?.bytes.length === 0) {
      const first = this.#waiting.shift();
      if (first !== undefined) this.#options.writer.onTaken(first.bytes);
    }
  }

  /**
   * What arrives is the first that is on its way, not the one whose event it is: times are fractions,
   * and rounding may exchange two events of almost the same time.
   */
  #travel(item: Uint8Array | "end"): void {
    this.#travelling.push(item);
    if (item !== "end") this.#windowUsedBytes += item.length;
    this.#after(this.#arrivalDelayMs(), "arrives", () => {
      const first = this.#travelling.shift();
      if (first === "end") this.#endArrived = true;
      else if (first !== undefined) this.#arrived.push(first);
      this.#deliver();
    });
  }

  /** Never earlier than what was sent before. */
  #arrivalDelayMs(): number {
    const { nowMs } = this.#options.world;
    const arrivalMs = Math.max(nowMs + this.#options.latencyMs(), this.#stalledUntilMs);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
    return this.#lastArrivalMs - nowMs;
  }

  #deliverSoon(): void {
    if (this.#arrived.length > 0 || this.#endArrived)
      this.#after(0, "is read", () => this.#deliver());
  }

  #deliver(): void {
    const { world, name, reader } = this.#options;
    const { nowMs } = world;
    if (this.#frozen) return;
    if (this.#stalledUntilMs > nowMs) {
      this.#after(this.#stalledUntilMs - nowMs, "moves again", () => this.#deliver());
      return;
    }
    while (reader.reading && !this.#broken && !this.#frozen) {
      const piece = this.#arrived.shift();
      if (piece === undefined) break;
      this.#windowUsedBytes -= piece.length;
      world.note(name, `delivers ${piece.length} bytes`, crc32(piece));
      reader.onBytes(piece);
      this.#pumpSoon();
    }
    if (!this.#endArrived || this.#arrived.length > 0 || !reader.reading || this.#broken) return;
    this.#endArrived = false;
    reader.onEnd();
  }

  #after(delayMs: number, what: string, task: () => void): void {
    this.#options.world.after(delayMs, this.#options.name, what, () => {
      if (!this.#broken) task();
    });
  }
}
