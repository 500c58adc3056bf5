import type { MissingIds } from "./missing-ids.ts";
import type { NewRow } from "./new-row.ts";
import type { QueueState } from "./queue-state.ts";
import { corrupt } from "./records.ts";
import { createRowView } from "./row-bodies.ts";
import { laneOfKey, sequenceOfKey } from "./row-key.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";
import type { StateTables } from "./state-tables.ts";

const view = createRowView();

/** Adds and removes the rows that records name, but for what the snapshot knows better. */
export class RowRecovery {
  readonly #tables: StateTables;
  readonly #restored: SnapshotRestorer;
  readonly #missing: MissingIds;

  constructor(tables: StateTables, restored: SnapshotRestorer, missing: MissingIds) {
    this.#tables = tables;
    this.#restored = restored;
    this.#missing = missing;
  }

  /** The queue that the record at `position` names; noted as missing where it is not there. */
  queue(id: number, position: number): QueueState | undefined {
    const queue = this.#tables.queues.get(id);
    if (queue === undefined) this.#missing.note(id, position);
    return queue;
  }

  /** Adds a row to the queue of an id. @throws EverholdError EVH_DATA_CORRUPT */
  addRow(queueId: number, key: number, row: NewRow, position: number): void {
    const queue = this.queue(queueId, position);
    if (queue !== undefined) this.restoreRow(queue, key, row, position);
  }

  /**
   * Adds a row to a queue, unless the snapshot has it or knows that it is gone.
   * @throws EverholdError EVH_DATA_CORRUPT when the key is not the next one
   */
  restoreRow(queue: QueueState, key: number, row: NewRow, position: number): void {
    if (this.#restored.coversRow(queue.id, key, position)) return;
    const expected = queue.nextKey(laneOfKey(key));
    if (key !== expected) throw corrupt(position, `found row key ${key}, expected ${expected}`);
    queue.addRow(key, row);
    const isBelow = sequenceOfKey(key) < queue.limits.recorded(laneOfKey(key));
    if (isBelow && row.dueMs === 0) this.#tables.rows.setRedelivered(queue.findRow(key), true);
  }

  /**
   * Marks the rows of a lane from the sequence `from` on and below its dispatch limit: they may have been
   * handed out before the broker stopped. Not those that wait for their time.
   */
  markHandedOut(queue: QueueState, laneNumber: number, from: number): void {
    const lane = queue.lanes.lane(laneNumber);
    const limit = queue.limits.recorded(laneNumber);
    if (lane === undefined || limit <= from) return;
    const { rows } = this.#tables;
    for (
      let next = lane.liveFrom(from);
      next >= 0 && next < limit;
      next = lane.liveFrom(next + 1)
    ) {
      const row = lane.find(next);
      if (!rows.isScheduled(row)) rows.setRedelivered(row, true);
    }
  }

  /**
   * Removes a row, unless the snapshot was written without it.
   * @throws EverholdError EVH_DATA_CORRUPT when it is not there
   */
  removeRow(queue: QueueState, key: number, position: number): void {
    if (this.#restored.coversRow(queue.id, key, position)) return;
    if (!queue.has(key)) throw corrupt(position, `found row key ${key}, which is not there`);
    queue.removeRow(key);
  }

  /**
   * Takes a row out that was moved away.
   * @throws EverholdError EVH_DATA_CORRUPT when it is not there
   */
  moveRow(queue: QueueState, key: number, position: number): void {
    if (!this.#restored.coversRow(queue.id, key, position) && queue.read(key, view)) {
      this.#tables.moved.note(queue.id, view.messageId);
    }
    this.removeRow(queue, key, position);
  }

  /**
   * The row that the record at `position` changes; −1 when the snapshot holds the change.
   * @throws EverholdError EVH_DATA_CORRUPT when it is not there
   */
  findRow(queue: QueueState, key: number, position: number): number {
    if (this.#restored.coversRow(queue.id, key, position)) return -1;
    const row = queue.findRow(key);
    if (row < 0) throw corrupt(position, `found row key ${key}, which is not there`);
    return row;
  }
}
