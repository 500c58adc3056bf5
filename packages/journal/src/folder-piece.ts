import { EverholdError } from "@everhold/base";
import { readFully } from "./disk-io.ts";
import type { JournalPorts } from "./journal-api.ts";
import { readFolder, sameBytes } from "./journal-folder.ts";
import { limits } from "./limits.ts";
import type { JournalPiece } from "./replicated-api.ts";
import { decodeSegmentHeader } from "./segment-header.ts";
import { SegmentScanner } from "./segment-scanner.ts";

/** What is read of a folder. */
type FolderPorts = Pick<JournalPorts, "disk" | "hash">;

/** A piece for whoever checks it. */
type FolderPiece = Pick<JournalPiece, "position" | "end" | "bytes">;

/**
 * The piece that continues the log at `position`, or begins the segment there, from the segments of a folder whose journal is
 * closed; null: none is whole there.
 * @throws EverholdError EVH_IO
 */
export async function readFolderPiece(
  ports: FolderPorts,
  groupId: Uint8Array,
  position: number,
): Promise<FolderPiece | null> {
  const { segments } = await readFolder(ports.disk);
  for (const segment of segments) {
    const piece = await readFrom(ports, segment, groupId, position);
    if (piece !== null) return piece;
  }
  return null;
}

async function readFrom(
  { disk, hash }: FolderPorts,
  { name, base }: { readonly name: string; readonly base: number },
  groupId: Uint8Array,
  position: number,
): Promise<FolderPiece | null> {
  const firstBatch = base + limits.segmentHeaderBytes;
  const file = await disk.open(name);
  try {
    const block = new Uint8Array(limits.segmentHeaderBytes);
    const count = await readFully(file, block, 0);
    const header = decodeSegmentHeader(block.subarray(0, count), name, base, hash);
    const isFirst = header.previousEnd === position || base === position;
    if (!sameBytes(header.groupId, groupId) || (!isFirst && position <= firstBatch)) return null;
    const start = isFirst ? firstBatch : position;
    const scanner = new SegmentScanner(file, header, start, hash);
    if ((await scanner.find()) !== undefined) return null;
    const { bytes, offset, batch } = scanner;
    const own = bytes.subarray(offset, offset + batch.lengthBytes);
    const all = new Uint8Array((isFirst ? block.length : 0) + own.length);
    if (isFirst) all.set(block, 0);
    all.set(own, all.length - own.length);
    return { position, end: start + own.length, bytes: all };
  } catch (error) {
    const isOfData =
      EverholdError.is(error, "EVH_DATA_CORRUPT") || EverholdError.is(error, "EVH_DATA_FORMAT");
    if (isOfData) return null;
    throw error;
  } finally {
    await file.close();
  }
}
