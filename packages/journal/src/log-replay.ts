import { EverholdError } from "@everhold/base";
import type { Disk, DiskFile, Hash } from "@everhold/env";
import { applyBatch } from "./batch-records.ts";
import { continuesChain, type BatchProblem } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { EpochStarts } from "./epoch-starts.ts";
import { segmentName } from "./file-names.ts";
import { limits } from "./limits.ts";
import type { FollowingSink } from "./replicated-api.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { SegmentScanner } from "./segment-scanner.ts";

/** Where a replay begins and what is known to be durable. */
export interface ReplayStart {
  readonly position: number;
  /** Chain value there, unless it is the start of a segment, which says itself. */
  readonly chain: Chain | undefined;
  /** Everything before it is known to have been committed once. */
  readonly knownCommit: number;
  /** What lies behind it is checked and not handed over. */
  readonly appliedMax: number;
}

/** Where the log ends. */
export interface LogEnd {
  readonly position: number;
  readonly chain: Chain;
  readonly epoch: number;
  /** Highest commit position that any header carries. */
  readonly knownCommit: number;
  readonly batchCount: number;
  readonly recordCount: number;
  /** The end of the last batch that was handed over, and the chain value there. */
  readonly appliedEnd: number;
  readonly appliedChain: Chain;
  /** Why there is no batch at the end, for the log. */
  readonly problem: BatchProblem | "end";
}

/**
 * Walks over all batches from a position to the end of the log, checks each against its CRC and the
 * chain, and hands the caller's records to `sink`.
 *
 * Torn or rot? At the first invalid batch the log ends, if nothing speaks against it: no later segment,
 * no valid batch behind it (it was written after this one had become durable), no commit position above
 * it in any header. Then it was a write that never completed. Otherwise durable bytes were damaged, and
 * nothing may be cut.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 */
export async function replayLog(
  disk: Disk,
  hash: Hash,
  segments: readonly SegmentHeader[],
  start: ReplayStart,
  sink: Pick<FollowingSink, "applyRecord" | "endReign"> | undefined,
  onProgress?: (position: number) => void,
  epochs = new EpochStarts(),
): Promise<LogEnd> {
  const first = firstSegment(disk, segments, start.position);
  const replay = new LogReplay(hash, start, sink, onProgress, epochs);
  for (const [index, segment] of segments.entries()) {
    if (index < first) continue;
    const file = await disk.open(segmentName(segment.base));
    try {
      await replay.walk(file, segment, segments[index + 1]);
    } finally {
      await file.close();
    }
  }
  return replay.end();
}

/** One pass over the log. */
class LogReplay {
  readonly #hash: Hash;
  readonly #sink: Pick<FollowingSink, "applyRecord" | "endReign"> | undefined;
  readonly #onProgress: ((position: number) => void) | undefined;
  readonly #chain = new Chain();
  readonly #epochs: EpochStarts;
  readonly #appliedMax: number;
  readonly #appliedChain = new Chain();
  #appliedEnd: number;
  /** The end of the last batch. */
  #dataEnd: number;
  #isChainKnown = false;
  #position: number;
  #knownCommit: number;
  #epoch = 0;
  #batchCount = 0;
  #recordCount = 0;
  #problem: LogEnd["problem"] = "end";

  constructor(
    hash: Hash,
    start: ReplayStart,
    sink: Pick<FollowingSink, "applyRecord" | "endReign"> | undefined,
    onProgress: ((position: number) => void) | undefined,
    epochs: EpochStarts,
  ) {
    this.#hash = hash;
    this.#sink = sink;
    this.#onProgress = onProgress;
    this.#epochs = epochs;
    this.#position = start.position;
    this.#dataEnd = start.position;
    this.#appliedMax = start.appliedMax;
    this.#appliedEnd = start.position;
    this.#knownCommit = start.knownCommit;
    if (start.chain === undefined) return;
    this.#chain.copyFrom(start.chain);
    this.#appliedChain.copyFrom(start.chain);
    this.#isChainKnown = true;
  }

  end(): LogEnd {
    return {
      position: this.#position,
      chain: this.#chain,
      epoch: this.#epoch,
      knownCommit: this.#knownCommit,
      batchCount: this.#batchCount,
      recordCount: this.#recordCount,
      appliedEnd: this.#appliedEnd,
      appliedChain: this.#appliedChain,
      problem: this.#problem,
    };
  }

  /** Replays what the segment holds from the current position on. */
  async walk(
    file: DiskFile,
    segment: SegmentHeader,
    next: SegmentHeader | undefined,
  ): Promise<void> {
    this.#enter(segment);
    if (file.sizeBytes < this.#position - segment.base) {
      const found = `the file has only ${file.sizeBytes} bytes`;
      throw corrupt(segment, this.#position, found);
    }
    const scanner = new SegmentScanner(file, segment, this.#position, this.#hash);
    let problem = await scanner.find();
    while (problem === undefined) {
      this.#takeBatch(scanner, segment);
      scanner.advance();
      this.#position = scanner.position;
      this.#dataEnd = scanner.position;
      this.#onProgress?.(this.#position);
      problem = await scanner.find();
    }
    this.#problem = problem;
    if (next === undefined) await this.#checkEnd(scanner, segment, problem);
    else this.#checkJoint(segment, next, problem);
  }

  #enter(segment: SegmentHeader): void {
    const firstBatch = segment.base + limits.segmentHeaderBytes;
    const isAtStart = this.#position < firstBatch;
    const chainMatches =
      segment.chainHigh === this.#chain.high && segment.chainLow === this.#chain.low;
    if (isAtStart && this.#isChainKnown && !chainMatches) {
      throw corrupt(segment, firstBatch, "the segment does not continue the log before it");
    }
    if (!this.#isChainKnown) {
      this.#chain.high = segment.chainHigh;
      this.#chain.low = segment.chainLow;
      this.#isChainKnown = true;
    }
    this.#epoch = Math.max(this.#epoch, segment.epoch);
    this.#knownCommit = Math.max(this.#knownCommit, segment.commitPosition);
    if (isAtStart) this.#position = firstBatch;
    if (isAtStart) this.#dataEnd = segment.previousEnd;
  }

  #takeBatch(scanner: SegmentScanner, segment: SegmentHeader): void {
    const { batch, bytes, view, offset, position } = scanner;
    if (!continuesChain(view, offset, this.#chain)) {
      throw corrupt(segment, position, "a batch does not continue the log before it");
    }
    this.#epochs.note(batch.epoch, this.#dataEnd);
    this.#chain.advance(batch.epoch, position, batch.lengthBytes, batch.crc);
    this.#epoch = Math.max(this.#epoch, batch.epoch);
    this.#knownCommit = Math.max(this.#knownCommit, batch.commitPosition);
    this.#batchCount += 1;
    const isApplied = position + batch.lengthBytes <= this.#appliedMax;
    const sink = isApplied ? this.#sink : undefined;
    this.#recordCount += applyBatch(bytes, view, offset, position, segment.base, sink);
    if (!isApplied) return;
    this.#appliedEnd = position + batch.lengthBytes;
    this.#appliedChain.copyFrom(this.#chain);
  }

  /** The log must go on in the next segment exactly where this one ends. */
  #checkJoint(segment: SegmentHeader, next: SegmentHeader, problem: BatchProblem | "end"): void {
    const segmentEnd = segment.base + segment.sizeBytes;
    if (next.base !== segmentEnd) throw missingSegment(segmentEnd, next.base);
    if (next.previousEnd === this.#position) return;
    throw corrupt(segment, this.#position, `${sentences[problem]}, and the log goes on behind it`);
  }

  async #checkEnd(
    scanner: SegmentScanner,
    segment: SegmentHeader,
    problem: BatchProblem | "end",
  ): Promise<void> {
    const position = this.#position;
    if (problem === "content") throw corrupt(segment, position, sentences[problem]);
    if (position < this.#knownCommit) {
      const found = `${sentences[problem]}, and the log was durable up to position ${this.#knownCommit}`;
      throw corrupt(segment, position, found);
    }
    const beyond = await scanner.findBeyond(position + limits.sectorBytes);
    if (beyond === undefined) return;
    throw corrupt(
      segment,
      position,
      `${sentences[problem]}, and a valid batch lies behind it at position ${beyond}`,
    );
  }
}

const sentences: Readonly<Record<BatchProblem | "end", string>> = {
  incomplete: "a batch is longer than the file",
  magic: "there is no batch header",
  length: "a batch header has an impossible length",
  position: "a batch header names another position",
  checksum: "a batch does not match its checksum",
  content: "a batch matches its checksum and contradicts itself",
  end: "the segment is full",
};

/** Index of the segment in which the log goes on at `position`. */
function firstSegment(disk: Disk, segments: readonly SegmentHeader[], position: number): number {
  const index = segments.findLastIndex((segment) => segment.base <= position);
  const holder = segments[index];
  if (holder !== undefined && position <= holder.base + holder.sizeBytes) return index;
  const next = segments[index + 1];
  if (next?.previousEnd === position) return index + 1;
  if (next !== undefined) throw missingSegment(position, next.base);
  throw new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot open ${disk.location}: the log goes on at position ${position}, and no segment file is there: ` +
      "restore the missing files from a backup",
  );
}

function missingSegment(from: number, to: number): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot replay the log from position ${from}: the next segment file is ${segmentName(to)}, and what ` +
      "lies between is missing: restore the missing files from a backup",
  );
}

function corrupt(segment: SegmentHeader, position: number, found: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot replay ${segmentName(segment.base)} at byte ${position - segment.base} (position ` +
      `${position}): ${found}; durable bytes were damaged, so nothing is cut: restore the file from a backup`,
  );
}
