import { readAcknowledge } from "./acknowledge-record.ts";
import { volatileIdBase } from "./address-state.ts";
import { readLargeList } from "./large-body.ts";
import type { MissingIds } from "./missing-ids.ts";
import type { ProducerRecovery } from "./producer-recovery.ts";
import { createNewRow, type NewRow } from "./new-row.ts";
import {
  createMessageRecordView,
  originsOf,
  readLastValues,
  readMessage,
  targetKey,
  targetQueueId,
} from "./read-message.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import {
  corrupt,
  deliveryCountRecord,
  dispatchLimitRecord,
  lastValueRecord,
  moveReasons,
  redeliverLaterRecord,
  type relocateRecord,
} from "./records.ts";
import { isLane, laneOfKey, sequenceOfKey, volatileLaneOffset } from "./row-key.ts";
import type { RowRecovery } from "./row-recovery.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";

/** What a record says of a message that went to other queues. */
export type MoveRecord = ReturnType<typeof relocateRecord.read> & { readonly group: number };

/** What the replay of messages needs of that of everything else. */
export interface MessageRecoveryParts {
  readonly restored: SnapshotRestorer;
  readonly missing: MissingIds;
  readonly rows: RowRecovery;
  readonly producers: ProducerRecovery;
}

/** Replays what became of messages, but for those of transactions in pieces. */
export class MessageRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #missing: MissingIds;
  readonly #rows: RowRecovery;
  readonly #producers: ProducerRecovery;
  readonly #message = createMessageRecordView();
  readonly #row: NewRow = createNewRow();

  constructor(tables: StateTables, parts: MessageRecoveryParts) {
    this.#tables = tables;
    this.#restored = parts.restored;
    this.#missing = parts.missing;
    this.#rows = parts.rows;
    this.#producers = parts.producers;
  }

  /**
   * MESSAGE: to all queues that it names, with its mark and its duplicate id.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  add(addressId: number, payload: RecordPayload): void {
    const { position, bytes, view, start, end } = payload;
    const message = this.#message;
    readMessage(position, bytes, view, start, end, message);
    if (message.partsAt >= 0) this.#applyParts(message.partsAt, payload);
    if (message.transaction >= 0) throw corrupt(position, "found a piece of a transaction");
    const row = this.#row;
    row.position = position;
    row.messageOffset = message.messageOffset;
    row.messageLength = message.messageLength;
    row.expiryUnits = this.#tables.expiry.unitsOf(message.expirationMs);
    row.dueMs = message.dueMs;
    row.origin = "";
    row.group = message.group;
    const originOf = originsOf(message, bytes, position);
    const lastValues = this.#lastValuesOf(payload);
    for (let index = 0; index < message.targetCount; index += 1) {
      const key = targetKey(message, view, index, position);
      const queueId = targetQueueId(message, view, index);
      if (originOf !== undefined) row.origin = originOf(index);
      row.lastValue = lastValues?.get(queueId);
      row.lastSince = row.dueMs > 0 ? -1 : position;
      this.#rows.addRow(queueId, key, row, position);
    }
    row.lastValue = undefined;
    if (message.markAt >= 0) {
      this.#producers.advance(
        bytes,
        message.markAt,
        message.markEpoch,
        message.markSequence,
        position,
      );
    }
    if (message.duplicateStart < 0) return;
    const address = this.#tables.addresses.get(addressId);
    if (address === undefined) this.#missing.note(addressId, position);
    else if (!this.#restored.coversAddress(addressId, position)) {
      address.duplicates.add(bytes, message.duplicateStart, message.duplicateEnd);
    }
  }

  /** ACKNOWLEDGE: these messages are gone. @throws EverholdError EVH_DATA_CORRUPT */
  acknowledge(queueId: number, payload: RecordPayload): void {
    const { position, bytes, view, start, end } = payload;
    const queue = this.#rows.queue(queueId, position);
    if (queue === undefined) return;
    readAcknowledge(position, bytes, view, start, end, (key) => {
      this.#rows.removeRow(queue, key, position);
    });
  }

  /** DISPATCH_LIMIT: what lies below it may have been handed out. @throws EverholdError EVH_DATA_CORRUPT */
  raiseLimit(queueId: number, payload: RecordPayload): void {
    const { lane, limit } = readPayload(dispatchLimitRecord, payload);
    const queue = this.#rows.queue(queueId, payload.position);
    if (!isStoredLane(lane)) throw corrupt(payload.position, `found a limit for lane ${lane}`);
    if (queue === undefined) return;
    const before = queue.limits.recorded(lane);
    queue.limits.of(lane).raise(limit, payload.position, payload.position + 1);
    this.#rows.markHandedOut(queue, lane, before);
  }

  /** DELIVERY_COUNT. @throws EverholdError EVH_DATA_CORRUPT */
  setDeliveryCount(queueId: number, payload: RecordPayload): void {
    const { key, count } = readPayload(deliveryCountRecord, payload);
    const queue = this.#rows.queue(queueId, payload.position);
    const row = queue === undefined ? -1 : this.#rows.findRow(queue, key, payload.position);
    if (row >= 0) this.#tables.rows.setDeliveryCount(row, count);
  }

  /** REDELIVER_LATER: a message came back, and waits. @throws EverholdError EVH_DATA_CORRUPT */
  redeliverLater(queueId: number, payload: RecordPayload): void {
    const { position } = payload;
    const { key, count, dueMs, holdsOthers } = readPayload(redeliverLaterRecord, payload);
    const queue = this.#rows.queue(queueId, position);
    if (queue === undefined) return;
    const row = this.#rows.findRow(queue, key, position);
    if (row < 0) return;
    if (dueMs === 0 || queue.isScheduled(key)) {
      throw corrupt(
        position,
        `found due time ${dueMs} for row key ${key}, which cannot wait for it`,
      );
    }
    this.#tables.rows.setDeliveryCount(row, count);
    this.#tables.rows.setRedelivered(row, false);
    queue.delay(key, dueMs, holdsOthers);
  }

  /** LAST_VALUE. @throws EverholdError EVH_DATA_CORRUPT */
  setLastValue(queueId: number, payload: RecordPayload): void {
    const { key, lastValue, since } = readPayload(lastValueRecord, payload);
    const queue = this.#rows.queue(queueId, payload.position);
    if (queue === undefined || this.#rows.findRow(queue, key, payload.position) < 0) return;
    queue.setLastValue(key, lastValue, queue.isScheduled(key) ? -1 : since);
  }

  /** DUE: the times of these messages have come. @throws EverholdError EVH_DATA_CORRUPT */
  fallDue(queueId: number, payload: RecordPayload): void {
    const { position, bytes, view, start, end } = payload;
    const queue = this.#rows.queue(queueId, position);
    if (queue === undefined) return;
    readAcknowledge(position, bytes, view, start, end, (key) => {
      const row = this.#rows.findRow(queue, key, position);
      if (row < 0) return;
      if (this.#tables.rows.dueMs(row) === 0) {
        throw corrupt(position, `found row key ${key}, which waits for no time`);
      }
      queue.fallDue(key, position);
      queue.showDue(key);
      const isBelow = sequenceOfKey(key) < queue.limits.recorded(laneOfKey(key));
      if (isBelow) this.#tables.rows.setRedelivered(row, true);
    });
  }

  /**
   * MOVE, RELOCATE and RELOCATE_GROUPED; `move` holds 0 and nothing for what the older ones lack.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  move(queueId: number, payload: RecordPayload, move: MoveRecord): void {
    const { position } = payload;
    if (move.reason >= moveReasons.length) throw corrupt(position, `found reason ${move.reason}`);
    if (move.position + move.messageOffset + move.messageLength > position) {
      throw corrupt(position, `found a body at ${move.position}, which is not in front of it`);
    }
    const row = this.#row;
    row.position = move.position;
    row.messageOffset = move.messageOffset;
    row.messageLength = move.messageLength;
    row.expiryUnits = this.#tables.expiry.unitsOf(move.expirationMs);
    row.dueMs = move.dueMs;
    row.origin = move.origin;
    row.group = move.group;
    for (const target of move.targets) {
      if (!isStoredLane(laneOfKey(target.key))) throw corrupt(position, `found key ${target.key}`);
      this.#rows.addRow(target.queueId, target.key, row, position);
    }
    // A queue that was in memory only has no rows that could have survived.
    const queue = queueId >= volatileIdBase ? undefined : this.#rows.queue(queueId, position);
    if (queue !== undefined) this.#rows.moveRow(queue, move.key, position);
  }

  #applyParts(partsAt: number, { position, view }: RecordPayload): void {
    const body = readLargeList(this.#tables.log, view, partsAt, position);
    if (body === undefined) throw corrupt(position, "found a list of parts that cannot be one");
    this.#tables.large.define(position, body);
  }

  /** The keys of values by queue; `undefined` when the message has none. */
  #lastValuesOf({ position, bytes, view }: RecordPayload): Map<number, string> | undefined {
    const message = this.#message;
    if (message.lastValuesStart >= message.lastValuesEnd) return undefined;
    const found = new Map<number, string>();
    readLastValues(message, position, bytes, view, (queueId, lastValue) => {
      found.set(queueId, lastValue);
    });
    return found;
  }
}

function isStoredLane(lane: number): boolean {
  return isLane(lane) && lane < volatileLaneOffset;
}
