import { ProtocolError } from "@everhold/base";
import { limits } from "./limits.ts";
import { frameLengthMin } from "./packet.ts";
import { magicBytes, refuseForeignProtocol } from "./protocol-detection.ts";

/** Who gets the frames. */
export interface FrameSink {
  /**
   * One whole frame, its length field included: `bytes[start … end)`. The bytes may be used only during
   * the call. Returns whether to go on; after `false` the reader is closed and ignores everything.
   */
  onFrame(bytes: Uint8Array, view: DataView, start: number, end: number): boolean;
}

/** How a {@link FrameReader} reads. */
export interface FrameReaderOptions {
  /** Whether the 7 bytes `ARTEMIS` come first, as on the broker's side. Default false. */
  readonly expectMagic?: boolean;
  /** The largest frame accepted, length field included. Default 16 MiB. */
  readonly frameBytesMax?: number;
  /** The shortest length that a frame may announce. Default 9, that of CORE. */
  readonly frameLengthMin?: number;
}

/** A buffer for a partial frame, with its view, because making either costs more than the copy. */
interface Carry {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Small buffers that no partial frame uses now. Shared by all readers; what is in them is never read. */
const sparePool: Carry[] = [];

/**
 * Finds the frames in chunks of a byte stream. Frames that lie whole in a chunk are handed out in place;
 * only a frame that continues in the next chunk is copied, into a buffer that lives until it is complete,
 * so an idle connection holds no memory. An announced length allocates nothing: the buffer grows with
 * what has really arrived.
 */
export class FrameReader {
  /** The largest frame accepted from now on, length field included. */
  frameBytesMax: number;
  /** Bytes of the magic still to come. */
  #magicLeft: number;
  readonly #frameLengthMin: number;
  /** The beginning of a frame, or of the magic, of which more must come. */
  #carry: Carry | undefined;
  #carryBytes = 0;
  #closed = false;

  constructor(options: FrameReaderOptions = {}) {
    this.frameBytesMax = options.frameBytesMax ?? limits.frameBytesMax;
    this.#frameLengthMin = options.frameLengthMin ?? frameLengthMin;
    this.#magicLeft = options.expectMagic === true ? magicBytes.length : 0;
  }

  /** Whether the reader gave up: the sink stopped it, or the bytes were not valid. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Bytes held back until the rest of their frame arrives. */
  get pendingBytes(): number {
    return this.#carryBytes;
  }

  /** Ignores everything from now on. */
  close(): void {
    this.#closed = true;
    const carry = this.#carry;
    this.#carry = undefined;
    this.#carryBytes = 0;
    if (carry !== undefined) giveBack(carry);
  }

  /**
   * Takes the next chunk and hands its frames to `sink`. Errors of the sink pass through and close the
   * reader too.
   * @throws ProtocolError EVH_PROTOCOL for bytes that are no frames, EVH_FRAME_TOO_LARGE
   */
  push(chunk: Uint8Array, sink: FrameSink): void {
    if (this.#closed) return;
    let finished = false;
    try {
      finished = this.#read(chunk, sink);
    } finally {
      if (!finished) this.close();
    }
  }

  /** @returns false when the sink stopped or closed the reader */
  #read(chunk: Uint8Array, sink: FrameSink): boolean {
    let offset = this.#magicLeft > 0 ? this.#readMagic(chunk) : 0;
    if (this.#carryBytes > 0) {
      offset = this.#completeCarry(chunk, offset, sink);
      if (offset < 0) return false;
    }
    const end = chunk.length;
    if (offset === end) return true;
    const view = new DataView(chunk.buffer, chunk.byteOffset, end);
    let frameBytes = 0;
    while (end - offset >= 4) {
      frameBytes = this.#frameBytes(view.getInt32(offset));
      if (frameBytes > end - offset) break;
      const next = offset + frameBytes;
      if (!sink.onFrame(chunk, view, offset, next) || this.#closed) return false;
      offset = next;
    }
    if (offset < end) this.#keep(chunk, offset, end, end - offset >= 4 ? frameBytes : 0);
    return true;
  }

  /** Compares the magic as far as it has arrived and returns where the frames begin in `chunk`. */
  #readMagic(chunk: Uint8Array): number {
    const done = magicBytes.length - this.#magicLeft;
    const count = Math.min(this.#magicLeft, chunk.length);
    for (let index = 0; index < count; index += 1) {
      if (chunk[index] !== magicBytes[done + index]) refuseForeignProtocol(chunk, done);
    }
    this.#magicLeft -= count;
    return count;
  }

  /** Adds to the partial frame. Returns where the next frame begins in `chunk`, −1 when the sink stopped. */
  #completeCarry(chunk: Uint8Array, from: number, sink: FrameSink): number {
    let offset = from;
    if (this.#carryBytes < 4) {
      const count = Math.min(4 - this.#carryBytes, chunk.length - offset);
      this.#keep(chunk, offset, offset + count, 0);
      offset += count;
      if (this.#carryBytes < 4) return offset;
    }
    const frameBytes = this.#frameBytes(this.#carry?.view.getInt32(0) ?? 0);
    const count = Math.min(frameBytes - this.#carryBytes, chunk.length - offset);
    this.#keep(chunk, offset, offset + count, frameBytes);
    offset += count;
    const carry = this.#carry;
    if (carry === undefined || this.#carryBytes < frameBytes) return offset;
    this.#carry = undefined;
    this.#carryBytes = 0;
    // Given back after the call, because the sink may make another reader take one from the pool.
    const goesOn = sink.onFrame(carry.bytes, carry.view, 0, frameBytes) && !this.#closed;
    giveBack(carry);
    return goesOn ? offset : -1;
  }

  /** Copies `chunk[start … end)` behind what is kept of the partial frame. */
  #keep(chunk: Uint8Array, start: number, end: number, frameBytes: number): void {
    const needed = this.#carryBytes + (end - start);
    let carry = this.#carry;
    if (carry === undefined || needed > carry.bytes.length) {
      const grown = takeCarry(needed, frameBytes);
      if (carry !== undefined) {
        grown.bytes.set(carry.bytes.subarray(0, this.#carryBytes));
        giveBack(carry);
      }
      carry = grown;
      this.#carry = grown;
    }
    carry.bytes.set(chunk.subarray(start, end), this.#carryBytes);
    this.#carryBytes = needed;
  }

  /** The whole size of a frame that announces `length`, checked. */
  #frameBytes(length: number): number {
    if (length < this.#frameLengthMin) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a frame: found length ${length}, expected at least ${this.#frameLengthMin}`,
      );
    }
    if (length + 4 > this.frameBytesMax) {
      throw new ProtocolError(
        "EVH_FRAME_TOO_LARGE",
        `cannot read a frame: found ${length + 4} bytes, the limit is ${this.frameBytesMax}`,
      );
    }
    return length + 4;
  }
}

/** A buffer for at least `needed` bytes of a frame of `frameBytes`, 0 where that is not known yet. */
function takeCarry(needed: number, frameBytes: number): Carry {
  const pooled = limits.carryBytesPooled;
  if (Math.max(needed, frameBytes) <= pooled) {
    const spare = sparePool.pop();
    if (spare !== undefined) return spare;
  }
  // Twice what has arrived, not what the frame announces: a length may lie.
  const room = Math.max(pooled, Math.min(frameBytes, needed * 2));
  const bytes = new Uint8Array(Math.max(needed, room));
  return { bytes, view: new DataView(bytes.buffer) };
}

function giveBack(carry: Carry): void {
  const isSmall = carry.bytes.length === limits.carryBytesPooled;
  if (isSmall && sparePool.length < limits.carryBufferCount) sparePool.push(carry);
}
