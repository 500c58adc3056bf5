import { EverholdError } from "@everhold/base";
import type { Disk, Hash } from "@everhold/env";
import { batchLengthAt, BatchChecker, looksLikeBatch, readChainBefore } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { readFully } from "./disk-io.ts";
import { loadExtent, type Extent } from "./extent-load.ts";
import type { RecordView } from "./journal-api.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import type { JournalPiece } from "./replicated-api.ts";
import { decodeSegmentHeader } from "./segment-header.ts";
import { SegmentFiles } from "./segment-files.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";
import { viewOf } from "./u64.ts";

/** What the source asks of the rest of the journal. */
export interface SourceSurroundings {
  /** Behind the newest batch that has its header here. */
  readonly sealedEnd: number;
  readonly durablePosition: number;
  /** The header of the newest segment, where it is in memory. */
  readonly newestBlock: Uint8Array | undefined;
  readonly newestSegment: Segment | undefined;
  /** Looks into the newest part of the log, which is in memory. */
  locateInTail(position: number, length: number, into: RecordView): boolean;
  /** What lies at a position is damaged: whether it can be read now. */
  mendAt(position: number): Promise<boolean>;
}

/** A sealed batch in memory, valid until the journal is called again. */
export interface FoundBatch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly position: number;
  readonly segment: Segment;
  /** The header of the segment that it begins. */
  readonly block: Uint8Array | undefined;
}

/** Where the batch lies that continues the log at a position. */
interface Place {
  readonly segment: Segment;
  readonly start: number;
  readonly isFirst: boolean;
}

/** Batches that were read back, from the place where the log ended before the first of them. */
interface Run {
  readonly from: number;
  readonly extent: Extent;
  /** The header of their segment, where they begin it. */
  readonly block: Uint8Array | undefined;
}

/** Batch by batch, the log as it was sealed: from memory as soon as it is, or from the segment files. */
export class PieceSource {
  readonly #hash: Hash;
  readonly #settings: Pick<JournalSettings, "readAheadBytes">;
  readonly #table: SegmentTable;
  readonly #surroundings: SourceSurroundings;
  readonly #files: SegmentFiles;
  /** The one loaded last comes last. */
  readonly #runs: Run[] = [];
  readonly #chains = new Map<number, string>();
  /** Rises when what was read is forgotten: a read that began before then brings nothing any more. */
  #generation = 0;
  readonly #tail: RecordView = {
    bytes: new Uint8Array(0),
    view: viewOf(new Uint8Array(0)),
    offset: 0,
  };

  constructor(
    ports: { readonly disk: Disk; readonly hash: Hash },
    settings: Pick<JournalSettings, "readAheadBytes">,
    table: SegmentTable,
    surroundings: SourceSurroundings,
  ) {
    this.#hash = ports.hash;
    this.#settings = settings;
    this.#table = table;
    this.#surroundings = surroundings;
    this.#files = new SegmentFiles(ports.disk);
  }

  /** Where the oldest piece begins that is still there: behind it no segment is missing. */
  get oldestPosition(): number {
    let oldest = this.#surroundings.newestSegment;
    for (const segment of this.#table.all().toReversed()) {
      const isAdjacent = oldest !== undefined && segment.base + segment.sizeBytes === oldest.base;
      if (isAdjacent) oldest = segment;
    }
    return oldest?.previousEnd ?? 0;
  }

  /** See `JournalMember.pieceAt`. */
  pieceAt(position: number): JournalPiece | "on disk" | null {
    const found = this.batchAt(position);
    if (found === null || found === "on disk") return found;
    const { bytes, view, offset, lengthBytes, block } = found;
    const batch = bytes.subarray(offset, offset + lengthBytes);
    const chain = chainBefore(view, offset);
    const end = found.position + lengthBytes;
    if (block === undefined) return { position, end, chain, bytes: batch };
    const both = new Uint8Array(block.length + batch.length);
    both.set(block, 0);
    both.set(batch, block.length);
    return { position, end, chain, bytes: both };
  }

  /** The batch that continues the log at `position`, where some batch is known to end. */
  batchAt(position: number): FoundBatch | "on disk" | null {
    if (position >= this.#surroundings.sealedEnd) return null;
    const place = this.#place(position);
    if (place === undefined) return "on disk";
    const { start, segment, isFirst } = place;
    const tail = this.#tail;
    const { newestSegment, newestBlock } = this.#surroundings;
    const block = isFirst && segment === newestSegment ? newestBlock : undefined;
    const hasBlock = !isFirst || block !== undefined;
    if (hasBlock && this.#surroundings.locateInTail(start, batchHeaderBytes, tail)) {
      const { bytes, view, offset } = tail;
      if (!looksLikeBatch(view, offset, start)) return null;
      const lengthBytes = batchLengthAt(view, offset);
      return { bytes, view, offset, lengthBytes, position: start, segment, block };
    }
    return this.#inRuns(position, place) ?? "on disk";
  }

  /** As {@link load}; what is damaged is mended first, where another member has it. */
  async loadMended(position: number): Promise<void> {
    try {
      await this.load(position);
    } catch (error) {
      const start = this.#place(position)?.start ?? position;
      // A header that was right when the journal was opened is damaged, whatever it seems to be now.
      const isDamaged =
        EverholdError.is(error, "EVH_DATA_CORRUPT") || EverholdError.is(error, "EVH_DATA_FORMAT");
      if (!isDamaged || !(await this.#surroundings.mendAt(start))) throw error;
      await this.load(position);
    }
  }

  /** Brings the batch that continues the log at `position` into memory, and those behind it as far as one read reaches. */
  async load(position: number): Promise<void> {
    const place = this.#place(position);
    if (place === undefined) throw gone(position);
    const { segment, start, isFirst } = place;
    const generation = this.#generation;
    const extent = await this.#read(place, start);
    if (generation !== this.#generation) return;
    if (extent.position !== start) {
      throw new EverholdError(
        "EVH_DATA_CORRUPT",
        `cannot read ${segment.name} at position ${start}: no batch begins there, and one did`,
      );
    }
    const block = isFirst ? await this.#readHeader(segment) : undefined;
    if (generation !== this.#generation) return;
    this.#runs.push({ from: position, extent, block });
    if (this.#runs.length > limits.pieceRunsMax) this.#runs.shift();
  }

  /** The chain value before `position`, where it is known already. */
  chainAt(position: number): string | null {
    const known = this.#chains.get(position);
    if (known !== undefined) return known;
    const place = this.#place(position);
    if (place === undefined || position >= this.#surroundings.sealedEnd) return null;
    const { start, segment } = place;
    const tail = this.#tail;
    if (!this.#surroundings.locateInTail(start, batchHeaderBytes, tail)) return null;
    // Anybody may have named the position: only the checksum tells a batch from what looks like one.
    const checker = new BatchChecker(this.#hash);
    const { bytes, view, offset } = tail;
    const problem = checker.check(bytes, view, offset, bytes.length, start, segment);
    return problem === undefined ? chainBefore(view, offset) : null;
  }

  /** Looks on the disk for the chain value before `position`. Where no batch ends there, it stays unknown. */
  async findChain(position: number): Promise<void> {
    const { durablePosition } = this.#surroundings;
    const place = this.#place(position);
    if (this.chainAt(position) !== null || place === undefined || position < 0) return;
    const { segment, start } = place;
    const isInData = start >= segment.base + limits.segmentHeaderBytes;
    const dataEnd = Math.min(segment.endPosition, durablePosition);
    if (!isInData || start + batchHeaderBytes > dataEnd || !Number.isSafeInteger(start)) return;
    if (start % limits.sectorBytes !== 0) return;
    const generation = this.#generation;
    const extent = await this.#read(place, undefined);
    if (extent.position !== start || generation !== this.#generation) return;
    this.#chains.set(position, chainBefore(extent.view, extent.offset));
    for (const known of this.#chains.keys()) {
      if (this.#chains.size <= limits.foundChainsMax) break;
      this.#chains.delete(known);
    }
  }

  /** Forgets what was read: the log is cut, or a segment is no more. */
  async forget(base: number): Promise<void> {
    this.forgetReads();
    await this.#files.forget(base);
  }

  /** Forgets what was read, and what is being read. */
  forgetReads(): void {
    this.#generation += 1;
    this.#runs.length = 0;
    this.#chains.clear();
  }

  async close(): Promise<void> {
    await this.#files.closeAll();
  }

  async #read({ segment, start }: Place, knownStart: number | undefined): Promise<Extent> {
    return loadExtent({
      file: await this.#files.file(segment),
      segment,
      hash: this.#hash,
      position: start,
      length: batchHeaderBytes,
      knownStart,
      dataEnd: Math.min(segment.endPosition, this.#surroundings.durablePosition),
      readAheadBytes: this.#settings.readAheadBytes,
    });
  }

  async #readHeader(segment: Segment): Promise<Uint8Array> {
    const block = new Uint8Array(limits.segmentHeaderBytes);
    await readFully(await this.#files.file(segment), block, 0);
    decodeSegmentHeader(block, segment.name, segment.base, this.#hash);
    return block;
  }

  #inRuns(position: number, { start, segment, isFirst }: Place): FoundBatch | undefined {
    for (const { from, extent, block } of this.#runs) {
      if (isFirst && from !== position) continue;
      if (start < extent.position || start >= extent.endPosition) continue;
      const { bytes, view } = extent;
      const offset = start - extent.position + extent.offset;
      const lengthBytes = batchLengthAt(view, offset);
      const firstBlock = isFirst ? block : undefined;
      return { bytes, view, offset, lengthBytes, position: start, segment, block: firstBlock };
    }
    return undefined;
  }

  #place(position: number): Place | undefined {
    const segment = this.#table.find(position);
    const isInside = segment !== undefined && position > segment.base;
    if (isInside && position < segment.endPosition)
      return { segment, start: position, isFirst: false };
    // Here the log goes on in another segment.
    const next = isInside ? this.#table.next(segment) : (segment ?? this.#begunAt(position));
    if (next?.previousEnd !== position) return undefined;
    return { segment: next, start: next.base + limits.segmentHeaderBytes, isFirst: true };
  }

  /** The segment that goes on where one ended that is no more. */
  #begunAt(position: number): Segment | undefined {
    return this.#table.all().find(({ previousEnd }) => previousEnd === position);
  }
}

function chainBefore(view: DataView, offset: number): string {
  const chain = new Chain();
  readChainBefore(view, offset, chain);
  return chain.toString();
}

function gone(position: number): EverholdError {
  return new EverholdError(
    "EVH_CLOSED",
    `cannot read the journal from position ${position} on: its segment is no more`,
  );
}
