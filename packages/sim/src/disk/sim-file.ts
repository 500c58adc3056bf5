import { assert } from "@everhold/base";

/** The unit that a disk stores whole or not at all. */
export const sectorBytes = 512;

/**
 * The content of one simulated file, twice: what a process sees, and what a loss of power leaves. They
 * differ in the `dirty` sectors, which an ended process left in the system's cache.
 */
export class SimFile {
  #visible: Uint8Array;
  #durable: Uint8Array;
  readonly #dirty = new Set<number>();
  sizeBytes: number;
  durableSizeBytes: number;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    this.#visible = content.slice();
    this.#durable = content.slice();
    this.sizeBytes = content.length;
    this.durableSizeBytes = content.length;
  }

  /** A copy of what a process sees. */
  content(): Uint8Array {
    return this.#visible.slice(0, this.sizeBytes);
  }

  /** Copies from `position` into `into` and returns how many bytes there were. */
  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.sizeBytes - position));
    into.set(this.#visible.subarray(position, position + count));
    return count;
  }

  /** Stores bytes for good. */
  write(bytes: Uint8Array, position: number): void {
    this.#extend(position + bytes.length, true);
    this.#visible.set(bytes, position);
    this.#durable.set(bytes, position);
  }

  /** Stores those sectors of a write for which `choose` says so, for good or only in the cache. */
  writeSectors(
    bytes: Uint8Array,
    position: number,
    durable: boolean,
    choose: () => boolean,
  ): { stored: number; skipped: number } {
    let stored = 0;
    let skipped = 0;
    let from = 0;
    while (from < bytes.length) {
      const sector = Math.floor((position + from) / sectorBytes);
      const to = Math.min(bytes.length, (sector + 1) * sectorBytes - position);
      if (choose()) {
        stored += 1;
        const part = bytes.subarray(from, to);
        this.#extend(position + to, durable);
        this.#visible.set(part, position + from);
        if (durable) this.#durable.set(part, position + from);
        else this.#dirty.add(sector);
      } else {
        skipped += 1;
      }
      from = to;
    }
    return { stored, skipped };
  }

  /** Makes what is in the cache durable. */
  sync(): void {
    this.durableSizeBytes = this.sizeBytes;
    this.#durable = this.#resized(this.#durable, this.#visible.length);
    for (const sector of this.#dirty) {
      const start = sector * sectorBytes;
      this.#durable.set(this.#visible.subarray(start, start + sectorBytes), start);
    }
    this.#dirty.clear();
  }

  /** A failed sync: the cache calls its sectors clean, yet they are nowhere else (USENIX ATC 2020, Rebello et al.). */
  forgetDirty(): void {
    this.#dirty.clear();
  }

  /** Loses the cache, except for those dirty sectors that `choose` keeps. Returns how many were lost. */
  losePower(choose: () => boolean): number {
    let lost = 0;
    for (const sector of this.#dirty) {
      if (!choose()) {
        lost += 1;
        continue;
      }
      const start = sector * sectorBytes;
      const end = Math.min(start + sectorBytes, this.sizeBytes);
      this.#durable = this.#resized(this.#durable, end);
      this.#durable.set(this.#visible.subarray(start, end), start);
      this.durableSizeBytes = Math.max(this.durableSizeBytes, end);
    }
    this.#dirty.clear();
    this.#visible = this.#durable.slice();
    this.sizeBytes = this.durableSizeBytes;
    return lost;
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      this.#visible.fill(0, sizeBytes);
      this.#durable.fill(0, Math.min(sizeBytes, this.#durable.length));
    }
    this.#extend(sizeBytes, true);
    this.sizeBytes = sizeBytes;
    this.durableSizeBytes = sizeBytes;
  }

  /** Damages one bit, in both worlds. */
  flipBit(position: number, bit: number): void {
    assert(position < this.sizeBytes, "a bit to flip lies inside the file");
    for (const content of [this.#visible, this.#durable]) {
      if (position < content.length) content[position] = (content[position] ?? 0) ^ (1 << bit);
    }
  }

  #extend(sizeBytes: number, durable: boolean): void {
    this.#visible = this.#resized(this.#visible, sizeBytes);
    this.sizeBytes = Math.max(this.sizeBytes, sizeBytes);
    if (!durable) return;
    this.#durable = this.#resized(this.#durable, sizeBytes);
    this.durableSizeBytes = Math.max(this.durableSizeBytes, sizeBytes);
  }

  #resized(content: Uint8Array, sizeBytes: number): Uint8Array {
    if (content.length >= sizeBytes) return content;
    const whole = Math.ceil(sizeBytes / sectorBytes) * sectorBytes;
    const grown = new Uint8Array(Math.max(whole, content.length * 2));
    grown.set(content);
    return grown;
  }
}
