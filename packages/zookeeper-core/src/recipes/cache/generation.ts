import { deferred, type Deferred } from "@everhold/base";
import type { DirtyPaths } from "./dirty-paths.ts";

/** Who waits until some needs are met. */
interface Waiter {
  readonly need: number;
  readonly met: Deferred<void>;
}

/**
 * Up to which transaction a view of a tree is complete. Every answer carries the last transaction that its server had
 * applied, and comes behind the notices of all changes up to that one. So when an answer of transaction z has been
 * taken in, and all that there was to read then has been read, the view has every change up to z.
 */
export class Generation {
  readonly #dirty: DirtyPaths;
  /** The transaction of an answer, and the last need that there was when it had been taken in. */
  #candidate: { readonly zxid: bigint; readonly need: number } | undefined;
  readonly #waiters = new Set<Waiter>();
  #zxid = 0n;

  constructor(dirty: DirtyPaths) {
    this.#dirty = dirty;
  }

  /** Every change up to this transaction is in the view. */
  get zxid(): bigint {
    return this.#zxid;
  }

  /** An answer of this transaction has been taken in; what it made necessary is marked. */
  note(zxid: bigint): void {
    // What is done now may be what the candidate waited for.
    this.advance();
    this.#candidate ??= { zxid, need: this.#dirty.lastNeed };
    this.advance();
  }

  /** Something was read: looks whether that completes the view, and tells who waits for it. */
  advance(): void {
    const { oldestNeed } = this.#dirty;
    if (this.#candidate !== undefined && this.#candidate.need < oldestNeed) {
      this.#zxid = this.#candidate.zxid;
      this.#candidate = undefined;
    }
    for (const waiter of this.#waiters) {
      if (waiter.need >= oldestNeed) continue;
      this.#waiters.delete(waiter);
      waiter.met.resolve();
    }
  }

  /** When all needs that there are now are met. */
  whenMet(): Promise<void> {
    const waiter = { need: this.#dirty.lastNeed, met: deferred<void>() };
    this.#waiters.add(waiter);
    this.advance();
    return waiter.met.promise;
  }

  /** The servers count anew: what was complete is not. */
  forget(): void {
    this.#zxid = 0n;
    this.#candidate = undefined;
  }

  /** Nobody reads any more: who waits gets `error`. */
  end(error: unknown): void {
    for (const { met } of this.#waiters) met.reject(error);
    this.#waiters.clear();
  }
}
