import { assert } from "@everhold/base";
import { stateLimits } from "./state-limits.ts";

const slotsInitial = 64;
const bytesInitial = 2_048;
const empty = -1;

/**
 * The ids that were seen last at one address: a ring of 20,000 or fewer, the oldest of which makes room for the
 * next. Ids are bytes; they lie one behind the other in a ring of bytes, found through a hash table with
 * linear probing. No object per id; about 20 bytes beside the id itself.
 * Source: Artemis, `DuplicateIDCache` (`id-cache-size`).
 */
export class DuplicateIds {
  #countMax: number;
  /** Of each slot: hash, where its bytes begin, how many there are. Slots form a ring. */
  #hashes = new Uint32Array(0);
  #starts = new Uint32Array(0);
  #lengths = new Uint16Array(0);
  /** Hash table of slots; twice as large as there are slots, a power of two. */
  #table = new Int32Array(0);
  /** Ring of bytes, its size a power of two. */
  #bytes = new Uint8Array(0);
  #firstSlot = 0;
  #count = 0;
  #firstByte = 0;
  #byteCount = 0;

  constructor(countMax: number = stateLimits.duplicateIdsPerAddressMax) {
    this.#countMax = countMax;
  }

  /** Ids that are remembered. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of all these ids together. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Remembers no more than this from now on; 0 is none. The oldest are forgotten. */
  limitTo(countMax: number): void {
    this.#countMax = Math.min(countMax, stateLimits.duplicateIdsPerAddressMax);
    while (this.#count > this.#countMax) this.#forgetFirst();
  }

  /** Whether `bytes[start … end)` is remembered. */
  has(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#count > 0 && this.#find(hashOf(bytes, start, end), bytes, start, end) !== empty;
  }

  /** Remembers an id, and forgets the oldest one if there is no room. One that is known stays as it is. */
  add(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    assert(length <= stateLimits.duplicateIdBytesMax, "a duplicate id is within its limit");
    const hash = hashOf(bytes, start, end);
    if (this.#count > 0 && this.#find(hash, bytes, start, end) !== empty) return;
    if (this.#countMax === 0) return;
    if (this.#count === this.#countMax) this.#forgetFirst();
    if (this.#count === this.#hashes.length) this.#growSlots();
    while (this.#byteCount + length > this.#bytes.length) this.#growBytes();
    const slot = (this.#firstSlot + this.#count) % this.#hashes.length;
    const at = this.#firstByte + this.#byteCount;
    const mask = this.#bytes.length - 1;
    for (let index = 0; index < length; index += 1) {
      this.#bytes[(at + index) & mask] = bytes[start + index] ?? 0;
    }
    this.#hashes[slot] = hash;
    this.#starts[slot] = at & mask;
    this.#lengths[slot] = length;
    this.#count += 1;
    this.#byteCount += length;
    this.#insert(slot, hash);
  }

  /** Copies of the ids, the oldest first. */
  *ids(): Generator<Uint8Array> {
    const mask = this.#bytes.length - 1;
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#firstSlot + index) % this.#hashes.length;
      const from = this.#starts[slot] ?? 0;
      const id = new Uint8Array(this.#lengths[slot] ?? 0);
      for (let byte = 0; byte < id.length; byte += 1) {
        id[byte] = this.#bytes[(from + byte) & mask] ?? 0;
      }
      yield id;
    }
  }

  /** Bytes that `write` needs. */
  get writtenBytes(): number {
    return 4 + this.#count * 2 + this.#byteCount;
  }

  /** Writes all ids, the oldest first: count u32, then length u16 and bytes of each. Returns the end. */
  write(bytes: Uint8Array, view: DataView, offset: number): number {
    view.setUint32(offset, this.#count);
    let at = offset + 4;
    const mask = this.#bytes.length - 1;
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#firstSlot + index) % this.#hashes.length;
      const length = this.#lengths[slot] ?? 0;
      const from = this.#starts[slot] ?? 0;
      view.setUint16(at, length);
      at += 2;
      for (let byte = 0; byte < length; byte += 1) {
        bytes[at + byte] = this.#bytes[(from + byte) & mask] ?? 0;
      }
      at += length;
    }
    return at;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    assert(this.#count <= this.#countMax, "the ring holds no more than its limit");
    let bytes = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#firstSlot + index) % this.#hashes.length;
      bytes += this.#lengths[slot] ?? 0;
      assert(this.#placeOf(slot) !== empty, "an id is found through the table");
    }
    assert(bytes === this.#byteCount, "bytes of ids are counted");
    let used = 0;
    for (const slot of this.#table) if (slot !== empty) used += 1;
    assert(used === this.#count, "the table holds the ring");
  }

  #find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#table.length - 1;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = this.#table[place] ?? empty;
      if (slot === empty) return empty;
      if (this.#hashes[slot] === hash && this.#equals(slot, bytes, start, end)) return slot;
    }
  }

  #equals(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#lengths[slot] ?? 0;
    if (length !== end - start) return false;
    const from = this.#starts[slot] ?? 0;
    const mask = this.#bytes.length - 1;
    for (let index = 0; index < length; index += 1) {
      if (this.#bytes[(from + index) & mask] !== bytes[start + index]) return false;
    }
    return true;
  }

  #insert(slot: number, hash: number): void {
    const mask = this.#table.length - 1;
    let place = hash & mask;
    while (this.#table[place] !== empty) place = (place + 1) & mask;
    this.#table[place] = slot;
  }

  #placeOf(slot: number): number {
    const mask = this.#table.length - 1;
    for (let place = (this.#hashes[slot] ?? 0) & mask; ; place = (place + 1) & mask) {
      const found = this.#table[place] ?? empty;
      if (found === slot || found === empty) return found === slot ? place : empty;
    }
  }

  #forgetFirst(): void {
    const slot = this.#firstSlot;
    this.#removeAt(this.#placeOf(slot));
    const length = this.#lengths[slot] ?? 0;
    this.#firstSlot = (slot + 1) % this.#hashes.length;
    this.#count -= 1;
    this.#firstByte = (this.#firstByte + length) & (this.#bytes.length - 1);
    this.#byteCount -= length;
  }

  /** Empties a place of the table and moves back what was probed past it, so that no marker is needed. */
  #removeAt(hole: number): void {
    assert(hole !== empty, "an id that is forgotten is in the table");
    const mask = this.#table.length - 1;
    let free = hole;
    for (let place = (hole + 1) & mask; ; place = (place + 1) & mask) {
      const slot = this.#table[place] ?? empty;
      if (slot === empty) break;
      const home = (this.#hashes[slot] ?? 0) & mask;
      // It may move when its home is not between the hole and where it is now.
      if (((place - home) & mask) >= ((place - free) & mask)) {
        this.#table[free] = slot;
        free = place;
      }
    }
    this.#table[free] = empty;
  }

  #growSlots(): void {
    const size = Math.max(slotsInitial, this.#hashes.length * 2);
    const hashes = new Uint32Array(size);
    const starts = new Uint32Array(size);
    const lengths = new Uint16Array(size);
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#firstSlot + index) % this.#hashes.length;
      hashes[index] = this.#hashes[slot] ?? 0;
      starts[index] = this.#starts[slot] ?? 0;
      lengths[index] = this.#lengths[slot] ?? 0;
    }
    this.#hashes = hashes;
    this.#starts = starts;
    this.#lengths = lengths;
    this.#firstSlot = 0;
    this.#table = new Int32Array(size * 2).fill(empty);
    for (let slot = 0; slot < this.#count; slot += 1) this.#insert(slot, hashes[slot] ?? 0);
  }

  #growBytes(): void {
    const bytes = new Uint8Array(Math.max(bytesInitial, this.#bytes.length * 2));
    const mask = this.#bytes.length - 1;
    for (let index = 0; index < this.#byteCount; index += 1) {
      bytes[index] = this.#bytes[(this.#firstByte + index) & mask] ?? 0;
    }
    let at = 0;
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#firstSlot + index) % this.#hashes.length;
      this.#starts[slot] = at;
      at += this.#lengths[slot] ?? 0;
    }
    this.#bytes = bytes;
    this.#firstByte = 0;
  }
}

/** FNV-1a with a final mix, 32 bits. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let index = start; index < end; index += 1) {
    hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
