import { Deque } from "@everhold/base";
import { packetIdAt } from "@everhold/wire";
import { limits } from "../limits.ts";

/** Frames one behind the other in memory that is used again when all have gone. */
interface Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  start: number;
  end: number;
}

/** The length field of a frame counts what is behind it. */
const lengthBytes = 4;

/**
 * The counted frames that one session has sent and the broker has not confirmed, as they were written, so that they
 * can be sent again on another connection. The first that a session sends has the id 0.
 *
 * Of more than `bytesMax` bytes the oldest are forgotten; then nothing can be sent again before the broker has
 * confirmed those.
 */
export class SentFrames {
  readonly #bytesMax: number;
  readonly #slabs = new Deque<Slab>();
  #spare: Slab | undefined;
  #firstId = 0;
  #count = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many are kept. */
  get count(): number {
    return this.#count;
  }

  /** Keeps the frame `source[start … end)`. */
  add(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const slab = this.#slabFor(length);
    slab.bytes.set(source.subarray(start, end), slab.end);
    slab.end += length;
    this.#count += 1;
    this.#bytes += length;
    while (this.#bytes > this.#bytesMax) this.#dropFirst();
  }

  /** The broker has all up to this id. One that it cannot have says that it counts otherwise: it has all. */
  confirm(id: number): void {
    if (id >= this.#firstId + this.#count) {
      this.clear();
      this.#firstId = id + 1;
      return;
    }
    while (this.#firstId <= id) this.#dropFirst();
  }

  /** Whether a broker that has all up to this id can be sent the rest. */
  canFollow(id: number): boolean {
    return id >= this.#firstId - 1 && id < this.#firstId + this.#count;
  }

  /** The frames, in their order. */
  *frames(): IterableIterator<Uint8Array> {
    for (let index = 0; index < this.#slabs.length; index += 1) {
      const slab = this.#slabs.at(index);
      if (slab === undefined) return;
      for (let start = slab.start; start < slab.end;) {
        const end = start + frameBytesAt(slab, start);
        yield slab.bytes.subarray(start, end);
        start = end;
      }
    }
  }

  /** How many of the frames have one of these packet ids. */
  countOf(ids: readonly number[]): number {
    let count = 0;
    for (const frame of this.frames()) {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
      if (ids.includes(packetIdAt(view, 0))) count += 1;
    }
    return count;
  }

  /** Forgets all. */
  clear(): void {
    this.#slabs.drain();
    this.#spare = undefined;
    this.#firstId += this.#count;
    this.#count = 0;
    this.#bytes = 0;
  }

  #slabFor(length: number): Slab {
    const last = this.#slabs.at(this.#slabs.length - 1);
    if (last !== undefined && last.bytes.length - last.end >= length) return last;
    let slab = this.#spare;
    this.#spare = undefined;
    if (slab === undefined || slab.bytes.length < length) {
      // A session that says little keeps little.
      const usual = Math.min(limits.sentSlabBytesMax, 2 * (last?.bytes.length ?? 512));
      const bytes = new Uint8Array(Math.max(usual, length));
      slab = { bytes, view: new DataView(bytes.buffer), start: 0, end: 0 };
    }
    this.#slabs.push(slab);
    return slab;
  }

  #dropFirst(): void {
    const slab = this.#slabs.at(0);
    if (slab === undefined) return;
    const length = frameBytesAt(slab, slab.start);
    slab.start += length;
    this.#firstId += 1;
    this.#count -= 1;
    this.#bytes -= length;
    if (slab.start < slab.end) return;
    this.#slabs.shift();
    slab.start = 0;
    slab.end = 0;
    if (slab.bytes.length <= limits.sentSlabBytesMax) this.#spare = slab;
  }
}

function frameBytesAt({ view }: Slab, start: number): number {
  return lengthBytes + view.getUint32(start);
}
