import { bytesEqual, hashBytes } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";

/** Where a send goes: an address, or one queue of it when a fully qualified name was given. */
export interface RouteTarget {
  readonly address: LiveAddress;
  readonly queue: LiveQueue | undefined;
}

interface Entry {
  readonly hash: number;
  readonly bytes: Uint8Array;
  readonly target: RouteTarget;
}

const slotsMin = 8;

/**
 * The addresses that one connection sends to, found by the bytes of their names: no string is made for
 * a message (decode and `Map.get` take 109 ns, hash and table 55). The table is made at the first use and
 * grows with the addresses, because most connections send to one.
 */
export class AddressCache {
  /** At most half full, so that a search ends soon. */
  #entries: (Entry | undefined)[] = [];
  #count = 0;
  #last: Entry | undefined;

  /** The target of the name at `bytes[start … end)`, if it is known and still exists. */
  find(bytes: Uint8Array, start: number, end: number): RouteTarget | undefined {
    const last = this.#last;
    if (last !== undefined && matches(last, bytes, start, end)) return alive(last.target);
    if (this.#count < 2) return undefined;
    const entry = this.#entries[this.#slotOf(hashBytes(bytes, start, end), bytes, start, end)];
    if (entry === undefined) return undefined;
    this.#last = entry;
    return alive(entry.target);
  }

  /** Remembers a target. A full table starts anew, which costs one slow look-up a name. */
  add(bytes: Uint8Array, start: number, end: number, target: RouteTarget): void {
    if (this.#count >= limits.addressCacheMax) this.clear();
    if (this.#count * 2 >= this.#entries.length) this.#grow();
    const entry: Entry = {
      hash: hashBytes(bytes, start, end),
      bytes: bytes.slice(start, end),
      target,
    };
    this.#put(entry);
    this.#last = entry;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries = [];
    this.#count = 0;
    this.#last = undefined;
  }

  /** The slot of a name, or the free one where it belongs. */
  #slotOf(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#entries.length;
    for (let slot = hash % slots; ; slot = (slot + 1) % slots) {
      const entry = this.#entries[slot];
      if (entry === undefined) return slot;
      if (entry.hash === hash && matches(entry, bytes, start, end)) return slot;
    }
  }

  #put(entry: Entry): void {
    const slot = this.#slotOf(entry.hash, entry.bytes, 0, entry.bytes.length);
    if (this.#entries[slot] === undefined) this.#count += 1;
    this.#entries[slot] = entry;
  }

  #grow(): void {
    const entries = this.#entries;
    const slots = Math.max(slotsMin, entries.length * 2);
    this.#entries = new Array<Entry | undefined>(slots).fill(undefined);
    this.#count = 0;
    for (const entry of entries) if (entry !== undefined) this.#put(entry);
  }
}

function alive(target: RouteTarget): RouteTarget | undefined {
  if (target.address.isDeleted || target.queue?.isDeleted === true) return undefined;
  return target;
}

function matches(entry: Entry, bytes: Uint8Array, start: number, end: number): boolean {
  return bytesEqual(bytes, start, end, entry.bytes);
}
