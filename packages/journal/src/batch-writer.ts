import { assert, type EverholdError } from "@everhold/base";
import { advanceChain, sealBatch, type BatchSegment } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { diskError, isDiskFull, noProgress } from "./disk-io.ts";
import type { JournalPorts } from "./journal-api.ts";
import type { SegmentSpace } from "./segment-space.ts";
import type { ClosedBatch, Staging } from "./staging.ts";

/** Who is told how writes end. */
export interface WriterSurroundings {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** What the headers say is committed. */
  readonly commitPosition: number;
  /** Whether somebody waits for what lies beyond `position`. */
  isDueBeyond(position: number): boolean;
  /** A batch has its header, and its write has begun. */
  onSealed(): void;
  onDurable(durablePosition: number): void;
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
  /** Up to the batch sealed last, and up to the durable position. */
  readonly #sealedChain = new Chain();
  readonly #durableChain = new Chain();
  #batch: ClosedBatch | undefined = undefined;
  #writtenBytes = 0;
  #durablePosition = 0;
  #sealedEnd = 0;
  #isStopped = false;
  #isStalled = false;
  /** Called when the disk has ended what it was asked for, once no more is asked. */
  #onHeld: (() => void) | undefined = undefined;

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
  get durablePosition(): number {
    return this.#durablePosition;
  }

  /** The chain value up to the durable position. */
  get durableChain(): Chain {
    return this.#durableChain;
  }

  /** The end of the last batch that has its header: it is written, or is being written. */
  get sealedEnd(): number {
    return this.#sealedEnd;
  }

  /** The chain value up to {@link sealedEnd}. */
  get sealedChain(): Chain {
    return this.#sealedChain;
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
    this.#onHeld = undefined;
    this.#batch = undefined;
    this.#isStalled = false;
    this.#durablePosition = position;
    this.#sealedEnd = position;
    this.#sealedChain.copyFrom(chain);
    this.#durableChain.copyFrom(chain);
  }

  /** Writes no more until {@link start}; settles when nothing is with the disk. */
  hold(): Promise<void> {
    return new Promise((resolve) => {
      this.#onHeld = resolve;
      if (this.#batch === undefined || this.#isStalled) resolve();
    });
  }

  /** Writes no more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Starts a write if none is under way and there is something to write that somebody waits for. */
  pump(): void {
    if (this.#isStopped || this.#onHeld !== undefined) return;
    if (this.#batch !== undefined) {
      if (this.#isStalled) this.#writeAgain(this.#batch);
      return;
    }
    if (!this.#surroundings.isDueBeyond(this.#durablePosition)) return;
    const batch = this.#staging.peekBatch();
    if (batch === undefined) return;
    const { activeEnd } = this.#space;
    if (batch.position >= activeEnd) {
      this.#askRoll(activeEnd, batch.segmentBlock);
      return;
    }
    const { active } = this.#space;
    const offset = batch.position - active.base;
    if (!this.#space.beginWrite(offset, offset + batch.lengthBytes)) return;
    this.#staging.takeBatch();
    this.#batch = batch;
    this.#writtenBytes = 0;
    this.#seal(batch, active);
    this.#write(batch);
    this.#surroundings.onSealed();
  }

  /** All of it: what an interrupted write left on the disk is no evidence of anything. */
  #writeAgain(batch: ClosedBatch): void {
    const offset = batch.position - this.#space.active.base;
    if (!this.#space.beginWrite(offset, offset + batch.lengthBytes)) return;
    this.#isStalled = false;
    this.#writtenBytes = 0;
    this.#write(batch);
  }

  #askRoll(base: number, block: Uint8Array | undefined): void {
    this.#space.askRoll({
      groupId: this.#surroundings.groupId,
      base,
      epoch: this.#surroundings.epoch,
      chain: this.#durableChain,
      previousEnd: this.#durablePosition,
      commitPosition: this.#surroundings.commitPosition,
      block,
    });
  }

  #seal(batch: ClosedBatch, segment: BatchSegment): void {
    this.#sealedEnd = batch.position + batch.lengthBytes;
    if (batch.isSealed) {
      advanceChain(batch.view, batch.start, this.#sealedChain);
      return;
    }
    const seal = {
      epoch: this.#surroundings.epoch,
      position: batch.position,
      lengthBytes: batch.lengthBytes,
      recordCount: batch.recordCount,
      recordsBytes: batch.recordsBytes,
      wallClockMs: this.#ports.wallClock.nowMs(),
      commitPosition: this.#surroundings.commitPosition,
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
    this.#endWrite(error, count);
    if (this.#batch === undefined || this.#isStalled) this.#onHeld?.();
  };

  #endWrite(error: Error | undefined, count: number): void {
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
    this.#durablePosition = batch.position + batch.lengthBytes;
    this.#durableChain.copyFrom(this.#sealedChain);
    this.#staging.trim(this.#surroundings.commitPosition);
    // The disk works on the next batch while the caller handles this one.
    this.pump();
    this.#surroundings.onDurable(this.#durablePosition);
  }
}
