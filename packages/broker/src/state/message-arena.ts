import { assert } from "@everhold/base";
import { volatileBase } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";

/** Where a body lies in memory. One object is reused; the journal's `RecordView` has the same form. */
export interface BodyView {
  bytes: Uint8Array;
  view: DataView;
  offset: number;
}

class ArenaSlab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  usedBytes = 0;
  /** Rows whose bodies lie here. */
  rowCount = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/**
 * Bodies that are kept in memory only, in slabs of 1 MiB. An address is 2^52 plus an offset in a space
 * that only grows, as positions do in the journal; so it serves as message id as well, and none is used
 * twice. A slab is freed when the last row of it is gone: bodies that stay behind keep their slab.
 */
export class MessageArena {
  readonly #slabs = new Map<number, ArenaSlab>();
  #currentNumber = -1;
  #nextNumber = 0;
  #spare: Uint8Array | undefined;
  #allocatedBytes = 0;
  #rowCount = 0;

  /** Memory taken, in bytes. */
  get allocatedBytes(): number {
    return this.#allocatedBytes;
  }

  /** Rows whose bodies are here. */
  get rowCount(): number {
    return this.#rowCount;
  }

  /**
   * Says which slab is the first, before there is any. Clients remember ids over a restart, so each life of a
   * broker begins elsewhere: a message that died with the last one must not be taken for another.
   */
  beginAt(slabNumber: number): void {
    assert(this.#nextNumber === 0, "the first slab is chosen before any is used");
    assert(
      slabNumber <= stateLimits.arenaFirstSlabMax,
      "most of the space is behind the first slab",
    );
    this.#nextNumber = slabNumber;
  }

  /** Copies `bytes[start … end)` and returns the address. At least one row must retain it at once. */
  add(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    const number =
      length > stateLimits.arenaSharedBodyBytesMax ? this.#own(length) : this.#shared(length);
    const slab = this.#slab(number);
    const offset = slab.usedBytes;
    slab.bytes.set(bytes.subarray(start, end), offset);
    // No two bodies have one address, not even empty ones.
    slab.usedBytes += length === 0 ? 1 : length;
    return volatileBase + number * stateLimits.arenaSlabBytes + offset;
  }

  /** Finds a body; it stays where it is until its last row is released. */
  locate(address: number, into: BodyView): void {
    const slab = this.#slab(slabNumberOf(address));
    into.bytes = slab.bytes;
    into.view = slab.view;
    into.offset = (address - volatileBase) % stateLimits.arenaSlabBytes;
  }

  /** Counts one row of a body. */
  retain(address: number): void {
    this.#slab(slabNumberOf(address)).rowCount += 1;
    this.#rowCount += 1;
  }

  /** Takes back one row of a body. */
  release(address: number): void {
    const number = slabNumberOf(address);
    const slab = this.#slab(number);
    assert(slab.rowCount > 0, "a row of a body is released once");
    slab.rowCount -= 1;
    this.#rowCount -= 1;
    if (slab.rowCount === 0 && number !== this.#currentNumber) this.#free(number, slab);
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let rows = 0;
    let bytes = this.#spare?.length ?? 0;
    for (const [number, slab] of this.#slabs) {
      const isInUse = slab.rowCount > 0 || number === this.#currentNumber;
      assert(isInUse, "a slab without rows is freed");
      rows += slab.rowCount;
      bytes += slab.bytes.length;
    }
    assert(rows === this.#rowCount, "rows of bodies are counted");
    assert(bytes === this.#allocatedBytes, "memory of bodies is counted");
  }

  #shared(length: number): number {
    const current = this.#slabs.get(this.#currentNumber);
    if (current !== undefined) {
      if (current.usedBytes + length < stateLimits.arenaSlabBytes) return this.#currentNumber;
      const number = this.#currentNumber;
      this.#currentNumber = -1;
      if (current.rowCount === 0) this.#free(number, current);
    }
    this.#currentNumber = this.#nextNumber;
    this.#nextNumber += 1;
    let memory = this.#spare;
    this.#spare = undefined;
    if (memory === undefined) {
      memory = new Uint8Array(stateLimits.arenaSlabBytes);
      this.#allocatedBytes += memory.length;
    }
    this.#slabs.set(this.#currentNumber, new ArenaSlab(memory));
    return this.#currentNumber;
  }

  #own(length: number): number {
    const number = this.#nextNumber;
    this.#nextNumber += Math.ceil(length / stateLimits.arenaSlabBytes);
    this.#slabs.set(number, new ArenaSlab(new Uint8Array(length)));
    this.#allocatedBytes += length;
    return number;
  }

  #free(number: number, slab: ArenaSlab): void {
    this.#slabs.delete(number);
    if (slab.bytes.length === stateLimits.arenaSlabBytes && this.#spare === undefined) {
      this.#spare = slab.bytes;
    } else {
      this.#allocatedBytes -= slab.bytes.length;
    }
  }

  #slab(number: number): ArenaSlab {
    const slab = this.#slabs.get(number);
    if (slab === undefined) throw new Error("a body was used after its last row was released");
    return slab;
  }
}

function slabNumberOf(address: number): number {
  return Math.floor((address - volatileBase) / stateLimits.arenaSlabBytes);
}
