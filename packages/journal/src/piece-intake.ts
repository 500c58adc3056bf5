import { EverholdError } from "@everhold/base";
import type { Hash } from "@everhold/env";
import { BatchChecker, continuesChain, recordReferenceAt, recordTypeAt } from "./batch-format.ts";
import { applyBatch } from "./batch-records.ts";
import { Chain } from "./chain.ts";
import { sameBytes } from "./journal-folder.ts";
import { segmentName } from "./file-names.ts";
import { batchHeaderBytes, controlRecords, segmentMagic } from "./journal-format.ts";
import { limits } from "./limits.ts";
import type { JournalPiece } from "./replicated-api.ts";
import { decodeSegmentHeader, type SegmentHeader } from "./segment-header.ts";
import type { ForeignSegment } from "./staging.ts";
import { viewOf } from "./u64.ts";

/** The log that pieces continue. */
export interface IntakeSurroundings {
  readonly groupId: Uint8Array;
  /** The epoch of the newest batch. */
  readonly lastEpoch: number;
  readonly promisedEpoch: number;
  /** The chain values up to here are the writer's to know. */
  readonly sealedEnd: number;
  /** Where the segment ends in which the log ends; 0 before the first. */
  readonly segmentEnd: number;
  /** Takes a batch that was found good. */
  take(batch: Uint8Array, position: number, begins: ForeignSegment | undefined): void;
}

/** What is checked in a batch. */
type Seeded = Pick<SegmentHeader, "base" | "sizeBytes" | "seed">;

/** Takes pieces from others, and only those that continue this log byte for byte. */
export class PieceIntake {
  readonly #hash: Hash;
  readonly #checker: BatchChecker;
  readonly #surroundings: IntakeSurroundings;
  readonly #chain = new Chain();
  /** The chain value at each end of a batch that the writer has not come to yet, the oldest first. */
  readonly #chains = new Map<number, string>();
  #end = 0;
  #segment: Seeded | undefined = undefined;

  constructor(hash: Hash, surroundings: IntakeSurroundings) {
    this.#hash = hash;
    this.#checker = new BatchChecker(hash);
    this.#surroundings = surroundings;
  }

  /** Behind the last batch taken. */
  get end(): number {
    return this.#end;
  }

  /** The chain value up to {@link end}. */
  get chain(): Chain {
    return this.#chain;
  }

  /** The chain value before `position`, where a batch ends that still waits for the disk. */
  chainAt(position: number): string | undefined {
    return this.#chains.get(position);
  }

  /** The log ends at `end`, in this segment, if there is one yet. */
  start(end: number, chain: Chain, segment: Seeded | undefined): void {
    this.#end = end;
    this.#chain.copyFrom(chain);
    this.#chains.clear();
    this.#segment = segment;
  }

  /** Checks a piece and takes it. @throws EverholdError EVH_PROTOCOL, EVH_DATA_CORRUPT, EVH_DATA_FORMAT */
  append({ position, end, bytes }: Pick<JournalPiece, "position" | "end" | "bytes">): void {
    if (position !== this.#end) {
      throw wrong(position, `it does not continue this journal, which ends at ${this.#end}`);
    }
    const begins = beginsSegment(bytes);
    const header = begins ? this.#header(position, bytes) : undefined;
    const segment = header ?? this.#segment;
    if (segment === undefined) throw wrong(position, "no segment was begun for it");
    const start = header === undefined ? position : header.base + limits.segmentHeaderBytes;
    const batch = begins ? bytes.subarray(limits.segmentHeaderBytes) : bytes;
    this.#checkBatch(position, batch, start, end, segment);
    const foreign =
      header === undefined
        ? undefined
        : {
            block: bytes.slice(0, limits.segmentHeaderBytes),
            end: header.base + header.sizeBytes,
          };
    this.#surroundings.take(batch, start, foreign);
    const { epoch, lengthBytes, crc } = this.#checker;
    this.#chain.advance(epoch, start, lengthBytes, crc);
    this.#segment = segment;
    this.#end = end;
    this.#noteChain();
  }

  /** The epoch of the batch taken last. */
  get epoch(): number {
    return this.#checker.epoch;
  }

  #noteChain(): void {
    const { sealedEnd } = this.#surroundings;
    for (const known of this.#chains.keys()) {
      if (known > sealedEnd) break;
      this.#chains.delete(known);
    }
    this.#chains.set(this.#end, this.#chain.toString());
  }

  #header(position: number, bytes: Uint8Array): SegmentHeader {
    const { segmentEnd, groupId, promisedEpoch } = this.#surroundings;
    const block = bytes.subarray(0, limits.segmentHeaderBytes);
    const header = decodeSegmentHeader(block, segmentName(segmentEnd), segmentEnd, this.#hash);
    const { chainHigh, chainLow, previousEnd, epoch } = header;
    if (!sameBytes(header.groupId, groupId)) throw wrong(position, "it is another group's");
    const continues =
      previousEnd === position && chainHigh === this.#chain.high && chainLow === this.#chain.low;
    if (!continues) throw wrong(position, "its segment does not continue this journal");
    if (header.commitPosition > position) throw wrong(position, "its segment commits itself");
    if (epoch > promisedEpoch) throw wrong(position, `its segment is of epoch ${epoch}`);
    return header;
  }

  #checkBatch(
    position: number,
    batch: Uint8Array,
    start: number,
    end: number,
    segment: Seeded,
  ): void {
    const checker = this.#checker;
    const view = viewOf(batch);
    const problem = checker.check(batch, view, 0, batch.length, start, segment);
    if (problem === "checksum" || problem === "content") {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot append the piece at position ${position}: its ${problem} does not match`,
      );
    }
    if (problem !== undefined) throw wrong(position, `its batch has a wrong ${problem}`);
    const { lengthBytes, epoch } = checker;
    if (lengthBytes !== batch.length || end !== start + lengthBytes) {
      throw wrong(position, `it has ${batch.length} bytes up to ${end}, its batch ${lengthBytes}`);
    }
    if (!continuesChain(view, 0, this.#chain)) throw wrong(position, "its chain value is another");
    const { lastEpoch, promisedEpoch } = this.#surroundings;
    if (epoch < lastEpoch || epoch > promisedEpoch) {
      throw wrong(
        position,
        `it is of epoch ${epoch}, expected ${lastEpoch} to the promised ${promisedEpoch}`,
      );
    }
    const isEpochRecord =
      recordTypeAt(view, batchHeaderBytes) === controlRecords.epoch.type &&
      recordReferenceAt(view, batchHeaderBytes) === epoch;
    if (epoch > lastEpoch && !isEpochRecord) {
      throw wrong(position, `it is of epoch ${epoch}, and does not begin it`);
    }
    applyBatch(batch, view, 0, start, segment.base, undefined);
  }
}

function beginsSegment(bytes: Uint8Array): boolean {
  if (bytes.length < limits.segmentHeaderBytes) return false;
  const view = viewOf(bytes);
  return view.getUint32(0) === segmentMagic[0] && view.getUint32(4) === segmentMagic[1];
}

function wrong(position: number, found: string): EverholdError {
  return new EverholdError(
    "EVH_PROTOCOL",
    `cannot append the piece at position ${position}: ${found}`,
  );
}
