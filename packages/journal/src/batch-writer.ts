import { assert, type EverholdError } from "@everhold/base";
import { sealBatch, type BatchSegment } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { diskError, isDiskFull, noProgress } from "./disk-io.ts";
import type { JournalPorts } from "./journal-api.ts";
import type { SegmentSpace } from "./segment-space.ts";
import type { ClosedBatch, Staging } from "./staging.ts";

/** Who is told how writes end. */
export interface WriterSurroundings {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** Whether somebody waits for what lies beyond `position`. */
  isDueBeyond(position: number): boolean;
  onCommitted(commitPosition: number): void;
  onFailed(error: EverholdError): void;
}

/**
 * Group commit: one write at a time, and while it runs the next batch fills.
 *
 * ```
 *            start, at the end of a turn             last byte stored
 *   idle ------------------------------> writing --------------------> idle, or the next batch
 *                                         |   ^ short write: the rest
 *                                         v
 *                                       failed (for good)
 * ```
 */
export class BatchWriter {
  readonly #ports: JournalPorts;
  readonly #staging: Staging;
  readonly #space: SegmentSpace;
  readonly #surroundings: WriterSurroundings;
  /** Up to the batch sealed last, and up to the commit position. */
  readonly #sealedChain = new Chain();
  readonly #commitChain = new Chain();
  #batch: ClosedBatch | undefined = undefined;
  #writtenBytes = 0;
  #commitPosition = 0;
  #isStopped = false;
  #isStalled = false;

  constructor(
    ports: JournalPorts,
    staging: Staging,
    space: SegmentSpace,
    surroundings: WriterSurroundings,
  ) {
    this.#ports = ports;
    this.#staging = staging;
    this.#space = space;
    this.#surroundings = surroundings;
  }

  /** The end of the last batch that is durable. */
  get commitPosition(): number {
    return this.#commitPosition;
  }

  /** The chain value up to the commit position. */
  get commitChain(): Chain {
    return this.#commitChain;
  }

  /** Whether a batch found no room on the disk and is to be written again. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Whether a write is under way. */
  get isBusy(): boolean {
    return this.#batch !== undefined;
  }

  /** Bytes of the batch that is being written. */
  get inFlightBytes(): number {
    return this.#batch?.lengthBytes ?? 0;
  }

  /** Continues the log that ends at `position`. */
  start(position: number, chain: Chain): void {
    this.#commitPosition = position;
    this.#sealedChain.copyFrom(chain);
    this.#commitChain.copyFrom(chain);
  }

  /** Writes no more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Starts a write if none is under way and there is something to write that somebody waits for. */
  pump(): void {
    if (this.#isStopped) return;
    if (this.#batch !== undefined) {
      if (this.#isStalled) this.#writeAgain(this.#batch);
      return;
    }
    if (!this.#surroundings.isDueBeyond(this.#commitPosition)) return;
    const batch = this.#staging.peekBatch();
    if (batch === undefined) return;
    const { active } = this.#space;
    const activeEnd = active.base + active.sizeBytes;
    if (batch.position >= activeEnd) {
      this.#askRoll(activeEnd);
      return;
    }
    const offset = batch.position - active.base;
    if (!this.#space.beginWrite(offset, offset + batch.lengthBytes)) return;
    this.#staging.takeBatch();
    this.#batch = batch;
    this.#writtenBytes = 0;
    this.#seal(batch, active);
    this.#write(batch);
  }

  /** All of it: what an interrupted write left on the disk is no evidence of anything. */
  #writeAgain(batch: ClosedBatch): void {
    const offset = batch.position - this.#space.active.base;
    if (!this.#space.beginWrite(offset, offset + batch.lengthBytes)) return;
    this.#isStalled = false;
    this.#writtenBytes = 0;
    this.#write(batch);
  }

  #askRoll(base: number): void {
    this.#space.askRoll({
      groupId: this.#surroundings.groupId,
      base,
      epoch: this.#surroundings.epoch,
      chain: this.#commitChain,
      previousEnd: this.#commitPosition,
      commitPosition: this.#commitPosition,
    });
  }

  #seal(batch: ClosedBatch, segment: BatchSegment): void {
    const seal = {
      epoch: this.#surroundings.epoch,
      position: batch.position,
      lengthBytes: batch.lengthBytes,
      recordCount: batch.recordCount,
      recordsBytes: batch.recordsBytes,
      wallClockMs: this.#ports.wallClock.nowMs(),
      commitPosition: this.#commitPosition,
    };
    const { bytes, view, start } = batch;
    sealBatch(bytes, view, start, seal, segment, this.#sealedChain, this.#ports.hash);
  }

  #write(batch: ClosedBatch): void {
    const from = batch.start + this.#writtenBytes;
    const part = batch.bytes.subarray(from, batch.start + batch.lengthBytes);
    const offset = batch.position - this.#space.active.base + this.#writtenBytes;
    this.#space.activeFile.write(part, offset, this.#onWritten);
  }

  /** One function for all writes. */
  readonly #onWritten = (error: Error | undefined, count: number): void => {
    const batch = this.#batch;
    assert(batch !== undefined, "a write ends once");
    if (this.#isStopped) {
      this.#batch = undefined;
      return;
    }
    const { active } = this.#space;
    if (error !== undefined && isDiskFull(error)) {
      // Nothing of it counts as written, so nothing is lost by waiting for room: only time.
      this.#isStalled = true;
      const offset = batch.position - active.base;
      this.#space.onNoRoom(offset, offset + batch.lengthBytes);
      return;
    }
    if (error !== undefined || count <= 0) {
      this.#batch = undefined;
      const at = batch.position - active.base;
      const attempted = `write ${active.name} at byte ${at}`;
      this.#surroundings.onFailed(
        error === undefined ? noProgress(active.name, at) : diskError(error, attempted),
      );
      return;
    }
    this.#writtenBytes += count;
    if (this.#writtenBytes < batch.lengthBytes) {
      this.#write(batch);
      return;
    }
    this.#batch = undefined;
    this.#commitPosition = batch.position + batch.lengthBytes;
    this.#commitChain.copyFrom(this.#sealedChain);
    this.#staging.trim(this.#commitPosition);
    // The disk works on the next batch while the caller handles this one.
    this.pump();
    this.#surroundings.onCommitted(this.#commitPosition);
  };
}
