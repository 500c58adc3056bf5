import { ProtocolError } from "@everhold/base";

const empty = new Uint8Array(0);

/** How a {@link ByteReader} treats what its format allows but we would never write. */
export interface ByteReaderOptions {
  /**
   * For our own formats: refuses trailing bytes, booleans other than the two that we write, strings
   * that could be written shorter. Default false: as a foreign specification says.
   */
  readonly strict?: boolean;
}

/**
 * Reads big-endian values from a range of bytes, each read checked against the range's end.
 * One reader serves many frames through {@link reset}. It never copies unless a method says so.
 */
export class ByteReader {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next read begins, counted in `bytes`. */
  offset: number;
  /** Where the range ends, counted in `bytes`. */
  end: number;
  readonly strict: boolean;

  constructor(bytes: Uint8Array = empty, options: ByteReaderOptions = {}) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.offset = 0;
    this.end = bytes.length;
    this.strict = options.strict ?? false;
  }

  /** Points the reader at `start` … `end` of `bytes`; `view` must cover `bytes` exactly. */
  reset(bytes: Uint8Array, view: DataView, start: number, end: number): this {
    this.bytes = bytes;
    this.view = view;
    this.offset = start;
    this.end = end;
    return this;
  }

  /** Bytes between the next read and the end. */
  get remaining(): number {
    return this.end - this.offset;
  }

  /** Moves over `length` bytes and returns where they began. @throws ProtocolError EVH_PROTOCOL */
  take(length: number, what: string): number {
    const start = this.offset;
    if (length > this.end - start) this.#refuseShort(length, what);
    this.offset = start + length;
    return start;
  }

  /** An unsigned byte, 0 … 255. @throws ProtocolError EVH_PROTOCOL */
  u8(): number {
    return this.view.getUint8(this.take(1, "u8"));
  }

  /** A signed byte, −128 … 127. @throws ProtocolError EVH_PROTOCOL */
  i8(): number {
    return this.view.getInt8(this.take(1, "i8"));
  }

  /** An unsigned 16-bit integer. @throws ProtocolError EVH_PROTOCOL */
  u16(): number {
    return this.view.getUint16(this.take(2, "u16"));
  }

  /** A signed 16-bit integer. @throws ProtocolError EVH_PROTOCOL */
  i16(): number {
    return this.view.getInt16(this.take(2, "i16"));
  }

  /** An unsigned 32-bit integer. @throws ProtocolError EVH_PROTOCOL */
  u32(): number {
    return this.view.getUint32(this.take(4, "u32"));
  }

  /** A signed 32-bit integer. @throws ProtocolError EVH_PROTOCOL */
  i32(): number {
    return this.view.getInt32(this.take(4, "i32"));
  }

  /** A 32-bit IEEE 754 number. @throws ProtocolError EVH_PROTOCOL */
  f32(): number {
    return this.view.getFloat32(this.take(4, "f32"));
  }

  /** A 64-bit IEEE 754 number. @throws ProtocolError EVH_PROTOCOL */
  f64(): number {
    return this.view.getFloat64(this.take(8, "f64"));
  }

  /** A signed 64-bit integer that fits a safe integer. @throws ProtocolError EVH_PROTOCOL */
  i64(): number {
    const start = this.take(8, "i64");
    const value = this.view.getInt32(start) * 0x1_0000_0000 + this.view.getUint32(start + 4);
    if (!Number.isSafeInteger(value)) this.#refuseUnsafe(start);
    return value;
  }

  /** A signed 64-bit integer, brought to ±(2^53 − 1) where it is beyond. @throws ProtocolError EVH_PROTOCOL */
  i64Saturated(): number {
    return saturatedI64At(this.view, this.take(8, "i64"));
  }

  /** All of a signed 64-bit integer. Slow (about 20 ns). @throws ProtocolError EVH_PROTOCOL */
  i64Big(): bigint {
    return this.view.getBigInt64(this.take(8, "i64"));
  }

  /**
   * A length or count (i32) of things of at least `unitBytes` each: not negative, at most `max`, and
   * not more than the bytes that remain could hold. So nothing is allocated for a length that lies.
   * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
   */
  length(max: number, unitBytes: number, what: string): number {
    const start = this.offset;
    const length = this.i32();
    if (length < 0) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read the length of ${what} at byte ${start}: found ${length}, expected 0 or more`,
      );
    }
    if (length > max) {
      throw new ProtocolError(
        "EVH_FRAME_TOO_LARGE",
        `cannot read ${what} at byte ${start}: found length ${length}, the limit is ${max}`,
      );
    }
    if (length * unitBytes > this.remaining) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read ${what} at byte ${start}: found length ${length}, but only ${this.remaining} bytes follow`,
      );
    }
    return length;
  }

  /** A view of the next `length` bytes, shared with the range. @throws ProtocolError EVH_PROTOCOL */
  slice(length: number, what: string): Uint8Array {
    const start = this.take(length, what);
    return this.bytes.subarray(start, start + length);
  }

  /** A copy of the next `length` bytes. @throws ProtocolError EVH_PROTOCOL */
  copy(length: number, what: string): Uint8Array {
    const start = this.take(length, what);
    return this.bytes.slice(start, start + length);
  }

  /** Ends the reading of one value: a strict reader refuses bytes that are left. @throws ProtocolError EVH_PROTOCOL */
  finish(what: string): void {
    if (this.strict && this.offset !== this.end) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read ${what}: found ${this.remaining} bytes after its end, expected none`,
      );
    }
  }

  #refuseShort(length: number, what: string): never {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read ${what} at byte ${this.offset}: found ${this.remaining} bytes, expected ${length}`,
    );
  }

  #refuseUnsafe(start: number): never {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read i64 at byte ${start}: found ${this.view.getBigInt64(start)}, expected at most 2^53 - 1 either way`,
    );
  }
}

/** The signed 64-bit integer at `offset`, brought to ±(2^53 − 1) where it is beyond. Checks no bounds. */
export function saturatedI64At(view: DataView, offset: number): number {
  const value = view.getInt32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (value < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER;
  return value;
}

/**
 * The signed 64-bit integer at `offset` as a number; exact only within ±(2^53 − 1), which callers that
 * care check with `Number.isSafeInteger`. Checks no bounds.
 */
export function i64At(view: DataView, offset: number): number {
  return view.getInt32(offset) * 0x1_0000_0000 + view.getUint32(offset + 4);
}

/** Writes a safe integer as a signed 64-bit integer at `offset`. Checks neither bounds nor value. */
export function setI64At(view: DataView, offset: number, value: number): void {
  view.setInt32(offset, Math.floor(value / 0x1_0000_0000));
  view.setUint32(offset + 4, value >>> 0);
}
