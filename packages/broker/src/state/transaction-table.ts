import { assert } from "@everhold/base";
import type { QueueState } from "./queue-state.ts";
import { stateLimits } from "./state-limits.ts";
import { createPendingMessage, type StoredTransaction } from "./stored-transaction.ts";
import { xidKey, type Xid } from "./xid.ts";

/** What the transactions of the state need of the rest of it. */
export interface TransactionContext {
  readonly queues: ReadonlyMap<number, QueueState>;
  /** A piece's record must stay readable. */
  retainPiece(position: number, messageOffset: number, messageLength: number): void;
  releasePiece(position: number, messageOffset: number, messageLength: number): void;
  /** During recovery: the message at `position` has a body in parts, of which more follows. */
  expectLarge(position: number, bytes: number): void;
}

/** A branch that was decided: by its transaction manager, or by hand. */
export interface DecidedBranch {
  readonly xid: Xid;
  readonly isCommitted: boolean;
  /** Position of the record that decided it. */
  readonly position: number;
}

/** How a transaction ended, by the record at `position`. */
export interface TransactionEnd {
  readonly isCommitted: boolean;
  /** An operator decided it, not its manager. */
  readonly isHeuristic: boolean;
  readonly position: number;
}

/**
 * Transactions in pieces, and how prepared ones ended. A prepared one *reserves* its duplicate ids: nobody
 * else may use them before it is decided.
 */
export class TransactionTable {
  readonly #context: TransactionContext;
  readonly #byId = new Map<number, StoredTransaction>();
  readonly #prepared = new Map<string, StoredTransaction>();
  readonly #reserved = new Set<string>();
  readonly #message = createPendingMessage();
  /** Pending messages are counted in their queues from the end of recovery on, when all queues are there. */
  #isCounting = false;
  /** Branches that were decided by hand and not forgotten. */
  readonly heuristics = new Map<string, DecidedBranch>();
  /** Branches that were decided, the oldest first: a manager that missed the answer asks again. */
  readonly decided = new Map<string, DecidedBranch>();

  constructor(context: TransactionContext) {
    this.#context = context;
  }

  /** All of them, the open ones as well. */
  all(): IterableIterator<StoredTransaction> {
    return this.#byId.values();
  }

  find(id: number): StoredTransaction | undefined {
    return this.#byId.get(id);
  }

  findPrepared(xid: Xid): StoredTransaction | undefined {
    return this.#prepared.get(xidKey(xid));
  }

  prepared(): IterableIterator<StoredTransaction> {
    return this.#prepared.values();
  }

  get preparedCount(): number {
    return this.#prepared.size;
  }

  /** Adds one that has got its id. */
  add(transaction: StoredTransaction): void {
    assert(transaction.id >= 0, "a transaction that is listed has a record");
    assert(!this.#byId.has(transaction.id), "a transaction is listed once");
    this.#byId.set(transaction.id, transaction);
  }

  /** As {@link messageAdded}, of a snapshot. */
  messageRestored(transaction: StoredTransaction, position: number, largeBytes: number): void {
    if (largeBytes > 0) this.#context.expectLarge(position, largeBytes);
    this.messageAdded(transaction);
  }

  /** Counts a message that was added to a transaction, and keeps its bytes. */
  messageAdded(transaction: StoredTransaction): void {
    this.#keep(transaction, transaction.messageCount - 1, 1);
  }

  /** It is prepared from here on; its duplicate ids are taken. */
  prepare(transaction: StoredTransaction, xid: Xid, createdMs: number): void {
    transaction.xid = xid;
    transaction.createdMs = createdMs;
    this.#prepared.set(xidKey(xid), transaction);
    for (const { addressId, id } of transaction.duplicates) {
      this.#reserved.add(duplicateKey(addressId, id, 0, id.length));
    }
  }

  /** Lets it go, with all that it kept. */
  remove(transaction: StoredTransaction): void {
    for (let index = 0; index < transaction.messageCount; index += 1) {
      this.#keep(transaction, index, -1);
    }
    this.#byId.delete(transaction.id);
    const { xid } = transaction;
    if (xid === undefined) return;
    this.#prepared.delete(xidKey(xid));
    for (const { addressId, id } of transaction.duplicates) {
      this.#reserved.delete(duplicateKey(addressId, id, 0, id.length));
    }
  }

  /** As {@link remove}; how a prepared branch ended is remembered, unless that is known otherwise. */
  end(transaction: StoredTransaction, how: TransactionEnd, isRemembered = true): void {
    this.remove(transaction);
    const { xid } = transaction;
    if (xid === undefined || !isRemembered) return;
    const { isCommitted, isHeuristic, position } = how;
    this.decide({ xid, isCommitted, position }, isHeuristic);
  }

  /** During recovery: what was not prepared is gone. */
  dropOpen(): void {
    for (const transaction of [...this.#byId.values()]) {
      if (!transaction.isPrepared) this.remove(transaction);
    }
  }

  /** Ends recovery: what is pending is counted. */
  recovered(): void {
    this.#isCounting = true;
    for (const transaction of this.#byId.values()) {
      for (let index = 0; index < transaction.messageCount; index += 1) {
        this.#count(transaction, index, 1);
      }
    }
  }

  /** Whether a prepared transaction holds a duplicate id of an address. */
  isReserved(addressId: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#reserved.size === 0) return false;
    return this.#reserved.has(duplicateKey(addressId, bytes, start, end));
  }

  /** Remembers how a prepared branch ended. The oldest of too many is forgotten. */
  decide(branch: DecidedBranch, isHeuristic: boolean): void {
    const key = xidKey(branch.xid);
    if (isHeuristic) {
      this.heuristics.set(key, branch);
      return;
    }
    this.decided.delete(key);
    this.decided.set(key, branch);
    if (this.decided.size <= stateLimits.decidedBranchesMax) return;
    for (const oldest of this.decided.keys()) {
      this.decided.delete(oldest);
      return;
    }
  }

  /** Checks what must hold between calls. */
  assertInvariants(): void {
    const pending = new Map<number, number>();
    for (const transaction of this.#byId.values()) {
      for (let index = 0; index < transaction.messageCount; index += 1) {
        const end = transaction.targetsEnd(index);
        for (let place = transaction.targetsBegin(index); place < end; place += 1) {
          const id = transaction.targetAt(place);
          pending.set(id, (pending.get(id) ?? 0) + 1);
        }
      }
    }
    for (const queue of this.#context.queues.values()) {
      assert(queue.pendingCount === (pending.get(queue.id) ?? 0), "pending messages are counted");
    }
    for (const [key, transaction] of this.#prepared) {
      assert(transaction.xid !== undefined, "a prepared transaction has an xid");
      assert(xidKey(transaction.xid) === key, "a prepared transaction is found by its xid");
      assert(this.#byId.get(transaction.id) === transaction, "a prepared transaction is listed");
    }
    assert(this.decided.size <= stateLimits.decidedBranchesMax, "not too much is remembered");
  }

  #keep(transaction: StoredTransaction, index: number, count: 1 | -1): void {
    if (this.#isCounting) this.#count(transaction, index, count);
    const message = this.#message;
    transaction.readMessage(index, message);
    const { position, messageOffset, messageLength } = message;
    if (messageLength === 0) return;
    if (count > 0) this.#context.retainPiece(position, messageOffset, messageLength);
    else this.#context.releasePiece(position, messageOffset, messageLength);
  }

  #count(transaction: StoredTransaction, index: number, count: 1 | -1): void {
    const end = transaction.targetsEnd(index);
    for (let place = transaction.targetsBegin(index); place < end; place += 1) {
      const queue = this.#context.queues.get(transaction.targetAt(place));
      if (queue !== undefined) queue.pendingCount += count;
    }
  }
}

/** What tells a duplicate id of an address from all others. */
function duplicateKey(addressId: number, bytes: Uint8Array, start: number, end: number): string {
  let key = `${addressId}:`;
  for (let index = start; index < end; index += 1) key += String.fromCharCode(bytes[index] ?? 0);
  return key;
}
