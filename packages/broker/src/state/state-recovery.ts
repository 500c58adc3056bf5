import { EverholdError } from "@everhold/base";
import { ByteReader } from "@everhold/wire";
import { CatalogRecovery } from "./catalog-recovery.ts";
import { MessageRecovery } from "./message-recovery.ts";
import { MissingIds } from "./missing-ids.ts";
import { ProducerRecovery } from "./producer-recovery.ts";
import type { QueueState } from "./queue-state.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import {
  corrupt,
  moveRecord,
  recordTypes,
  relocateGroupedRecord,
  relocateRecord,
} from "./records.ts";
import { sessionRecord } from "./returning-sessions.ts";
import { rowKey, volatileLaneOffset } from "./row-key.ts";
import { RowRecovery } from "./row-recovery.ts";
import { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";
import { TransactionRecovery } from "./transaction-recovery.ts";

/**
 * Rebuilds the state from a snapshot and the records behind its beginning. A record is skipped for whatever
 * the snapshot describes as of a later position, and for what the snapshot does not know because it was
 * deleted while the snapshot was written: the record of that deletion must follow.
 */
export class StateRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #transactions: TransactionRecovery;
  readonly #missing: MissingIds;
  readonly #catalog: CatalogRecovery;
  readonly #messages: MessageRecovery;
  readonly #producers: ProducerRecovery;
  readonly #reader = new ByteReader(undefined, { strict: true });
  readonly #payload: RecordPayload = {
    position: 0,
    bytes: this.#reader.bytes,
    view: this.#reader.view,
    start: 0,
    end: 0,
  };

  constructor(tables: StateTables) {
    this.#tables = tables;
    const restored = new SnapshotRestorer(tables);
    const missing = new MissingIds(restored);
    const rows = new RowRecovery(tables, restored, missing);
    const producers = new ProducerRecovery(tables, restored);
    this.#restored = restored;
    this.#missing = missing;
    this.#catalog = new CatalogRecovery(tables, restored, missing);
    this.#producers = producers;
    this.#messages = new MessageRecovery(tables, { restored, missing, rows, producers });
    this.#transactions = new TransactionRecovery(tables, { restored, rows, producers });
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
    this.#missing.finish();
    for (const queue of this.#catalog.finish()) markHandedOut(this.#tables, queue);
    this.#transactions.finish();
  }

  #apply(type: number, reference: number, payload: RecordPayload): void {
    switch (type) {
      case recordTypes.message:
        this.#messages.add(reference, payload);
        return;
      case recordTypes.acknowledge:
        this.#messages.acknowledge(reference, payload);
        return;
      case recordTypes.catalog:
        this.#catalog.begin(payload);
        return;
      case recordTypes.address:
        this.#catalog.putAddress(reference, payload);
        return;
      case recordTypes.addressDelete:
        this.#catalog.deleteAddress(reference, payload);
        return;
      case recordTypes.queue:
        this.#catalog.putQueue(reference, payload);
        return;
      case recordTypes.queueDelete:
        this.#catalog.deleteQueue(reference, payload);
        return;
      case recordTypes.dispatchLimit:
        this.#messages.raiseLimit(reference, payload);
        return;
      case recordTypes.deliveryCount:
        this.#messages.setDeliveryCount(reference, payload);
        return;
      case recordTypes.move:
        this.#messages.move(reference, payload, {
          ...readPayload(moveRecord, payload),
          dueMs: 0,
          origin: "",
          group: 0,
        });
        return;
      case recordTypes.relocate:
        this.#messages.move(reference, payload, {
          ...readPayload(relocateRecord, payload),
          group: 0,
        });
        return;
      case recordTypes.relocateGrouped:
        this.#messages.move(reference, payload, readPayload(relocateGroupedRecord, payload));
        return;
      case recordTypes.part:
        // The record of its message names it. Where there is none, the upload was not finished.
        return;
      case recordTypes.lastValue:
        this.#messages.setLastValue(reference, payload);
        return;
      case recordTypes.due:
        this.#messages.fallDue(reference, payload);
        return;
      case recordTypes.redeliverLater:
        this.#messages.redeliverLater(reference, payload);
        return;
      case recordTypes.settings:
        this.#catalog.setSettings(payload);
        return;
      case recordTypes.divert:
        this.#catalog.setDivert(payload);
        return;
      case recordTypes.session:
        this.#tables.sessions.apply(readPayload(sessionRecord, payload));
        return;
      case recordTypes.producer:
        this.#producers.open(payload);
        return;
      case recordTypes.producerRefused:
        this.#producers.refuse(payload);
        return;
      case recordTypes.numberApplied:
        this.#producers.apply(payload);
        return;
      case recordTypes.producerForget:
        this.#producers.forget(payload);
        return;
      case recordTypes.transactionMessage:
      case recordTypes.transactionAcknowledge:
      case recordTypes.prepared:
      case recordTypes.committed:
      case recordTypes.committedAs:
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
}

/**
 * Marks the rows below the dispatch limits: they may have been handed out before the broker stopped. Not
 * those that wait for their time.
 */
function markHandedOut(tables: StateTables, queue: QueueState): void {
  for (let number = 0; number < volatileLaneOffset; number += 1) {
    const lane = queue.lanes.lane(number);
    const limit = queue.limits.recorded(number);
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
