import { EverholdError } from "@everhold/base";
import type { Disk, Hash } from "@everhold/env";
import { readFully } from "./disk-io.ts";
import { fenceName, fileRole, segmentName } from "./file-names.ts";
import { limits } from "./limits.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";

/** The files of a data folder that are the journal's. */
export interface JournalFolder {
  /** By position. */
  readonly segments: readonly { readonly name: string; readonly base: number }[];
  /** The newest first. */
  readonly snapshotNames: readonly string[];
  readonly spares: readonly { readonly name: string; readonly ordinal: number }[];
  /** Whether it is a member's of a group. */
  readonly isMembers: boolean;
}

/**
 * Sorts the files of a folder. Names that mean nothing to the journal are ignored.
 * @throws EverholdError EVH_DATA_FORMAT for names that look like the journal's and are not
 */
export async function readFolder(disk: Disk): Promise<JournalFolder> {
  const segments: { name: string; base: number }[] = [];
  const snapshots: { name: string; position: number }[] = [];
  const spares: { name: string; ordinal: number }[] = [];
  const names = await disk.list();
  for (const name of names) {
    const file = fileRole(name);
    if (file.role === "segment") segments.push({ name, base: file.position });
    if (file.role === "snapshot") snapshots.push({ name, position: file.position });
    if (file.role === "spare") spares.push({ name, ordinal: file.ordinal });
    if (file.role === "misnamed") throw foreign(disk, name);
  }
  return {
    segments: segments.toSorted((a, b) => a.base - b.base),
    snapshotNames: snapshots.toSorted((a, b) => b.position - a.position).map(({ name }) => name),
    spares: spares.toSorted((a, b) => a.ordinal - b.ordinal),
    isMembers: names.includes(fenceName),
  };
}

/**
 * Reads the headers of all segments, and checks that they are one group's and do not overlap.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 */
export async function readSegmentHeaders(
  disk: Disk,
  folder: Pick<JournalFolder, "segments">,
  groupId: Uint8Array | undefined,
  hash: Hash,
): Promise<SegmentHeader[]> {
  const headers: SegmentHeader[] = [];
  let beforeBytes = 0;
  for (const { name, base } of folder.segments) {
    const { header, fileBytes } = await readSegmentHeader(disk, name, base, hash);
    const before = headers.at(-1);
    const isAdjacent = before !== undefined && before.base + before.sizeBytes === base;
    if (isAdjacent && before.base + beforeBytes < header.previousEnd) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot open ${segmentName(before.base)}: it has only ${beforeBytes} bytes, expected ` +
          `${header.previousEnd - before.base}: restore it from a backup`,
      );
    }
    beforeBytes = fileBytes;
    if (before !== undefined && before.base + before.sizeBytes > base) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot open ${name}: the segment before it ends at position ` +
          `${before.base + before.sizeBytes}; was one of them copied from elsewhere`,
      );
    }
    const expected = groupId ?? before?.groupId ?? header.groupId;
    if (!sameBytes(expected, header.groupId)) {
      throw new EverholdError(
        "EVH_DATA_FORMAT",
        `cannot open ${name}: it belongs to group ${groupName(header.groupId)}, expected ` +
          `${groupName(expected)}; each data folder holds one broker's journal`,
      );
    }
    headers.push(header);
  }
  return headers;
}

/** The lower-case hex digits of a group's id. */
export function groupName(groupId: Uint8Array): string {
  return Array.from(groupId, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether two byte strings are equal. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

async function readSegmentHeader(
  disk: Disk,
  name: string,
  base: number,
  hash: Hash,
): Promise<{ readonly header: SegmentHeader; readonly fileBytes: number }> {
  const file = await disk.open(name);
  try {
    const block = new Uint8Array(limits.segmentHeaderBytes);
    const count = await readFully(file, block, 0);
    const header = decodeSegmentHeader(block.subarray(0, count), name, base, hash);
    return { header, fileBytes: file.sizeBytes };
  } finally {
    await file.close();
  }
}

function foreign(disk: Disk, name: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot open ${disk.location}: found ${name}, which is not a name that Everhold gives; move it away, ` +
      "or choose another data folder",
  );
}
