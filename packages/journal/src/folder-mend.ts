import { EverholdError } from "@everhold/base";
import type { Hash } from "@everhold/env";
import { readFully, writeFully } from "./disk-io.ts";
import { readFence } from "./fence-file.ts";
import { endFill } from "./folder-fill.ts";
import type { JournalPorts } from "./journal-api.ts";
import { readFolder, readSegmentHeaders, sameBytes, type JournalFolder } from "./journal-folder.ts";
import { limits } from "./limits.ts";
import { damagedRanges } from "./segment-check.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";
import { SegmentScanner } from "./segment-scanner.ts";
import { mendRange, type PieceSupplier } from "./segment-mend.ts";
import { SegmentTable, type Segment } from "./segment-table.ts";

/** What a folder is mended with. */
export interface FolderMendParts {
  readonly ports: Pick<JournalPorts, "disk" | "hash" | "log">;
  /** 16 bytes. */
  readonly groupId: Uint8Array;
  readonly supply: PieceSupplier;
  /** Whether nobody wants to know any more. */
  readonly isOver: () => boolean;
}

/**
 * Mends a member's journal that does not open, and is closed: what is damaged of its segments, as far as it is known to be
 * committed and another member has it. Nothing else is changed. Says how many ranges were mended.
 * @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_FORMAT, EVH_IO; EVH_DATA_CORRUPT where the fence is damaged, or a header that
 * nobody else has
 */
export async function mendFolder(parts: FolderMendParts): Promise<number> {
  const { ports, groupId } = parts;
  const { disk, hash } = ports;
  const lock = await disk.lock();
  try {
    await endFill(disk);
    const fence = await readFence(ports);
    // A cut that was interrupted is ended first, by a start.
    if (fence === undefined || fence.cutPosition !== null) return 0;
    const folder = await readFolder(disk);
    let count = await mendHeaders(parts, folder);
    const headers = await readSegmentHeaders(disk, folder, groupId, hash);
    const table = new SegmentTable();
    for (const header of headers) {
      const { last } = table;
      const segment = table.add(header);
      if (last !== undefined && table.next(last) === segment)
        last.endPosition = segment.previousEnd;
    }
    const committed = Math.max(
      fence.commitPosition,
      ...headers.map(({ commitPosition }) => commitPosition),
    );
    for (const segment of table.all()) {
      if (!parts.isOver()) count += await mendSegment(parts, table, segment, committed);
    }
    return count;
  } finally {
    await lock.release();
  }
}

/**
 * A header comes with the first piece of its segment, which is asked for by where the segment begins: what is in front of it
 * may be damaged, too. It is taken where batches on this disk have their checksums with it.
 */
async function mendHeaders(parts: FolderMendParts, folder: JournalFolder): Promise<number> {
  const { disk, hash } = parts.ports;
  let count = 0;
  for (const { name, base } of folder.segments) {
    const file = await disk.open(name);
    try {
      const block = new Uint8Array(limits.segmentHeaderBytes);
      const length = await readFully(file, block, 0);
      if (headerOf(block.subarray(0, length), name, base, hash) !== undefined) continue;
      const piece = await parts.supply(base);
      const other = piece?.bytes.slice(0, limits.segmentHeaderBytes) ?? new Uint8Array(0);
      const header = headerOf(other, name, base, hash);
      const isOfThis =
        header !== undefined &&
        sameBytes(header.groupId, parts.groupId) &&
        (await new SegmentScanner(file, header, base, hash).findBeyond(base)) !== undefined;
      if (!isOfThis) continue;
      await writeFully(file, other, 0);
      await file.sync();
      count += 1;
    } finally {
      await file.close();
    }
  }
  return count;
}

/** Undefined: it is damaged. @throws EverholdError EVH_DATA_FORMAT */
function headerOf(
  block: Uint8Array,
  name: string,
  base: number,
  hash: Hash,
): SegmentHeader | undefined {
  try {
    return decodeSegmentHeader(block, name, base, hash);
  } catch (error) {
    if (EverholdError.is(error, "EVH_DATA_CORRUPT")) return undefined;
    throw error;
  }
}

async function mendSegment(
  { ports, supply, isOver }: FolderMendParts,
  table: SegmentTable,
  segment: Segment,
  committed: number,
): Promise<number> {
  const { disk, hash, log } = ports;
  const file = await disk.open(segment.name);
  const dataEnd = Math.min(segment.endPosition, committed);
  let count = 0;
  try {
    const pace = (): undefined => undefined;
    for await (const range of damagedRanges({ file, segment, dataEnd, hash, pace, isOver })) {
      try {
        await mendRange({ disk, hash, table, file, supply, isStill: () => !isOver() }, range);
        count += 1;
      } catch (error) {
        if (!EverholdError.is(error, "EVH_DATA_CORRUPT")) throw error;
        log.warn("A part of the journal could not be mended", { problem: error.message });
      }
    }
  } finally {
    await file.close();
  }
  return count;
}
