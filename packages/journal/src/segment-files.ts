import type { Disk, DiskFile } from "@everhold/env";
import { limits } from "./limits.ts";
import type { Segment } from "./segment-table.ts";

/** Handles of segments that are read; the one used longest ago is closed when there are too many. */
export class SegmentFiles {
  readonly #disk: Disk;
  /** In order of use, the latest last. */
  readonly #open = new Map<number, Promise<DiskFile>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Opens a segment, or finds it open. @throws EverholdError EVH_IO */
  async file(segment: Segment): Promise<DiskFile> {
    let opening = this.#open.get(segment.base);
    if (opening === undefined) opening = this.#disk.open(segment.name);
    else this.#open.delete(segment.base);
    this.#open.set(segment.base, opening);
    for (const base of this.#open.keys()) {
      if (this.#open.size <= limits.openSegmentsMax) break;
      await this.forget(base);
    }
    try {
      return await opening;
    } catch (error) {
      this.#open.delete(segment.base);
      throw error;
    }
  }

  /** Closes a segment that is read no more. */
  async forget(base: number): Promise<void> {
    const opening = this.#open.get(base);
    if (opening === undefined) return;
    this.#open.delete(base);
    // Whoever waited for a failed open was told.
    const file = await opening.catch(() => undefined);
    await file?.close();
  }

  async closeAll(): Promise<void> {
    for (const base of [...this.#open.keys()]) await this.forget(base);
  }
}
