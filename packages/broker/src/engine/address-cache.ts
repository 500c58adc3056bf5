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

const slots = limits.addressCacheMax * 2;

/**
 * The addresses that one connection sends to, found by the bytes of their names: no string is made for
 * a message (decode and `Map.get` take 109 ns, hash and table 55). Made at the first use.
 */
export class AddressCache {
  #entries: (Entry | undefined)[] | undefined;
  #count = 0;
  #last: Entry | undefined;

  /** The target of the name at `bytes[start … end)`, if it is known and still exists. */
  find(bytes: Uint8Array, start: number, end: number): RouteTarget | undefined {
    const last = this.#last;
    if (last !== undefined && matches(last, bytes, start, end)) return alive(last.target);
    const entries = this.#entries;
    if (entries === undefined) return undefined;
    const hash = hashBytes(bytes, start, end);
    for (let slot = hash % slots; ; slot = (slot + 1) % slots) {
      const entry = entries[slot];
      if (entry === undefined) return undefined;
      if (entry.hash === hash && matches(entry, bytes, start, end)) {
        this.#last = entry;
        return alive(entry.target);
      }
    }
  }

  /** Remembers a target. A full table starts anew, which costs one slow look-up a name. */
  add(bytes: Uint8Array, start: number, end: number, target: RouteTarget): void {
    if (this.#entries === undefined || this.#count >= limits.addressCacheMax) this.clear();
    const entries = (this.#entries ??= new Array<Entry | undefined>(slots).fill(undefined));
    const hash = hashBytes(bytes, start, end);
    const entry: Entry = { hash, bytes: bytes.slice(start, end), target };
    let slot = hash % slots;
    while (entries[slot] !== undefined && !isSame(entries[slot], entry)) slot = (slot + 1) % slots;
    if (entries[slot] === undefined) this.#count += 1;
    entries[slot] = entry;
    this.#last = entry;
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries = undefined;
    this.#count = 0;
    this.#last = undefined;
  }
}

function alive(target: RouteTarget): RouteTarget | undefined {
  if (target.address.isDeleted || target.queue?.isDeleted === true) return undefined;
  return target;
}

function matches(entry: Entry, bytes: Uint8Array, start: number, end: number): boolean {
  return bytesEqual(bytes, start, end, entry.bytes);
}

function isSame(found: Entry | undefined, entry: Entry): boolean {
  if (found === undefined || found.hash !== entry.hash) return false;
  return matches(found, entry.bytes, 0, entry.bytes.length);
}
