import type { MarkedRun } from "./marked-runs.ts";
import { readPayload, type RecordPayload } from "./record-payload.ts";
import {
  corrupt,
  numberAppliedRecord,
  producerForgetRecord,
  producerRecord,
  producerRefusedRecord,
} from "./records.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";

/** Replays the records of producers, and their marks in the records of messages. */
export class ProducerRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;

  constructor(tables: StateTables, restored: SnapshotRestorer) {
    this.#tables = tables;
    this.#restored = restored;
  }

  /** PRODUCER: a producer, or a newer incarnation of it. @throws EverholdError EVH_DATA_CORRUPT */
  open(payload: RecordPayload): void {
    const { id, epoch } = readPayload(producerRecord, payload);
    this.advance(id, 0, epoch, 0, payload.position);
  }

  /** PRODUCER_REFUSED: sequences that took no effect. @throws EverholdError EVH_DATA_CORRUPT */
  refuse(payload: RecordPayload): void {
    const { id, epoch, first, last, code } = readPayload(producerRefusedRecord, payload);
    if (first < 1 || last < first) {
      throw corrupt(payload.position, `found refused sequences ${first} to ${last}`);
    }
    const slot = this.advance(id, 0, epoch, last, payload.position);
    if (slot >= 0) this.#tables.producers.refuse(slot, first, last, code);
  }

  /** NUMBER_APPLIED: a commit that took effect. @throws EverholdError EVH_DATA_CORRUPT */
  apply(payload: RecordPayload): void {
    const { producerId, epoch, number } = readPayload(numberAppliedRecord, payload);
    this.advance(producerId, 0, epoch, number, payload.position);
  }

  /** PRODUCER_FORGET. @throws EverholdError EVH_DATA_CORRUPT */
  forget(payload: RecordPayload): void {
    const { producers } = this.#tables;
    producers.hasForgotten = true;
    for (const id of readPayload(producerForgetRecord, payload).ids) {
      const slot = producers.find(id, 0);
      if (slot < 0 || this.#restored.coversProducer(slot, payload.position)) continue;
      producers.forget(slot);
    }
  }

  /** As `ProducerMarks.revoke`, unless the snapshot knows better. */
  revoke(run: MarkedRun, position: number): void {
    const { producers } = this.#tables;
    const slot = producers.find(run.id, 0);
    if (slot < 0 || this.#restored.coversProducer(slot, position)) return;
    producers.revoke(run, position);
  }

  /** Moves a producer on, unless the snapshot knows better; −1 then. */
  advance(
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
}
