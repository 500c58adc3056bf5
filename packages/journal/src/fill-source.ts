import { EverholdError } from "@everhold/base";
import type { Disk, DiskFile } from "@everhold/env";
import { readFully } from "./disk-io.ts";
import type { FillFile } from "./folder-fill.ts";
import type { JournalPin } from "./replicated-api.ts";
import type { Segment } from "./segment-table.ts";

/** The files that another member's folder is filled with, kept and open until {@link JournalFill.close}. */
export interface JournalFill {
  readonly files: readonly FillFile[];
  /** Everything before it is committed. */
  readonly commitPosition: number;
  /** Reads from `position` of a file on, as far as `into` and the file go. @throws EverholdError EVH_IO, EVH_DATA_CORRUPT for less */
  read(file: number, position: number, into: Uint8Array): Promise<number>;
  /** Gives the files back. Idempotent. */
  close(): Promise<void>;
}

/** What a fill is made of. */
export interface FillParts {
  readonly disk: Disk;
  /** The newest snapshot that is kept. */
  readonly snapshotName: string;
  /** All that are kept, in order. */
  readonly segments: readonly Segment[];
  /** The log is durable up to here. */
  readonly durable: number;
  readonly commitPosition: number;
  /** Keeps the segments. */
  readonly pin: JournalPin;
  /** Mends what is damaged of the segment at `base`, as far as another member has it. */
  readonly mend: (base: number) => Promise<unknown>;
}

/** Opens the files of a journal for another member: a snapshot, and every segment that is kept, up to what is durable. */
export async function openFill(parts: FillParts): Promise<JournalFill> {
  const { disk, pin, commitPosition } = parts;
  const opened: { readonly file: DiskFile; readonly bytes: number; readonly base?: number }[] = [];
  const close = async (): Promise<void> => {
    pin.release();
    await Promise.all(opened.map(({ file }) => file.close()));
  };
  try {
    const snapshot = await disk.open(parts.snapshotName);
    opened.push({ file: snapshot, bytes: snapshot.sizeBytes });
    for (const { name, base, endPosition } of parts.segments) {
      // Behind what is durable there is none of the log, and the file of the newest is not whole.
      if (base >= parts.durable) continue;
      const file = await disk.open(name);
      const bytes = Math.min(file.sizeBytes, Math.min(endPosition, parts.durable) - base);
      opened.push({ file, bytes, base });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    files: opened.map(({ file, bytes }) => ({ name: file.name, bytes })),
    commitPosition,
    async read(index, position, into) {
      const one = opened[index];
      if (one === undefined || position >= one.bytes) {
        throw new EverholdError(
          "EVH_PROTOCOL",
          `cannot read file ${index} at ${position}: expected one of ${opened.length} files, and a place in it`,
        );
      }
      // Nobody else is to get what this disk has let rot.
      if (position === 0 && one.base !== undefined) await parts.mend(one.base);
      const wanted = into.subarray(0, Math.min(into.length, one.bytes - position));
      const count = await readFully(one.file, wanted, position);
      if (count === wanted.length) return count;
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot read ${one.file.name} at byte ${position}: found ${count} bytes, expected ${wanted.length}`,
      );
    },
    close,
  };
}
