import { assert } from "@everhold/base";
import { stateLimits } from "./state-limits.ts";

/** Says whether an entry still stands for a row that waits for just that time. */
export type IsWaiting = (queueId: number, key: number, dueMs: number) => boolean;

const capacityMin = 64;

/**
 * All rows that wait for their time, the next one first; among those of one time and queue in the order of
 * their keys. A heap in typed memory, 20 bytes an entry. An entry whose row is gone stays until its time
 * comes, or until such entries are the most.
 */
export class Schedule {
  readonly #isWaiting: IsWaiting;
  #dues = new Float64Array(capacityMin);
  #keys = new Float64Array(capacityMin);
  #queueIds = new Uint32Array(capacityMin);
  #size = 0;
  #count = 0;
  /** Set by {@link takeDue}: the row whose time has come. */
  queueId = 0;
  key = 0;

  constructor(isWaiting: IsWaiting) {
    this.#isWaiting = isWaiting;
  }

  /** Rows that wait. */
  get count(): number {
    return this.#count;
  }

  /** Memory taken, in bytes. */
  get allocatedBytes(): number {
    return this.#dues.byteLength + this.#keys.byteLength + this.#queueIds.byteLength;
  }

  /** When to look for rows that are due, in ms since 1970; infinite when none waits. */
  get nextMs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#due(0);
  }

  /** A row waits from now on. */
  add(dueMs: number, queueId: number, key: number): void {
    this.#count += 1;
    if (this.#size > this.#count * 2 + stateLimits.scheduleStaleEntriesMin) this.#compact();
    if (this.#size === this.#dues.length) this.#resize(this.#size * 2);
    this.#size += 1;
    this.#siftUp(this.#size - 1, dueMs, queueId, key);
  }

  /** A row waits no more: it was removed, or its time has come. */
  forgetOne(): void {
    assert(this.#count > 0, "a row that waits was counted");
    this.#count -= 1;
    if (this.#count === 0) this.#clear();
  }

  /** Takes the next row that is due out of the heap, and sets `queueId` and `key`; false when none is. */
  takeDue(nowMs: number): boolean {
    while (this.#size > 0 && this.#due(0) <= nowMs) {
      const dueMs = this.#due(0);
      this.queueId = this.#queueIds[0] ?? 0;
      this.key = this.#keys[0] ?? 0;
      this.#removeFirst();
      if (this.#isWaiting(this.queueId, this.key, dueMs)) return true;
    }
    return false;
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    let waiting = 0;
    for (let index = 0; index < this.#size; index += 1) {
      const parent = (index - 1) >>> 1;
      if (index > 0) assert(this.#due(parent) <= this.#due(index), "the next one is first");
      const queueId = this.#queueIds[index] ?? 0;
      if (this.#isWaiting(queueId, this.#keys[index] ?? 0, this.#due(index))) waiting += 1;
    }
    assert(waiting === this.#count, "each row that waits has one entry");
  }

  #clear(): void {
    this.#size = 0;
    if (this.#dues.length > stateLimits.scheduleEntriesKept) this.#resize(capacityMin);
  }

  #removeFirst(): void {
    this.#size -= 1;
    const last = this.#size;
    if (last === 0) return;
    this.#siftDown(0, this.#due(last), this.#queueIds[last] ?? 0, this.#keys[last] ?? 0);
  }

  /** Drops the entries whose rows are gone. */
  #compact(): void {
    const size = this.#size;
    this.#size = 0;
    for (let index = 0; index < size; index += 1) {
      const dueMs = this.#due(index);
      const queueId = this.#queueIds[index] ?? 0;
      const key = this.#keys[index] ?? 0;
      if (!this.#isWaiting(queueId, key, dueMs)) continue;
      this.#size += 1;
      this.#siftUp(this.#size - 1, dueMs, queueId, key);
    }
  }

  /** Writes an entry to the free place `index`, or further up where it belongs. */
  #siftUp(index: number, dueMs: number, queueId: number, key: number): void {
    let at = index;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(dueMs, key, parent)) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#write(at, dueMs, queueId, key);
  }

  #siftDown(index: number, dueMs: number, queueId: number, key: number): void {
    let at = index;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#size) break;
      const other = child + 1;
      const isOther =
        other < this.#size && this.#isBefore(this.#due(other), this.#key(other), child);
      if (isOther) child = other;
      if (this.#isBefore(dueMs, key, child)) break;
      this.#copy(child, at);
      at = child;
    }
    this.#write(at, dueMs, queueId, key);
  }

  #isBefore(dueMs: number, key: number, index: number): boolean {
    const other = this.#due(index);
    return dueMs < other || (dueMs === other && key < this.#key(index));
  }

  #due(index: number): number {
    return this.#dues[index] ?? 0;
  }

  #key(index: number): number {
    return this.#keys[index] ?? 0;
  }

  #write(index: number, dueMs: number, queueId: number, key: number): void {
    this.#dues[index] = dueMs;
    this.#keys[index] = key;
    this.#queueIds[index] = queueId;
  }

  #copy(from: number, to: number): void {
    this.#write(to, this.#due(from), this.#queueIds[from] ?? 0, this.#key(from));
  }

  #resize(capacity: number): void {
    const dues = this.#dues.subarray(0, this.#size);
    const keys = this.#keys.subarray(0, this.#size);
    const queueIds = this.#queueIds.subarray(0, this.#size);
    this.#dues = new Float64Array(capacity);
    this.#keys = new Float64Array(capacity);
    this.#queueIds = new Uint32Array(capacity);
    this.#dues.set(dues);
    this.#keys.set(keys);
    this.#queueIds.set(queueIds);
  }
}
