import { volatileIdBase } from "./address-state.ts";
import { corrupt } from "./records.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";

/**
 * Ids of addresses and queues that records named during recovery and that are not there. What was deleted
 * while the snapshot was written is in neither, and the record of its deletion must follow.
 */
export class MissingIds {
  readonly #restored: SnapshotRestorer;
  /** Each with the position of the first record that named it. */
  readonly #positions = new Map<number, number>();

  constructor(restored: SnapshotRestorer) {
    this.#restored = restored;
  }

  /** Notes that the record at `position` named an id that is not there. */
  note(id: number, position: number): void {
    // Addresses that were in memory only have left no record of themselves.
    if (id < volatileIdBase && !this.#positions.has(id)) this.#positions.set(id, position);
  }

  /**
   * The record at `position` ends what has an id: whatever named it before ends as it did in life.
   * @throws EverholdError EVH_DATA_CORRUPT when it is not there and no snapshot can have left it out
   */
  resolve(id: number, isThere: boolean, position: number): void {
    if (!isThere && !this.#restored.hasSnapshot) {
      throw corrupt(position, `found id ${id}, which is not there`);
    }
    this.#positions.delete(id);
  }

  /** Nothing follows. @throws EverholdError EVH_DATA_CORRUPT when an id is still missing */
  finish(): void {
    for (const [id, position] of this.#positions) {
      throw corrupt(position, `found id ${id}, which no earlier record or snapshot defines`);
    }
  }
}
