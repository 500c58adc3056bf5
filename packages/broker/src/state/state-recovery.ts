import { EverholdError } from "@everhold/base";
import { ByteReader } from "@everhold/wire";
import { CatalogRecovery } from "./catalog-recovery.ts";
import { MessageRecovery } from "./message-recovery.ts";
import { MissingIds } from "./missing-ids.ts";
import { ProducerRecovery } from "./producer-recovery.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import {
  corrupt,
  moveRecord,
  recordTypes,
  relocateGroupedRecord,
  relocateRecord,
} from "./records.ts";
import { sessionRecord } from "./returning-sessions.ts";
import { volatileLaneOffset } from "./row-key.ts";
import { RowRecovery } from "./row-recovery.ts";
import { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";
import { TransactionRecovery } from "./transaction-recovery.ts";

/**
 * Rebuilds the state from a snapshot and the records behind its beginning. A record is skipped for whatever
 * the snapshot describes as of a later position, and for what the snapshot does not know because it was
 * deleted while the snapshot was written: the record of that deletion must follow.
 *
 * From the first record behind the snapshot's end on, nothing is skipped any more and the state is whole, as
 * the one that wrote the records has it: it may follow them without end, and write snapshots of its own.
 */
export class StateRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #transactions: TransactionRecovery;
  readonly #missing: MissingIds;
  readonly #rows: RowRecovery;
  #hasPassed = false;
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
    this.#rows = rows;
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
    if (this.#restored.isBehind(position)) this.#restored.endSections();
    else this.passSnapshot();
    const payload = this.#payload;
    payload.position = position;
    payload.bytes = bytes;
    payload.view = view;
    payload.start = start;
    payload.end = end;
    this.#apply(type, reference, payload);
  }

  /**
   * All records that the snapshot may cover were applied: queues join their addresses, rows that may have
   * been handed out are marked, and what recovery kept because of the snapshot is forgotten.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  passSnapshot(): void {
    if (this.#hasPassed) return;
    this.#hasPassed = true;
    this.#restored.endSections();
    const bodiless = this.#tables.large.findBodiless();
    if (bodiless >= 0) throw corrupt(bodiless, "found no list of the parts of its message");
    this.#missing.finish();
    this.#catalog.link();
    for (const queue of this.#tables.queues.values()) {
      for (let lane = 0; lane < volatileLaneOffset; lane += 1) {
        this.#rows.markHandedOut(queue, lane, 0);
      }
    }
    this.#restored.forget();
  }

  /**
   * Ends recovery: what was in flight is let go. Takes time in proportion to that and to the queues, not to
   * the messages, once the snapshot's end is passed.
   * @throws EverholdError EVH_DATA_CORRUPT
   */
  finish(): void {
    this.passSnapshot();
    this.#transactions.dropOpen();
    this.#tables.large.finishRecovery();
    this.#catalog.checkNames();
    this.#transactions.finish();
  }

  /** Who wrote the records so far writes no more: the transactions that it had open are gone. */
  endReign(): void {
    this.#transactions.dropOpen();
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
