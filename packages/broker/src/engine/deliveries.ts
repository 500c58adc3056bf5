import { assert } from "@everhold/base";

const slotsMin = 16;
const removed = -1;
const noSlots = new Float64Array(0);

/**
 * What one consumer has been handed and has not settled, in delivery order: message ids and row keys in
 * two parallel rings, 16 bytes a delivery. Most consumers of a crowd hold nothing, and then have no rings.
 *
 * Invariant: the first slot is never a removed one.
 */
export class Deliveries {
  #messageIds = noSlots;
  #keys = noSlots;
  #head = 0;
  /** Slots between the first and the last delivery, those removed in between included. */
  #span = 0;
  #count = 0;
  /** Whether message ids only grow from head to tail, so that a search may halve the span. */
  #isSorted = true;

  /** How many are in flight. */
  get count(): number {
    return this.#count;
  }

  /** Adds the newest delivery. */
  push(messageId: number, key: number): void {
    if (this.#span === this.#keys.length) this.#grow();
    const mask = this.#keys.length - 1;
    if (this.#span === 0) this.#isSorted = true;
    else if (messageId <= (this.#messageIds[(this.#head + this.#span - 1) & mask] ?? 0)) {
      this.#isSorted = false;
    }
    const slot = (this.#head + this.#span) & mask;
    this.#messageIds[slot] = messageId;
    this.#keys[slot] = key;
    this.#span += 1;
    this.#count += 1;
  }

  /** Gives back the rings of a consumer that holds nothing. */
  trim(): void {
    if (this.#count > 0 || this.#keys === noSlots) return;
    assert(this.#span === 0, "no removed slot is left over when nothing is in flight");
    this.#messageIds = noSlots;
    this.#keys = noSlots;
    this.#head = 0;
  }

  /** The row key of the oldest delivery, removed; −1 when there is none. */
  shift(): number {
    if (this.#count === 0) return removed;
    const key = this.#keys[this.#head] ?? removed;
    this.#removeAt(this.#head, 0);
    return key;
  }

  /** How many deliveries there are up to and including that of `messageId`; 0 when it is not in flight. */
  countThrough(messageId: number): number {
    const found = this.#indexOf(messageId);
    if (found < 0) return 0;
    if (this.#span === this.#count) return found + 1;
    const mask = this.#keys.length - 1;
    let count = 0;
    for (let index = 0; index <= found; index += 1) {
      if (this.#keys[(this.#head + index) & mask] !== removed) count += 1;
    }
    return count;
  }

  /** Takes out the delivery of `messageId` and gives its row key; −1 when it is not in flight. */
  remove(messageId: number): number {
    const index = this.#indexOf(messageId);
    if (index < 0) return removed;
    const slot = (this.#head + index) & (this.#keys.length - 1);
    const key = this.#keys[slot] ?? removed;
    this.#removeAt(slot, index);
    return key;
  }

  /** Takes out the delivery of `messageId` and all after it; gives their row keys, none when it is not in flight. */
  cutFrom(messageId: number): number[] {
    const keys: number[] = [];
    const index = this.#indexOf(messageId);
    if (index < 0) return keys;
    const mask = this.#keys.length - 1;
    for (let at = index; at < this.#span; at += 1) {
      const key = this.#keys[(this.#head + at) & mask] ?? removed;
      if (key !== removed) keys.push(key);
    }
    // From the end on, so that no slot is visited twice.
    for (let at = this.#span - 1; at >= index; at -= 1) {
      const slot = (this.#head + at) & mask;
      if (this.#keys[slot] !== removed) this.#removeAt(slot, at);
    }
    return keys;
  }

  /** The row keys of all deliveries, in their order. */
  *keys(): Generator<number> {
    const mask = this.#keys.length - 1;
    for (let index = 0; index < this.#span; index += 1) {
      const key = this.#keys[(this.#head + index) & mask] ?? removed;
      if (key !== removed) yield key;
    }
  }

  /** Where in the span `messageId` is in flight; −1 when it is not. */
  #indexOf(messageId: number): number {
    const mask = this.#keys.length - 1;
    if (this.#isSorted) {
      let low = 0;
      let high = this.#span - 1;
      while (low <= high) {
        const middle = (low + high) >> 1;
        const slot = (this.#head + middle) & mask;
        const found = this.#messageIds[slot] ?? 0;
        if (found === messageId) return this.#keys[slot] === removed ? -1 : middle;
        if (found < messageId) low = middle + 1;
        else high = middle - 1;
      }
      return -1;
    }
    for (let index = 0; index < this.#span; index += 1) {
      const slot = (this.#head + index) & mask;
      if (this.#messageIds[slot] === messageId && this.#keys[slot] !== removed) return index;
    }
    return -1;
  }

  /** Marks a slot as removed and drops removed ones from both ends. */
  #removeAt(slot: number, index: number): void {
    const mask = this.#keys.length - 1;
    this.#keys[slot] = removed;
    this.#count -= 1;
    assert(this.#count >= 0, "only deliveries in flight are removed");
    if (index === this.#span - 1) {
      while (this.#span > 0 && this.#keys[(this.#head + this.#span - 1) & mask] === removed) {
        this.#span -= 1;
      }
    }
    while (this.#span > 0 && this.#keys[this.#head] === removed) {
      this.#head = (this.#head + 1) & mask;
      this.#span -= 1;
    }
  }

  #grow(): void {
    const slots = Math.max(slotsMin, this.#keys.length * 2);
    const messageIds = new Float64Array(slots);
    const keys = new Float64Array(slots);
    for (let index = 0; index < this.#span; index += 1) {
      const slot = (this.#head + index) & (this.#keys.length - 1);
      messageIds[index] = this.#messageIds[slot] ?? 0;
      keys[index] = this.#keys[slot] ?? removed;
    }
    this.#messageIds = messageIds;
    this.#keys = keys;
    this.#head = 0;
  }
}
