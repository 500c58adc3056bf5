import { readAcknowledge } from "./acknowledge-record.ts";
import { keyAt } from "./key-codec.ts";
import { readLargeList } from "./large-body.ts";
import {
  createMessageRecordView,
  originsOf,
  readLastValues,
  readMessage,
  targetKey,
  targetQueueId,
} from "./read-message.ts";
import type { ProducerRecovery } from "./producer-recovery.ts";
import { corrupt, recordTypes } from "./records.ts";
import { laneOfKey } from "./row-key.ts";
import type { RowRecovery } from "./row-recovery.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import type { StateTables } from "./state-tables.ts";
import { createPendingMessage, StoredTransaction } from "./stored-transaction.ts";
import {
  committedAsRecord,
  committedRecord,
  endings,
  preparedRecord,
  rolledBackRecord,
  type CommittedRun,
} from "./transaction-records.ts";
import { forEachRow, runKeyOf, type RowRun } from "./transaction-rows.ts";
import type { TransactionEnd } from "./transaction-table.ts";
import { copyXid, xidKey } from "./xid.ts";

/** What the replay of transactions needs of that of everything else. */
export interface TransactionRecoveryParts {
  readonly restored: SnapshotRestorer;
  readonly rows: RowRecovery;
  readonly producers: ProducerRecovery;
}

/** What COMMITTED says. */
interface Committed {
  readonly transaction: number;
  readonly isHeuristic: boolean;
  readonly runs: readonly CommittedRun[];
}

/** The rest of a run of rows, while a commit is replayed. */
interface RunLeft extends RowRun {
  left: number;
}

/**
 * Replays the records of transactions in pieces. A snapshot describes them before everything that their
 * commits change. So one that it has only in part, or not at all, was decided while it was written, and all
 * that it changed of what the missing pieces name is described as of a later position.
 */
export class TransactionRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #rows: RowRecovery;
  readonly #producers: ProducerRecovery;
  readonly #record = createMessageRecordView();
  readonly #message = createPendingMessage();

  constructor(tables: StateTables, parts: TransactionRecoveryParts) {
    this.#tables = tables;
    this.#restored = parts.restored;
    this.#rows = parts.rows;
    this.#producers = parts.producers;
  }

  /** @throws EverholdError EVH_DATA_CORRUPT */
  apply(type: number, reference: number, payload: RecordPayload): void {
    if (type === recordTypes.transactionMessage) this.#applyMessage(reference, payload);
    else if (type === recordTypes.transactionAcknowledge) {
      this.#applyAcknowledge(reference, payload);
    } else if (type === recordTypes.prepared) this.#applyPrepared(payload);
    else if (type === recordTypes.committed) {
      this.#applyCommitted(payload, readPayload(committedRecord, payload));
    } else if (type === recordTypes.committedAs) this.#applyCommittedAs(payload);
    else this.#applyRolledBack(payload);
  }

  /** What was not prepared is gone. */
  dropOpen(): void {
    this.#tables.transactions.dropOpen();
  }

  /** Ends recovery: what prepared transactions have acknowledged is in nobody's reach. */
  finish(): void {
    const { transactions, queues } = this.#tables;
    transactions.recovered();
    for (const transaction of transactions.prepared()) {
      for (const [queueId, keys] of transaction.acknowledged) {
        const queue = queues.get(queueId);
        for (const key of keys) if (queue?.isReady(key) === true) queue.take(key);
      }
    }
  }

  #applyMessage(addressId: number, payload: RecordPayload): void {
    const { position, bytes, view, start, end } = payload;
    const record = this.#record;
    readMessage(position, bytes, view, start, end, record);
    if (record.transaction < 0) throw corrupt(position, "found a piece of no transaction");
    const transaction = this.#transactionOf(record.transaction, position);
    if (position <= transaction.lastMessagePosition) return;
    const message = this.#message;
    message.position = position;
    message.messageOffset = record.messageLength > 0 ? record.messageOffset : 0;
    message.messageLength = record.messageLength;
    message.expiryUnits = this.#tables.expiry.unitsOf(record.expirationMs);
    message.dueMs = record.dueMs;
    message.lane = 0;
    message.group = record.group;
    message.largeBytes = 0;
    if (record.partsAt >= 0) {
      const body = readLargeList(this.#tables.log, view, record.partsAt, position);
      if (body === undefined) throw corrupt(position, "found a list of parts that cannot be one");
      this.#tables.large.define(position, body);
      message.largeBytes = body.bytes;
    }
    const targets: number[] = [];
    for (let index = 0; index < record.targetCount; index += 1) {
      targets.push(targetQueueId(record, view, index));
      message.lane = laneOfKey(targetKey(record, view, index, position));
    }
    transaction.addMessage(message, targets, originsOf(record, bytes, position));
    readLastValues(record, position, bytes, view, (queueId, lastValue) => {
      const index = targets.indexOf(queueId);
      const begin = transaction.targetsBegin(transaction.messageCount - 1);
      if (index >= 0) transaction.setLastValue(begin + index, lastValue);
    });
    this.#tables.transactions.messageAdded(transaction);
    if (record.markAt >= 0) {
      const { markAt, markEpoch, markSequence } = record;
      transaction.addMark(bytes, markAt, markEpoch, markSequence);
    }
    if (record.duplicateStart >= 0) {
      const id = bytes.slice(record.duplicateStart, record.duplicateEnd);
      transaction.addDuplicate(addressId, id);
    }
  }

  #applyAcknowledge(queueId: number, payload: RecordPayload): void {
    const { position, bytes, view, start, end } = payload;
    if (end - start < 8) throw corrupt(position, `found ${end - start} bytes, expected 8 and more`);
    const id = keyAt(view, start);
    if (!Number.isSafeInteger(id)) throw corrupt(position, `found the transaction ${id}`);
    const keys: number[] = [];
    readAcknowledge(position, bytes, view, start + 8, end, (key) => keys.push(key));
    const transaction = this.#transactionOf(id, position);
    if (position <= transaction.lastAcknowledgePosition) return;
    transaction.lastAcknowledgePosition = position;
    transaction.addAcknowledgements(queueId, keys);
  }

  #applyPrepared(payload: RecordPayload): void {
    const { position } = payload;
    const { transaction: id, createdMs, xid } = readPayload(preparedRecord, payload);
    const transaction = this.#transactionOf(id, position);
    if (!transaction.isPrepared) {
      this.#tables.transactions.prepare(transaction, copyXid(xid), createdMs);
    }
    transaction.advanceMarks(this.#producers, position);
  }

  #applyCommittedAs(payload: RecordPayload): void {
    const { producerId, epoch, number, ...rest } = readPayload(committedAsRecord, payload);
    this.#applyCommitted(payload, { ...rest, isHeuristic: false });
    // A snapshot that was written after the commit may have the transaction no more, and the number not yet.
    this.#producers.advance(producerId, 0, epoch, number, payload.position);
  }

  #applyCommitted(payload: RecordPayload, record: Committed): void {
    const { position } = payload;
    const { transaction: id, isHeuristic, runs } = record;
    const transaction = this.#ended(id, position);
    if (transaction === undefined) return;
    const left = new Map<number, RunLeft>();
    for (const { queueId, key, count } of runs) {
      left.set(runKeyOf(queueId, laneOfKey(key)), { next: key, left: count });
    }
    this.#addRows(transaction, left, position);
    const isPartial = this.#restored.isBehind(position);
    for (const { left: count } of left.values()) {
      if (count < 0 || (count > 0 && !isPartial)) {
        throw corrupt(position, `found ${count} rows too many for a transaction`);
      }
    }
    this.#settle(transaction, position);
    for (const { addressId, id: duplicate } of transaction.duplicates) {
      if (this.#restored.coversAddress(addressId, position)) continue;
      const address = this.#tables.addresses.get(addressId);
      address?.duplicates.add(duplicate, 0, duplicate.length);
    }
    if (!transaction.isPrepared) transaction.advanceMarks(this.#producers, position);
    this.#end(transaction, { isCommitted: true, isHeuristic, position });
  }

  #applyRolledBack(payload: RecordPayload): void {
    const { position } = payload;
    const { ending: number, transaction: id, xid } = readPayload(rolledBackRecord, payload);
    const ending = endings[number];
    if (ending === undefined) throw corrupt(position, `found the ending ${number}`);
    if (ending === "forgotten") {
      if (xid === null) throw corrupt(position, "found no xid to forget");
      if (!this.#restored.coversOutcome(position)) {
        this.#tables.transactions.heuristics.delete(xidKey(xid));
      }
      return;
    }
    const transaction = this.#ended(id, position);
    if (transaction === undefined) return;
    if (transaction.isPrepared) transaction.revokeMarks(this.#producers, position);
    const isHeuristic = ending === "rolledBackByHand";
    this.#end(transaction, { isCommitted: false, isHeuristic, position });
  }

  /** Adds the rows of a commit to the queues that were there, those that the snapshot has not. */
  #addRows(
    transaction: StoredTransaction,
    left: ReadonlyMap<number, RunLeft>,
    position: number,
  ): void {
    forEachRow(transaction, left, position, (run, row, queueId) => {
      const queue = this.#tables.queues.get(queueId);
      // A queue that the snapshot does not have any more was deleted while it was written.
      if (queue !== undefined) this.#rows.restoreRow(queue, run.next, row, position);
      run.left -= 1;
    });
  }

  #settle(transaction: StoredTransaction, position: number): void {
    for (const [queueId, keys] of transaction.acknowledged) {
      const queue = this.#tables.queues.get(queueId);
      if (queue === undefined) continue;
      for (const key of keys) {
        if (this.#restored.coversRow(queueId, key, position) || !queue.has(key)) continue;
        queue.removeRow(key);
      }
    }
  }

  #end(transaction: StoredTransaction, how: TransactionEnd): void {
    const isRemembered = !this.#restored.coversOutcome(how.position);
    this.#tables.transactions.end(transaction, how, isRemembered);
  }

  /** The transaction of a piece: of its first record, or a known one. */
  #transactionOf(id: number, position: number): StoredTransaction {
    const { transactions } = this.#tables;
    const wanted = id === 0 ? position : id;
    const found = transactions.find(wanted);
    if (found !== undefined) return found;
    if (id !== 0 && !this.#restored.isBehind(position)) {
      throw corrupt(position, `found the transaction ${id}, which has no earlier record`);
    }
    const transaction = new StoredTransaction();
    transaction.id = wanted;
    transactions.add(transaction);
    return transaction;
  }

  /** The transaction that ends; `undefined` where the snapshot was written after that. */
  #ended(id: number, position: number): StoredTransaction | undefined {
    const transaction = this.#tables.transactions.find(id);
    if (transaction === undefined && !this.#restored.isBehind(position)) {
      throw corrupt(position, `found the end of the transaction ${id}, which is not there`);
    }
    return transaction;
  }
}
