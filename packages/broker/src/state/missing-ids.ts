import type { EverholdError } from "@everhold/base";
import { volatileIdBase } from "./address-state.ts";
import { corrupt } from "./records.ts";
import type { SnapshotRestorer } from "./snapshot-restorer.ts";

/**
 * Ids of addresses and queues that records named and that are not there. What was deleted while the snapshot
 * was written is in neither, and the record of its deletion must follow before the snapshot's end.
 */
export class MissingIds {
  readonly #restored: SnapshotRestorer;
  /** Each with the position of the first record that named it. */
  readonly #positions = new Map<number, number>();

  constructor(restored: SnapshotRestorer) {
    this.#restored = restored;
  }

  /**
   * Notes that the record at `position` named an id that is not there.
   * @throws EverholdError EVH_DATA_CORRUPT when no snapshot can have left it out
   */
  note(id: number, position: number): void {
    // Addresses that were in memory only have left no record of themselves.
    if (id >= volatileIdBase) return;
    if (!this.#restored.isBehind(position)) throw undefinedId(id, position);
    if (!this.#positions.has(id)) this.#positions.set(id, position);
  }

  /**
   * The record at `position` ends what has an id: whatever named it before ends as it did in life.
   * @throws EverholdError EVH_DATA_CORRUPT when it is not there and no snapshot can have left it out
   */
  resolve(id: number, isThere: boolean, position: number): void {
    if (!isThere && !this.#restored.isBehind(position)) {
      throw corrupt(position, `found id ${id}, which is not there`);
    }
    this.#positions.delete(id);
  }

  /** The snapshot's end is passed. @throws EverholdError EVH_DATA_CORRUPT when an id is still missing */
  finish(): void {
    for (const [id, position] of this.#positions) throw undefinedId(id, position);
  }
}

function undefinedId(id: number, position: number): EverholdError {
  return corrupt(position, `found id ${id}, which no earlier record or snapshot defines`);
}
