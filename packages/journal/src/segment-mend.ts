import { EverholdError } from "@everhold/base";
import type { Disk, DiskFile, Hash } from "@everhold/env";
import { advanceChain, BatchChecker, continuesChain, readChainBefore } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { readFully, writeFully } from "./disk-io.ts";
import { limits } from "./limits.ts";
import type { JournalPiece } from "./replicated-api.ts";
import type { DamagedRange } from "./segment-check.ts";
import { decodeSegmentHeader } from "./segment-header.ts";
import { SegmentScanner } from "./segment-scanner.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";
import { viewOf } from "./u64.ts";

/** Whoever has the same log gives the piece that continues it at a position; null: nobody who was asked has it. */
export type PieceSupplier = (
  position: number,
) => Promise<Pick<JournalPiece, "position" | "end" | "bytes"> | null>;

/** What a range is mended with. */
export interface MendParts {
  readonly disk: Disk;
  readonly hash: Hash;
  readonly table: SegmentTable;
  /** Of the segment. */
  readonly file: DiskFile;
  readonly supply: PieceSupplier;
  /** Whether the file is still that segment; asked before it is written. */
  readonly isStill: () => boolean;
}

/**
 * Replaces damaged batches by the same ones of another member. Nothing is written unless all of the range is there, each
 * batch has its checksum with this file's seed, each continues the one before it, and what comes behind the range continues
 * the last one.
 * @throws EverholdError EVH_DATA_CORRUPT saying why it could not be mended; EVH_IO, EVH_DISK_FULL
 */
export async function mendRange(parts: MendParts, range: DamagedRange): Promise<void> {
  const { segment } = range;
  const firstBatch = segment.base + limits.segmentHeaderBytes;
  const behind = await chainBehind(parts, range);
  if (behind === undefined) {
    throw unmended(range, "nothing whole lies behind it yet that it could be checked against");
  }
  const pieces: Uint8Array[] = [];
  const chain = new Chain();
  // The piece that begins a segment follows the one before it in the log, and brings the header along.
  let position = range.from <= firstBatch ? segment.previousEnd : range.from;
  let isFirst = true;
  while (isFirst || position < range.to) {
    const piece = await parts.supply(position);
    if (piece === null) throw unmended(range, `nobody who was asked has position ${position}`);
    checkPiece(parts, range, { piece, position, isFirst, chain });
    pieces.push(piece.bytes.slice());
    position = piece.end;
    isFirst = false;
  }
  if (position !== range.to || chain.toString() !== behind.toString()) {
    throw unmended(range, "what another member has is not what was written here");
  }
  let at = range.from <= firstBatch ? segment.base : range.from;
  for (const bytes of pieces) {
    if (!parts.isStill()) throw unmended(range, "its segment is no more");
    await writeFully(parts.file, bytes, at - segment.base);
    at += bytes.length;
  }
  await parts.file.sync();
}

interface Supplied {
  readonly piece: Pick<JournalPiece, "position" | "end" | "bytes">;
  readonly position: number;
  readonly isFirst: boolean;
  /** Before the piece; behind it afterwards. */
  readonly chain: Chain;
}

/** @throws EverholdError EVH_DATA_CORRUPT for a piece that is not one of this segment's, or does not continue the one before */
function checkPiece(parts: MendParts, range: DamagedRange, supplied: Supplied): void {
  const { hash } = parts;
  const { segment } = range;
  const { piece, position, isFirst, chain } = supplied;
  const { bytes } = piece;
  const beginsSegment = isFirst && position === segment.previousEnd;
  const offset = beginsSegment ? limits.segmentHeaderBytes : 0;
  if (beginsSegment) {
    const block = bytes.subarray(0, offset);
    const { seed } = decodeSegmentHeader(block, segment.name, segment.base, hash);
    if (seed !== segment.seed) throw unmended(range, "another member has another segment there");
  }
  const start = beginsSegment ? segment.base + offset : position;
  const view = viewOf(bytes);
  const checker = new BatchChecker(hash);
  const problem = checker.check(bytes, view, offset, bytes.length, start, segment);
  const isWhole = problem === undefined && offset + checker.lengthBytes === bytes.length;
  const isPlaced = piece.position === position && piece.end === start + checker.lengthBytes;
  if (!isWhole || !isPlaced) {
    throw unmended(range, `what another member sent for position ${position} is not a batch`);
  }
  if (isFirst) readChainBefore(view, offset, chain);
  else if (!continuesChain(view, offset, chain)) {
    throw unmended(range, `what another member sent does not go together at position ${position}`);
  }
  advanceChain(view, offset, chain);
}

/** The chain value that whole bytes behind the range say was there before them. */
async function chainBehind(
  { disk, hash, table, file }: MendParts,
  { segment, to }: DamagedRange,
): Promise<Chain | undefined> {
  const chain = new Chain();
  if (to < segment.endPosition) {
    const scanner = new SegmentScanner(file, segment, to, hash);
    if ((await scanner.find()) !== undefined) return undefined;
    readChainBefore(scanner.view, scanner.offset, chain);
    return chain;
  }
  const next: Segment | undefined = table.next(segment);
  if (next === undefined) return undefined;
  const block = new Uint8Array(limits.segmentHeaderBytes);
  const nextFile = await disk.open(next.name);
  try {
    await readFully(nextFile, block, 0);
  } finally {
    await nextFile.close();
  }
  const header = decodeSegmentHeader(block, next.name, next.base, hash);
  chain.high = header.chainHigh;
  chain.low = header.chainLow;
  return chain;
}

function unmended({ segment, from, to }: DamagedRange, why: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot mend positions ${from} to ${to} (${segment.name}, from byte ${from - segment.base} on): ${why}`,
  );
}
