import type { DiskFile, Hash } from "@everhold/env";
import {
  BatchChecker,
  looksLikeBatch,
  type BatchProblem,
  type BatchSegment,
} from "./batch-format.ts";
import { readFully } from "./disk-io.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import { limits } from "./limits.ts";
import { viewOf } from "./u64.ts";

/** Reads the batches of one segment file in order, in large pieces. */
export class SegmentScanner {
  /** The header of the batch found last. */
  readonly batch: BatchChecker;
  bytes: Uint8Array;
  view: DataView;
  /** Where the batch found last begins in `bytes`. */
  offset = 0;
  readonly #file: DiskFile;
  readonly #segment: BatchSegment;
  readonly #hash: Hash;
  #position: number;
  /** End of what was read into `bytes`. */
  #end = 0;
  #isAtFileEnd = false;

  constructor(file: DiskFile, segment: BatchSegment, position: number, hash: Hash) {
    this.#file = file;
    this.#segment = segment;
    this.#hash = hash;
    this.#position = position;
    this.batch = new BatchChecker(hash);
    this.bytes = new Uint8Array(Math.min(limits.scanChunkBytes, segment.sizeBytes));
    this.view = viewOf(this.bytes);
  }

  /** Where the next batch is expected, or where the one found last begins. */
  get position(): number {
    return this.#position;
  }

  /**
   * Looks for a valid batch at {@link position}. `undefined` means that there is one, `end` that the
   * segment has no room for more.
   * @throws EverholdError EVH_IO
   */
  async find(): Promise<BatchProblem | "end" | undefined> {
    if (this.#position >= this.#segment.base + this.#segment.sizeBytes) return "end";
    let problem = this.#check();
    while (problem === "incomplete" && !this.#isAtFileEnd) {
      await this.#read(Math.max(this.batch.lengthBytes, batchHeaderBytes));
      problem = this.#check();
    }
    return problem;
  }

  /** Goes on behind the batch found last. */
  advance(): void {
    this.offset += this.batch.lengthBytes;
    this.#position += this.batch.lengthBytes;
  }

  /**
   * Looks for a valid batch anywhere behind `from`, and returns its position. Bytes that were written
   * in an earlier life of the file do not count: their checksums have another seed.
   * @throws EverholdError EVH_IO
   */
  async findBeyond(from: number): Promise<number | undefined> {
    const { base, sizeBytes } = this.#segment;
    const end = Math.min(base + sizeBytes, base + this.#file.sizeBytes);
    const chunk = new Uint8Array(Math.min(limits.scanChunkBytes, sizeBytes));
    const view = viewOf(chunk);
    for (let start = from; start < end; start += chunk.length) {
      const count = await readFully(this.#file, chunk, start - base);
      for (let at = 0; at + batchHeaderBytes <= count; at += limits.sectorBytes) {
        if (!looksLikeBatch(view, at, start + at)) continue;
        const candidate = new SegmentScanner(this.#file, this.#segment, start + at, this.#hash);
        if ((await candidate.find()) === undefined) return start + at;
      }
    }
    return undefined;
  }

  #check(): BatchProblem | undefined {
    return this.batch.check(
      this.bytes,
      this.view,
      this.offset,
      this.#end,
      this.#position,
      this.#segment,
    );
  }

  /** Brings at least `neededBytes` from the position on into memory, where the file has them. */
  async #read(neededBytes: number): Promise<void> {
    const kept = this.#end - this.offset;
    if (neededBytes > this.bytes.length) {
      const grown = new Uint8Array(neededBytes);
      grown.set(this.bytes.subarray(this.offset, this.#end));
      this.bytes = grown;
      this.view = viewOf(grown);
    } else {
      this.bytes.copyWithin(0, this.offset, this.#end);
    }
    this.offset = 0;
    this.#end = kept;
    const room = this.bytes.subarray(kept);
    const fileOffset = this.#position + kept - this.#segment.base;
    const count = await readFully(this.#file, room, fileOffset);
    this.#end = kept + count;
    this.#isAtFileEnd = count < room.length;
  }
}
