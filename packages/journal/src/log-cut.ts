import type { Disk } from "@everhold/env";
import { writeFully } from "./disk-io.ts";
import { segmentName } from "./file-names.ts";
import type { JournalPorts } from "./journal-api.ts";
import { readFolder, readSegmentHeaders } from "./journal-folder.ts";
import { limits } from "./limits.ts";
import type { SegmentHeader } from "./segment-header.ts";

/**
 * Cuts the log in a folder at `position`, where a batch ends: the segments begun there or behind it go, the newest
 * first, and what lies behind it in its own segment becomes zeros. Nobody writes the folder meanwhile. Done again after
 * a crash, it ends what was begun.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 */
export async function cutLog(
  { disk, hash }: Pick<JournalPorts, "disk" | "hash">,
  groupId: Uint8Array,
  position: number,
): Promise<void> {
  const headers = await readSegmentHeaders(disk, await readFolder(disk), groupId, hash);
  for (let last = headers.at(-1); last !== undefined; last = headers.at(-1)) {
    if (last.previousEnd < position) return zeroBehind(disk, last, position);
    await disk.remove(segmentName(last.base));
    headers.pop();
  }
}

/** All of the rest: how far it was ever written is not known after a crash. */
async function zeroBehind(disk: Disk, segment: SegmentHeader, position: number): Promise<void> {
  const file = await disk.open(segmentName(segment.base));
  try {
    const end = Math.min(file.sizeBytes, segment.sizeBytes);
    const zeros = new Uint8Array(Math.min(limits.prepareExtentBytes, segment.sizeBytes));
    for (let at = position - segment.base; at < end; at += zeros.length) {
      await writeFully(file, zeros.subarray(0, Math.min(zeros.length, end - at)), at);
    }
  } finally {
    await file.close();
  }
}
