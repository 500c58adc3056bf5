import { assert } from "@everhold/base";
import { acknowledgeBytes, writeAcknowledge } from "./acknowledge-record.ts";
import { setKeyAt } from "./key-codec.ts";
import type { MessagePlan } from "./message-plan.ts";
import { messageBytes, messageOffsetOf, writeMessage } from "./write-message.ts";
import type { ProducerNumber } from "./producer-marks.ts";
import type { QueueState } from "./queue-state.ts";
import type { RecordAppender } from "./record-appender.ts";
import { recordTypes } from "./records.ts";
import type { StateTables } from "./state-tables.ts";
import { createPendingMessage, type StoredTransaction } from "./stored-transaction.ts";
import {
  committedAsRecord,
  committedRecord,
  endings,
  preparedRecord,
  rolledBackRecord,
  type CommittedRun,
  type Ending,
} from "./transaction-records.ts";
import { forEachRow, runKeyOf, type OnRow, type RowRun } from "./transaction-rows.ts";
import type { DecidedBranch, TransactionTable } from "./transaction-table.ts";
import { copyXid, xidKey, type Xid } from "./xid.ts";

/** Rows that a commit added to one lane of one queue. */
export interface AddedRows extends RowRun {
  readonly queue: QueueState;
  /** The first row's key; the others follow. */
  readonly key: number;
  count: number;
}

/**
 * Called while a transaction is committed, before each of its messages and behind the last: with how many
 * were before, and the position of the record that commits it, −1 when there is none.
 */
export type BetweenMessages = (messageCount: number, position: number) => void;

/** What may come with a commit. */
export interface CommitExtras {
  /** Used up by the commit, in the same record. */
  readonly number?: ProducerNumber | undefined;
  readonly between?: BetweenMessages | undefined;
}

/**
 * Transactions that do not fit into one batch, or wait prepared: what was sent and acknowledged goes into
 * the journal in pieces that show nowhere, and one record decides over all of them. Methods append and
 * apply in one step, as those of `BrokerState`.
 */
export class TransactionLog {
  readonly #records: RecordAppender;
  readonly #tables: StateTables;
  readonly #table: TransactionTable;
  readonly #message = createPendingMessage();

  constructor(records: RecordAppender, tables: StateTables) {
    this.#records = records;
    this.#tables = tables;
    this.#table = tables.transactions;
  }

  /** Prepared transactions, in the order in which they were prepared. */
  prepared(): IterableIterator<StoredTransaction> {
    return this.#table.prepared();
  }

  get preparedCount(): number {
    return this.#table.preparedCount;
  }

  findPrepared(xid: Xid): StoredTransaction | undefined {
    return this.#table.findPrepared(xid);
  }

  /** The branch that was decided by hand and not forgotten. */
  findHeuristic(xid: Xid): DecidedBranch | undefined {
    return this.#table.heuristics.get(xidKey(xid));
  }

  heuristics(): IterableIterator<DecidedBranch> {
    return this.#table.heuristics.values();
  }

  get heuristicCount(): number {
    return this.#table.heuristics.size;
  }

  /** How a branch ended that its manager decided, as far back as that is remembered. */
  findDecided(xid: Xid): DecidedBranch | undefined {
    return this.#table.decided.get(xidKey(xid));
  }

  /** Whether a prepared transaction holds the duplicate id of an address. */
  isReserved(addressId: number, bytes: Uint8Array, start: number, end: number): boolean {
    return this.#table.isReserved(addressId, bytes, start, end);
  }

  /** Whether somebody has used one of its duplicate ids since, or holds it in a prepared transaction. */
  hasUsedDuplicate(transaction: StoredTransaction): boolean {
    return transaction.duplicates.some(({ addressId, id }) => {
      const address = this.#tables.addresses.get(addressId);
      if (address === undefined) return false;
      return (
        address.duplicates.has(id, 0, id.length) || this.isReserved(addressId, id, 0, id.length)
      );
    });
  }

  /** Adds the message of a plan, which goes to its targets when the transaction is committed. */
  addMessage(transaction: StoredTransaction, plan: MessagePlan): void {
    this.#records.assertOpen();
    const { log } = this.#records;
    const { lane } = plan;
    plan.transaction = Math.max(0, transaction.id);
    plan.prepareKeys();
    for (let index = 0; index < plan.targetCount; index += 1) plan.keys[index] = lane;
    assert(plan.needsRecord, "a piece is something to record");
    const { address } = plan;
    const position = log.append(recordTypes.transactionMessage, address.id, messageBytes(plan));
    writeMessage(plan, position, log.bytes, log.view, log.payloadOffset);
    this.#enlist(transaction, position);
    const message = this.#message;
    const isStored = plan.storedTargetCount > 0;
    message.position = position;
    message.messageOffset = isStored ? messageOffsetOf(plan) : 0;
    message.messageLength = isStored ? plan.end - plan.start : 0;
    message.expiryUnits = this.#tables.expiry.unitsOf(plan.expirationMs);
    message.dueMs = plan.dueMs;
    message.lane = isStored ? lane : 0;
    message.group = plan.group;
    message.largeBytes = isStored ? (plan.largeBody?.bytes ?? 0) : 0;
    if (isStored && plan.largeBody !== undefined) {
      this.#tables.large.define(position, plan.largeBody);
    }
    const targets: number[] = [];
    // Where nothing is stored there is no body here either.
    const targetCount = isStored ? plan.targetCount : 0;
    for (let index = 0; index < targetCount; index += 1) targets.push(plan.target(index).id);
    const { diversions } = plan;
    const originOf = (index: number): string => diversions.originOf(index);
    transaction.addMessage(message, targets, diversions.isEmpty ? undefined : originOf);
    if (plan.lastValues.size > 0) this.#noteLastValues(transaction, plan, targetCount);
    this.#table.messageAdded(transaction);
    if (plan.hasMark) {
      const { markBytes, markOffset, markEpoch, markSequence } = plan;
      transaction.addMark(markBytes, markOffset, markEpoch, markSequence);
    }
    if (plan.hasDuplicateId) {
      const id = plan.duplicateBytes.slice(plan.duplicateStart, plan.duplicateEnd);
      transaction.addDuplicate(address.id, id);
    }
  }

  /** Adds rows that are in flight, to be settled when the transaction is committed. Ascending keys pack best. */
  addAcknowledgements(
    transaction: StoredTransaction,
    queue: QueueState,
    keys: readonly number[],
  ): void {
    const { log } = this.#records;
    const bytes = queue.isStored ? acknowledgeBytes(keys, keys.length) : 0;
    if (bytes > 0) {
      const position = log.append(recordTypes.transactionAcknowledge, queue.id, 8 + bytes);
      setKeyAt(log.view, log.payloadOffset, Math.max(0, transaction.id));
      writeAcknowledge(log.view, log.payloadOffset + 8, keys, keys.length);
      this.#enlist(transaction, position);
      transaction.lastAcknowledgePosition = position;
    }
    transaction.addAcknowledgements(queue.id, keys);
  }

  /** It is prepared: from here on only `commit` and `rollback` end it. */
  prepare(transaction: StoredTransaction, xid: Xid, createdMs: number): void {
    const kept = copyXid(xid);
    const value = { transaction: Math.max(0, transaction.id), createdMs, xid: kept };
    const position = this.#records.append(recordTypes.prepared, 0, preparedRecord, value);
    this.#enlist(transaction, position);
    transaction.advanceMarks(this.#tables.producers, position);
    this.#table.prepare(transaction, kept, createdMs);
  }

  /**
   * Adds its messages to their queues, as far as these are still there, and settles what it acknowledged.
   * Returns what was added where; in a queue that is in memory only, other rows may stand between.
   */
  commit(
    transaction: StoredTransaction,
    isHeuristic: boolean,
    { number, between }: CommitExtras = {},
  ): readonly AddedRows[] {
    if (transaction.id < 0) {
      assert(number === undefined, "a number is used up by a record of its own");
      // It touched only what is in memory, so there is nothing to decide in the journal.
      between?.(0, -1);
      this.#settle(transaction);
      return [];
    }
    const added = this.#planRows(transaction);
    const runs = [...added.values()]
      .filter(({ queue }) => queue.isStored)
      .map(({ queue, key, count }) => ({ queueId: queue.id, key, count }));
    const position = this.#appendCommitted(transaction.id, isHeuristic, runs, number);
    this.#addRows(transaction, added, position, between);
    between?.(transaction.messageCount, position);
    this.#settle(transaction);
    for (const { addressId, id } of transaction.duplicates) {
      this.#tables.addresses.get(addressId)?.duplicates.add(id, 0, id.length);
    }
    if (!transaction.isPrepared) transaction.advanceMarks(this.#tables.producers, position);
    if (number !== undefined) this.#tables.producers.consume(number, position);
    this.#table.end(transaction, { isCommitted: true, isHeuristic, position });
    return [...added.values()];
  }

  /** Drops its messages. The rows that it acknowledged are for the caller to give back. */
  rollback(transaction: StoredTransaction, isHeuristic: boolean): void {
    if (transaction.id < 0) return;
    const ending: Ending = isHeuristic ? "rolledBackByHand" : "rolledBack";
    const value = { transaction: transaction.id, hasXid: false, xid: null };
    const position = this.#appendEnd(ending, value);
    if (transaction.isPrepared) transaction.revokeMarks(this.#tables.producers, position);
    this.#table.end(transaction, { isCommitted: false, isHeuristic, position });
  }

  /** Forgets a branch that was decided by hand. */
  forget(xid: Xid): void {
    this.#appendEnd("forgotten", { transaction: 0, hasXid: true, xid });
    this.#table.heuristics.delete(xidKey(xid));
  }

  /** The keys that its messages get, by queue and lane, in the order in which they are met. */
  #planRows(transaction: StoredTransaction): Map<number, AddedRows> {
    const added = new Map<number, AddedRows>();
    const message = this.#message;
    for (let index = 0; index < transaction.messageCount; index += 1) {
      transaction.readMessage(index, message);
      const end = transaction.targetsEnd(index);
      for (let place = transaction.targetsBegin(index); place < end; place += 1) {
        const queue = this.#tables.queues.get(transaction.targetAt(place));
        if (queue === undefined) continue;
        const runKey = runKeyOf(queue.id, message.lane);
        const known = added.get(runKey);
        if (known !== undefined) known.count += 1;
        else {
          const key = queue.nextKey(message.lane);
          added.set(runKey, { queue, key, count: 1, next: key });
        }
      }
    }
    return added;
  }

  #addRows(
    transaction: StoredTransaction,
    added: ReadonlyMap<number, AddedRows>,
    position: number,
    between: BetweenMessages | undefined,
  ): void {
    const { commitPosition } = this.#records.log;
    const onRow: OnRow<AddedRows> = ({ queue, key, next }, row, _queueId, lane) => {
      // The record names the keys of queues that it knows; in others something may have come between.
      queue.addRow(queue.isStored ? next : queue.nextKey(lane), row);
      // It hides all that follow as well.
      if (next === key) queue.lanes.holdLast(lane, position, commitPosition);
    };
    forEachRow(transaction, added, position, onRow, between);
  }

  #noteLastValues(transaction: StoredTransaction, plan: MessagePlan, targetCount: number): void {
    const begin = transaction.targetsBegin(transaction.messageCount - 1);
    for (let index = 0; index < targetCount; index += 1) {
      const lastValue = plan.lastValues.get(plan.target(index));
      if (lastValue !== undefined) transaction.setLastValue(begin + index, lastValue);
    }
  }

  #settle(transaction: StoredTransaction): void {
    for (const [queueId, keys] of transaction.acknowledged) {
      const queue = this.#tables.queues.get(queueId);
      if (queue === undefined) continue;
      for (const key of keys) if (queue.has(key)) queue.removeRow(key);
    }
  }

  #enlist(transaction: StoredTransaction, position: number): void {
    if (transaction.id >= 0) return;
    transaction.id = position;
    this.#table.add(transaction);
  }

  #appendCommitted(
    transaction: number,
    isHeuristic: boolean,
    runs: readonly CommittedRun[],
    number: ProducerNumber | undefined,
  ): number {
    if (number === undefined) {
      const value = { transaction, isHeuristic, runs };
      return this.#records.append(recordTypes.committed, 0, committedRecord, value);
    }
    assert(!isHeuristic, "who decides by hand has no number");
    const value = { ...number, transaction, runs };
    return this.#records.append(recordTypes.committedAs, 0, committedAsRecord, value);
  }

  #appendEnd(
    ending: Ending,
    value: { transaction: number; hasXid: boolean; xid: Xid | null },
  ): number {
    const record = { ...value, ending: endings.indexOf(ending) };
    return this.#records.append(recordTypes.rolledBack, 0, rolledBackRecord, record);
  }
}
