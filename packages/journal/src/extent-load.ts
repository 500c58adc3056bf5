import { EverholdError } from "@everhold/base";
import type { DiskFile, Hash } from "@everhold/env";
import { BatchChecker, looksLikeBatch } from "./batch-format.ts";
import { readFully } from "./disk-io.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import { limits } from "./limits.ts";
import type { Segment } from "./segment-table.ts";
import { viewOf } from "./u64.ts";

/** A run of whole, checked batches in memory. */
export interface Extent {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where `position` lies in `bytes`. */
  readonly offset: number;
  readonly position: number;
  readonly endPosition: number;
}

/** What to read. */
export interface ExtentRequest {
  readonly file: DiskFile;
  readonly segment: Segment;
  readonly hash: Hash;
  readonly position: number;
  readonly length: number;
  /** Start of some batch at or before `position`, where one is known to be near. */
  readonly knownStart: number | undefined;
  /** Where committed data of the segment ends. */
  readonly dataEnd: number;
  readonly readAheadBytes: number;
}

/**
 * Reads the batch that holds a record, and those behind it as far as one read reaches.
 *
 * Nobody remembers where batches begin. Their headers are found by going back sector by sector from the
 * record: a header names its own position, and its CRC, seeded by the segment's nonce, decides. Content
 * that only looks like a header does not get past the CRC.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_IO
 */
export async function loadExtent(request: ExtentRequest): Promise<Extent> {
  const { segment, position, length, dataEnd, readAheadBytes } = request;
  const floor = segment.base + limits.segmentHeaderBytes;
  const sector = floorToSector(position);
  const inData = position >= floor && position + length <= dataEnd;
  if (!inData) throw corrupt(request, `the segment's data ends at position ${dataEnd}`);
  let behindBytes = readAheadBytes;
  let start = Math.max(floor, request.knownStart ?? sector - behindBytes);
  let end = Math.min(dataEnd, Math.max(sector + readAheadBytes, position + length));
  for (;;) {
    const window = await readWindow(request, start, end);
    const found = findBatch(window, request, sector);
    if (found.kind === "found") return extentFrom(window, request, found.start);
    if (found.kind === "longer") {
      end = found.end;
    } else if (found.kind === "before" && start > floor) {
      behindBytes *= 4;
      start = Math.max(floor, sector - behindBytes);
    } else {
      throw corrupt(request, "no batch with a matching checksum holds it");
    }
  }
}

interface Window {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly checker: BatchChecker;
}

async function readWindow(request: ExtentRequest, start: number, end: number): Promise<Window> {
  const bytes = new Uint8Array(end - start);
  // What the file lacks stays zero, and does not match any checksum.
  await readFully(request.file, bytes, start - request.segment.base);
  return { bytes, view: viewOf(bytes), start, checker: new BatchChecker(request.hash) };
}

type Finding =
  | { readonly kind: "found"; readonly start: number }
  /** The batch ends at `end`, behind the window. */
  | { readonly kind: "longer"; readonly end: number }
  /** It must begin before the window. */
  | { readonly kind: "before" }
  | { readonly kind: "none" };

function findBatch(window: Window, request: ExtentRequest, sector: number): Finding {
  const { bytes, view, checker } = window;
  for (let at = sector; at >= window.start; at -= limits.sectorBytes) {
    const offset = at - window.start;
    if (offset + batchHeaderBytes > bytes.length || !looksLikeBatch(view, offset, at)) continue;
    const problem = checker.check(bytes, view, offset, bytes.length, at, request.segment);
    const batchEnd = at + checker.lengthBytes;
    if (problem === "incomplete" && batchEnd <= request.dataEnd) {
      return { kind: "longer", end: batchEnd };
    }
    if (problem !== undefined) continue;
    // A valid batch that ends before the record: the one that held it is damaged.
    if (batchEnd < request.position + request.length) return { kind: "none" };
    return { kind: "found", start: at };
  }
  return { kind: "before" };
}

function extentFrom(window: Window, request: ExtentRequest, position: number): Extent {
  const { bytes, view, checker } = window;
  const offset = position - window.start;
  let end = position;
  for (;;) {
    const at = end - window.start;
    if (checker.check(bytes, view, at, bytes.length, end, request.segment) !== undefined) break;
    end += checker.lengthBytes;
  }
  return { bytes, view, offset, position, endPosition: end };
}

function floorToSector(position: number): number {
  return position - (position % limits.sectorBytes);
}

function corrupt(request: ExtentRequest, found: string): EverholdError {
  const { position, segment } = request;
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot read the record at position ${position} (${segment.name}, byte ` +
      `${position - segment.base}): ${found}; the disk damaged it: restore the file from a backup`,
  );
}
