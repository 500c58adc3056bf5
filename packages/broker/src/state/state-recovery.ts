import { EverholdError } from "@everhold/base";
import { ByteReader } from "@everhold/wire";
import { readAcknowledge } from "./acknowledge-record.ts";
import { volatileIdBase } from "./address-state.ts";
import {
  createMessageRecordView,
  originsOf,
  readLastValues,
  readMessage,
  targetKey,
  targetQueueId,
} from "./read-message.ts";
import { readLargeList } from "./large-body.ts";
import { createNewRow, type NewRow, type QueueState } from "./queue-state.ts";
import {
  addressRecord,
  catalogRecord,
  corrupt,
  deliveryCountRecord,
  dispatchLimitRecord,
  emptyRecord,
  lastValueRecord,
  moveReasons,
  moveRecord,
  producerForgetRecord,
  producerRecord,
  producerRefusedRecord,
  queueRecord,
  readRecord,
  recordTypes,
  redeliverLaterRecord,
  relocateGroupedRecord,
  relocateRecord,
} from "./records.ts";
import { isLane, laneOfKey, rowKey, volatileLaneOffset } from "./row-key.ts";
import { divertRecord, settingsRecord } from "./rules.ts";
import { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";
import { TransactionRecovery } from "./transaction-recovery.ts";

/** The payload of a record that is being applied. */
export interface Payload {
  position: number;
  bytes: Uint8Array;
  view: DataView;
  start: number;
  end: number;
}

type Move = ReturnType<typeof relocateRecord.read> & { readonly group: number };

/**
 * Rebuilds the state from a snapshot and the records behind its beginning. A record is skipped for whatever
 * the snapshot describes as of a later position, and for what the snapshot does not know because it was
 * deleted while the snapshot was written: the record of that deletion must follow.
 */
export class StateRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #transactions: TransactionRecovery;
  readonly #message = createMessageRecordView();
  readonly #row: NewRow = createNewRow();
  /** Ids that records named and that are not there, each with the first such record's position. */
  readonly #missing = new Map<number, number>();
  readonly #reader = new ByteReader(undefined, { strict: true });
  readonly #payload: Payload = {
    position: 0,
    bytes: this.#reader.bytes,
    view: this.#reader.view,
    start: 0,
    end: 0,
  };

  constructor(tables: StateTables) {
    this.#tables = tables;
    this.#restored = new SnapshotRestorer(tables);
    this.#transactions = new TransactionRecovery(tables, this.#restored, {
      addRow: (queue, key, row, position) => {
        this.#restoreRow(queue, key, row, position);
      },
      advance: (id, epoch, sequence, position) => this.#advance(id, 0, epoch, sequence, position),
    });
  }

  /** @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT */
  restoreSection(
    kind: number,
    asOf: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    this.#restored.restoreSection(kind, asOf, this.#reader.reset(bytes, view, start, end));
  }

  /** @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT */
  applyRecord(
    type: number,
    reference: number,
    position: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void {
    this.#restored.endSections();
    const payload = this.#payload;
    payload.position = position;
    payload.bytes = bytes;
    payload.view = view;
    payload.start = start;
    payload.end = end;
    this.#apply(type, reference, payload);
  }

  /**
   * Ends recovery: queues join their addresses, and rows that may have been handed out are marked.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  finish(): void {
    this.#restored.endSections();
    this.#transactions.dropOpen();
    const bodiless = this.#tables.large.finishRecovery();
    if (bodiless >= 0) throw corrupt(bodiless, "found no list of the parts of its message");
    for (const [id, position] of this.#missing) {
      throw corrupt(position, `found id ${id}, which no earlier record or snapshot defines`);
    }
    const name = this.#tables.rebuildNames();
    if (name !== undefined) {
      throw new EverholdError("EVH_DATA_CORRUPT", `cannot recover: two have the name ${name}`);
    }
    const queues = [...this.#tables.queues.values()].toSorted((left, right) => left.id - right.id);
    for (const queue of queues) {
      const addressId = this.#restored.addressIds.get(queue.id) ?? 0;
      const address = this.#tables.addresses.get(addressId);
      if (address === undefined) {
        throw new EverholdError(
          "EVH_DATA_CORRUPT",
          `cannot recover queue ${queue.definition.name}: found no address of id ${addressId}`,
        );
      }
      address.attach(queue);
      markHandedOut(this.#tables, queue);
    }
    this.#transactions.finish();
  }

  #apply(type: number, reference: number, payload: Payload): void {
    switch (type) {
      case recordTypes.message:
        this.#applyMessage(reference, payload);
        return;
      case recordTypes.acknowledge:
        this.#applyAcknowledge(reference, payload);
        return;
      case recordTypes.catalog:
        this.#applyCatalog(payload);
        return;
      case recordTypes.address:
        this.#applyAddress(reference, payload);
        return;
      case recordTypes.addressDelete:
        this.#applyAddressDelete(reference, payload);
        return;
      case recordTypes.queue:
        this.#applyQueue(reference, payload);
        return;
      case recordTypes.queueDelete:
        this.#applyQueueDelete(reference, payload);
        return;
      case recordTypes.dispatchLimit:
        this.#applyDispatchLimit(reference, payload);
        return;
      case recordTypes.deliveryCount:
        this.#applyDeliveryCount(reference, payload);
        return;
      case recordTypes.move:
        this.#applyMove(reference, payload, {
          ...this.#read(moveRecord, payload),
          dueMs: 0,
          origin: "",
          group: 0,
        });
        return;
      case recordTypes.relocate:
        this.#applyMove(reference, payload, {
          ...this.#read(relocateRecord, payload),
          group: 0,
        });
        return;
      case recordTypes.relocateGrouped:
        this.#applyMove(reference, payload, this.#read(relocateGroupedRecord, payload));
        return;
      case recordTypes.part:
        // The record of its message names it. Where there is none, the upload was not finished.
        return;
      case recordTypes.lastValue:
        this.#applyLastValue(reference, payload);
        return;
      case recordTypes.due:
        this.#applyDue(reference, payload);
        return;
      case recordTypes.redeliverLater:
        this.#applyRedeliverLater(reference, payload);
        return;
      case recordTypes.settings:
        this.#tables.rules.applySettings(this.#read(settingsRecord, payload));
        return;
      case recordTypes.divert:
        this.#tables.rules.applyDivert(this.#read(divertRecord, payload));
        return;
      case recordTypes.producer:
        this.#applyProducer(payload);
        return;
      case recordTypes.producerRefused:
        this.#applyProducerRefused(payload);
        return;
      case recordTypes.producerForget:
        this.#applyProducerForget(payload);
        return;
      case recordTypes.transactionMessage:
      case recordTypes.transactionAcknowledge:
      case recordTypes.prepared:
      case recordTypes.committed:
      case recordTypes.rolledBack:
        this.#transactions.apply(type, reference, payload);
        return;
      default:
        throw new EverholdError(
          "EVH_DATA_FORMAT",
          `cannot apply the record at position ${payload.position}: found type ${type}, which this version does not know; open the data folder with the version that wrote it`,
        );
    }
  }

  #applyMessage(addressId: number, payload: Payload): void {
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
      this.#addRow(queueId, key, position);
    }
    row.lastValue = undefined;
    if (message.markAt >= 0) {
      this.#advance(bytes, message.markAt, message.markEpoch, message.markSequence, position);
    }
    if (message.duplicateStart < 0) return;
    const address = this.#tables.addresses.get(addressId);
    if (address === undefined) this.#noteMissing(addressId, position);
    else if (!this.#restored.coversAddress(addressId, position)) {
      address.duplicates.add(bytes, message.duplicateStart, message.duplicateEnd);
    }
  }

  #applyParts(partsAt: number, { position, view }: Payload): void {
    const body = readLargeList(this.#tables.log, view, partsAt, position);
    if (body === undefined) throw corrupt(position, "found a list of parts that cannot be one");
    this.#tables.large.define(position, body);
  }

  /** The keys of values by queue; `undefined` when the message has none. */
  #lastValuesOf({ position, bytes, view }: Payload): Map<number, string> | undefined {
    const message = this.#message;
    if (message.lastValuesStart >= message.lastValuesEnd) return undefined;
    const found = new Map<number, string>();
    readLastValues(message, position, bytes, view, (queueId, lastValue) => {
      found.set(queueId, lastValue);
    });
    return found;
  }

  #applyAcknowledge(queueId: number, payload: Payload): void {
    const { position, bytes, view, start, end } = payload;
    const queue = this.#queue(queueId, position);
    if (queue === undefined) return;
    readAcknowledge(position, bytes, view, start, end, (key) => {
      this.#removeRow(queue, key, position);
    });
  }

  #applyCatalog(payload: Payload): void {
    const { expiryBaseMs } = this.#read(catalogRecord, payload);
    const { expiry } = this.#tables;
    if (expiryBaseMs === 0 || (expiry.baseMs !== 0 && expiry.baseMs !== expiryBaseMs)) {
      throw corrupt(payload.position, `found expiry base ${expiryBaseMs}, had ${expiry.baseMs}`);
    }
    expiry.setBase(expiryBaseMs);
  }

  #applyAddress(id: number, payload: Payload): void {
    const definition = this.#read(addressRecord, payload);
    if (this.#restored.coversAddress(id, payload.position)) return;
    this.#tables.putAddress(id, definition, true);
  }

  #applyAddressDelete(id: number, payload: Payload): void {
    this.#read(emptyRecord, payload);
    const address = this.#tables.addresses.get(id);
    this.#resolveMissing(id, address !== undefined, payload.position);
    if (address !== undefined) this.#tables.removeAddress(address);
  }

  #applyQueue(id: number, payload: Payload): void {
    const { addressId, definition } = this.#read(queueRecord, payload);
    if (this.#restored.coversQueue(id, payload.position)) return;
    const queue = this.#tables.queues.get(id);
    if (queue !== undefined) {
      if (queue.definition.name !== definition.name) {
        throw corrupt(payload.position, `found another name for the queue ${id}`);
      }
      queue.define(definition);
      return;
    }
    if (this.#restored.hasPassed(id)) {
      this.#noteMissing(id, payload.position);
      return;
    }
    this.#tables.putQueue(id, definition, true);
    this.#restored.addressIds.set(id, addressId);
  }

  #applyQueueDelete(id: number, payload: Payload): void {
    this.#read(emptyRecord, payload);
    const queue = this.#tables.queues.get(id);
    this.#resolveMissing(id, queue !== undefined, payload.position);
    if (queue !== undefined) this.#tables.removeQueue(queue);
  }

  #applyDispatchLimit(queueId: number, payload: Payload): void {
    const { lane, limit } = this.#read(dispatchLimitRecord, payload);
    const queue = this.#queue(queueId, payload.position);
    if (!isStoredLane(lane)) throw corrupt(payload.position, `found a limit for lane ${lane}`);
    queue?.dispatchLimit(lane).raise(limit, payload.position, payload.position + 1);
  }

  #applyDeliveryCount(queueId: number, payload: Payload): void {
    const { key, count } = this.#read(deliveryCountRecord, payload);
    const queue = this.#queue(queueId, payload.position);
    if (queue === undefined || this.#restored.coversRow(queueId, key, payload.position)) return;
    const row = queue.findRow(key);
    if (row < 0) throw corrupt(payload.position, `found row key ${key}, which is not there`);
    this.#tables.rows.setDeliveryCount(row, count);
  }

  #applyRedeliverLater(queueId: number, payload: Payload): void {
    const { position } = payload;
    const { key, count, dueMs, holdsOthers } = this.#read(redeliverLaterRecord, payload);
    const queue = this.#queue(queueId, position);
    if (queue === undefined || this.#restored.coversRow(queueId, key, position)) return;
    const row = queue.findRow(key);
    if (row < 0) throw corrupt(position, `found row key ${key}, which is not there`);
    if (dueMs === 0 || queue.isScheduled(key)) {
      throw corrupt(
        position,
        `found due time ${dueMs} for row key ${key}, which cannot wait for it`,
      );
    }
    this.#tables.rows.setDeliveryCount(row, count);
    queue.delay(key, dueMs, holdsOthers);
  }

  #applyLastValue(queueId: number, payload: Payload): void {
    const { key, lastValue, since } = this.#read(lastValueRecord, payload);
    const queue = this.#queue(queueId, payload.position);
    if (queue === undefined || this.#restored.coversRow(queueId, key, payload.position)) return;
    if (!queue.has(key)) {
      throw corrupt(payload.position, `found row key ${key}, which is not there`);
    }
    queue.setLastValue(key, lastValue, queue.isScheduled(key) ? -1 : since);
  }

  #applyDue(queueId: number, payload: Payload): void {
    const { position, bytes, view, start, end } = payload;
    const queue = this.#queue(queueId, position);
    if (queue === undefined) return;
    readAcknowledge(position, bytes, view, start, end, (key) => {
      if (this.#restored.coversRow(queueId, key, position)) return;
      const row = queue.findRow(key);
      if (row < 0) throw corrupt(position, `found row key ${key}, which is not there`);
      if (this.#tables.rows.dueMs(row) === 0) {
        throw corrupt(position, `found row key ${key}, which waits for no time`);
      }
      queue.fallDue(key, position);
      queue.showDue(key);
    });
  }

  #applyMove(queueId: number, payload: Payload, move: Move): void {
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
      this.#addRow(target.queueId, target.key, position);
    }
    // A queue that was in memory only has no rows that could have survived.
    const queue = queueId >= volatileIdBase ? undefined : this.#queue(queueId, position);
    if (queue !== undefined) this.#removeRow(queue, move.key, position);
  }

  #applyProducer(payload: Payload): void {
    const { id, epoch } = this.#read(producerRecord, payload);
    this.#advance(id, 0, epoch, 0, payload.position);
  }

  #applyProducerRefused(payload: Payload): void {
    const { id, epoch, first, last, code } = this.#read(producerRefusedRecord, payload);
    if (first < 1 || last < first) {
      throw corrupt(payload.position, `found refused sequences ${first} to ${last}`);
    }
    const slot = this.#advance(id, 0, epoch, last, payload.position);
    if (slot >= 0) this.#tables.producers.refuse(slot, first, last, code);
  }

  #applyProducerForget(payload: Payload): void {
    const { producers } = this.#tables;
    for (const id of this.#read(producerForgetRecord, payload).ids) {
      const slot = producers.find(id, 0);
      if (slot < 0 || this.#restored.coversProducer(slot, payload.position)) continue;
      producers.forget(slot);
    }
  }

  /** Moves a producer on, unless the snapshot knows better; −1 then. */
  #advance(
    bytes: Uint8Array,
    offset: number,
    epoch: number,
    sequence: number,
    position: number,
  ): number {
    const { producers } = this.#tables;
    const known = producers.find(bytes, offset);
    if (known >= 0 && this.#restored.coversProducer(known, position)) return -1;
    return producers.advance(bytes, offset, epoch, sequence, position);
  }

  /** Adds `#row` to a queue, unless the snapshot has it or knows that it is gone. */
  #addRow(queueId: number, key: number, position: number): void {
    const queue = this.#queue(queueId, position);
    if (queue !== undefined) this.#restoreRow(queue, key, this.#row, position);
  }

  #restoreRow(queue: QueueState, key: number, row: NewRow, position: number): void {
    if (this.#restored.coversRow(queue.id, key, position)) return;
    const expected = queue.nextKey(laneOfKey(key));
    if (key !== expected) throw corrupt(position, `found row key ${key}, expected ${expected}`);
    queue.addRow(key, row);
  }

  #removeRow(queue: QueueState, key: number, position: number): void {
    if (this.#restored.coversRow(queue.id, key, position)) return;
    if (!queue.has(key)) throw corrupt(position, `found row key ${key}, which is not there`);
    queue.removeRow(key);
  }

  #queue(id: number, position: number): QueueState | undefined {
    const queue = this.#tables.queues.get(id);
    if (queue === undefined) this.#noteMissing(id, position);
    return queue;
  }

  #noteMissing(id: number, position: number): void {
    // Addresses that were in memory only have left no record of themselves.
    if (id < volatileIdBase && !this.#missing.has(id)) this.#missing.set(id, position);
  }

  /** What records named under an id that is gone from the snapshot ends here, as it did in life. */
  #resolveMissing(id: number, isThere: boolean, position: number): void {
    if (!isThere && !this.#restored.hasSnapshot) {
      throw corrupt(position, `found id ${id}, which is not there`);
    }
    this.#missing.delete(id);
  }

  #read<T>(field: Parameters<typeof readRecord<T>>[0], payload: Payload): T {
    const { position, bytes, view, start, end } = payload;
    return readRecord(field, position, bytes, view, start, end);
  }
}

/**
 * Marks the rows below the dispatch limits: they may have been handed out before the broker stopped. Not
 * those that wait for their time.
 */
function markHandedOut(tables: StateTables, queue: QueueState): void {
  for (let number = 0; number < volatileLaneOffset; number += 1) {
    const lane = queue.lane(number);
    const limit = queue.dispatchLimitOf(number);
    if (lane === undefined || limit === 0) continue;
    for (
      let sequence = lane.liveFrom(0);
      sequence >= 0 && sequence < limit;
      sequence = lane.liveFrom(sequence + 1)
    ) {
      const row = queue.findRow(rowKey(sequence, number));
      if (!tables.rows.isScheduled(row)) tables.rows.markRedelivered(row);
    }
  }
}

function isStoredLane(lane: number): boolean {
  return isLane(lane) && lane < volatileLaneOffset;
}
