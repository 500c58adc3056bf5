import { setI64At } from "./byte-reader.ts";
import { limits } from "./limits.ts";

/** Below this many bytes a loop copies faster than the call of `Uint8Array.set` costs. */
const loopCopyBytesMax = 48;

/**
 * Appends big-endian values to a buffer that grows by doubling. `bytes[0 … offset)` is what was written.
 * Growing replaces `bytes` and `view`, so neither may be kept over a write.
 */
export class ByteWriter {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next write goes: the count of bytes written. */
  offset = 0;

  constructor(capacity: number = limits.writerBytesInitial) {
    this.bytes = new Uint8Array(Math.max(1, capacity));
    this.view = new DataView(this.bytes.buffer);
  }

  /** Forgets what was written and keeps the buffer. */
  clear(): void {
    this.offset = 0;
  }

  /**
   * Writes into `bytes` from its beginning from now on, e.g. a buffer that a link gave back.
   * Whoever passed it owns it again after {@link detach} or the next growth.
   */
  attach(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.offset = 0;
  }

  /** The bytes written, shared with the buffer: valid until the next write or `clear`. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.offset);
  }

  /** A copy of the bytes written. */
  toBytes(): Uint8Array {
    return this.bytes.slice(0, this.offset);
  }

  /** Makes room for `count` more bytes, so that writes through `view` at `offset` stay inside. */
  ensure(count: number): void {
    if (this.offset + count > this.bytes.length) this.#grow(this.offset + count);
  }

  /** Makes room for `count` bytes, counts them as written and returns where they begin. */
  reserve(count: number): number {
    const start = this.offset;
    if (start + count > this.bytes.length) this.#grow(start + count);
    this.offset = start + count;
    return start;
  }

  u8(value: number): void {
    const start = this.reserve(1);
    this.view.setUint8(start, value);
  }

  i8(value: number): void {
    this.u8(value);
  }

  u16(value: number): void {
    const start = this.reserve(2);
    this.view.setUint16(start, value);
  }

  i16(value: number): void {
    this.u16(value);
  }

  u32(value: number): void {
    const start = this.reserve(4);
    this.view.setUint32(start, value);
  }

  i32(value: number): void {
    this.u32(value);
  }

  f32(value: number): void {
    const start = this.reserve(4);
    this.view.setFloat32(start, value);
  }

  f64(value: number): void {
    const start = this.reserve(8);
    this.view.setFloat64(start, value);
  }

  /** A safe integer, negative ones included, as a signed 64-bit integer. */
  i64(value: number): void {
    const start = this.reserve(8);
    setI64At(this.view, start, value);
  }

  /** Any signed 64-bit integer. Slow (about 45 ns). */
  i64Big(value: bigint): void {
    const start = this.reserve(8);
    this.view.setBigInt64(start, value);
  }

  /** Copies `bytes[start … end)`. */
  raw(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    const length = end - start;
    const at = this.reserve(length);
    if (length > loopCopyBytesMax) {
      this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), at);
      return;
    }
    const target = this.bytes;
    for (let index = 0; index < length; index += 1) target[at + index] = bytes[start + index] ?? 0;
  }

  /** Overwrites four bytes at `offset`, e.g. a length that is known only now. */
  patchU32(offset: number, value: number): void {
    this.view.setUint32(offset, value);
  }

  /** Overwrites eight bytes at `offset` with a safe integer. */
  patchI64(offset: number, value: number): void {
    setI64At(this.view, offset, value);
  }

  #grow(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    bytes.set(this.bytes.subarray(0, this.offset));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}
