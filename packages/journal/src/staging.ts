import { assert, EverholdError } from "@everhold/base";
import type { RecordView } from "./journal-api.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import { roundUp, viewOf } from "./u64.ts";

/** A stretch of the log in memory: byte `i` has position `basePosition + i`. */
interface Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  basePosition: number;
}

/** A batch whose records are complete and whose length is final; its header is written when it is sealed. */
export interface ClosedBatch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly lengthBytes: number;
  readonly position: number;
  readonly recordCount: number;
  readonly recordsBytes: number;
  /** Another journal has sealed it: its header is in place. */
  readonly isSealed: boolean;
  /** The header block of the segment that it begins, where another journal made that. */
  readonly segmentBlock: Uint8Array | undefined;
}

/** A segment that another journal made. */
export interface ForeignSegment {
  readonly block: Uint8Array;
  readonly end: number;
}

/**
 * Where records are written: the batch that fills, closed batches that wait for the disk, and the newest
 * part of the log, all in the same slabs. Nothing is copied between them.
 *
 * A slab is an image of the log, so a record's place follows from its position. A batch never crosses
 * the end of a slab or of a segment: what does not fit begins a new one, and the rest stays unused.
 */
export class Staging {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = viewOf(this.bytes);
  payloadOffset = 0;

  readonly #settings: JournalSettings;
  readonly #payloadBytesMax: number;
  readonly #slabs: Slab[] = [];
  readonly #pool: Slab[] = [];
  readonly #closed: ClosedBatch[] = [];
  #slabsBytes = 0;
  #slabBase = 0;
  /** Offsets in the newest slab. */
  #batchStart = 0;
  #offset = 0;
  /** The batch is closed rather than grow beyond this. */
  #softLimit = 0;
  #recordCount = 0;
  #segmentEnd = 0;
  #closedBytes = 0;

  constructor(settings: JournalSettings) {
    this.#settings = settings;
    this.#payloadBytesMax = settings.recordBytesMax - 8;
  }

  /** Starts at `position`, in a segment whose positions end at `segmentEnd`; whatever was before is forgotten. */
  start(position: number, segmentEnd: number): void {
    assert(position % limits.sectorBytes === 0, "a log begins on a sector");
    assert(position <= segmentEnd, "a log begins inside its segment");
    this.#slabs.length = 0;
    this.#slabsBytes = 0;
    this.#closed.length = 0;
    this.#closedBytes = 0;
    this.#recordCount = 0;
    this.#slabBase = position;
    this.#segmentEnd = segmentEnd;
    this.#batchStart = 0;
    this.#offset = batchHeaderBytes;
    this.#softLimit = 0;
  }

  /** Behind the last record; the end of the last closed batch when the filling one is empty. */
  get endPosition(): number {
    return this.#slabBase + (this.#recordCount === 0 ? this.#batchStart : this.#offset);
  }

  /** Bytes of closed batches that were not taken, and of the filling one. */
  get waitingBytes(): number {
    return this.#closedBytes + (this.#recordCount === 0 ? 0 : this.#offset - this.#batchStart);
  }

  /** Where the segment ends in which the filling batch lies. */
  get segmentEnd(): number {
    return this.#segmentEnd;
  }

  /** Takes a copy of a batch that another journal has sealed; `begins` is the segment that it begins, if it does. */
  appendSealed(batch: Uint8Array, position: number, begins: ForeignSegment | undefined): void {
    assert(this.#recordCount === 0, "what is sealed elsewhere goes behind whole batches");
    if (begins !== undefined) this.#segmentEnd = begins.end;
    const slabBytes = this.#slabs.at(-1)?.bytes.length ?? 0;
    if (begins !== undefined || this.#batchStart + batch.length > slabBytes) {
      this.#addSlab(position, batch.length);
    }
    assert(this.#slabBase + this.#batchStart === position, "a batch goes to the end of the log");
    this.bytes.set(batch, this.#batchStart);
    this.#closed.push({
      bytes: this.bytes,
      view: this.view,
      start: this.#batchStart,
      lengthBytes: batch.length,
      position,
      recordCount: 0,
      recordsBytes: 0,
      isSealed: true,
      segmentBlock: begins?.block,
    });
    this.#closedBytes += batch.length;
    this.#beginBatch(this.#batchStart + batch.length);
  }

  /** See `Journal.reserve`. */
  reserve(payloadBytesTotal: number, recordCount: number): void {
    // A record costs its header and at most 7 bytes of padding.
    const totalBytes = roundUp(payloadBytesTotal + recordCount * 15, 8);
    if (totalBytes > this.#settings.groupBytesMax) {
      throw tooLarge("reserve a group", totalBytes, this.#settings.groupBytesMax);
    }
    if (this.#offset + totalBytes > this.#softLimit) this.#makeRoom(totalBytes);
  }

  /** See `Journal.append`. */
  append(type: number, reference: number, payloadBytes: number): number {
    if (payloadBytes > this.#payloadBytesMax) {
      throw tooLarge("append a payload", payloadBytes, this.#payloadBytesMax);
    }
    const recordBytes = (payloadBytes + 15) & ~7;
    if (this.#offset + recordBytes > this.#softLimit) this.#makeRoom(recordBytes);
    const offset = this.#offset;
    const view = this.view;
    view.setUint32(offset, (recordBytes << 5) | type);
    view.setUint32(offset + 4, reference);
    if (recordBytes - payloadBytes !== 8) {
      view.setUint32(offset + recordBytes - 8, 0);
      view.setUint32(offset + recordBytes - 4, 0);
    }
    this.payloadOffset = offset + 8;
    this.#offset = offset + recordBytes;
    this.#recordCount += 1;
    return this.#slabBase + offset;
  }

  /** See `Journal.locate`. */
  locate(position: number, length: number, into: RecordView): boolean {
    for (let index = this.#slabs.length - 1; index >= 0; index -= 1) {
      const slab = this.#slabs[index];
      if (slab === undefined || position < slab.basePosition) continue;
      const offset = position - slab.basePosition;
      if (offset + length > slab.bytes.length) return false;
      if (position + length > this.endPosition) return false;
      into.bytes = slab.bytes;
      into.view = slab.view;
      into.offset = offset;
      return true;
    }
    return false;
  }

  /** The oldest closed batch; closes the filling one when there is none. */
  peekBatch(): ClosedBatch | undefined {
    if (this.#closed.length === 0) this.#closeBatch();
    return this.#closed[0];
  }

  /** Takes what {@link peekBatch} gave. */
  takeBatch(): void {
    this.#closedBytes -= this.#closed.shift()?.lengthBytes ?? 0;
  }

  /** Gives up slabs beyond the cache's size; only those that lie below `commitPosition` whole. */
  trim(commitPosition: number): void {
    while (this.#slabsBytes > this.#settings.tailCacheBytes && this.#slabs.length > 1) {
      const oldest = this.#slabs[0];
      const next = this.#slabs[1];
      if (oldest === undefined || next === undefined || next.basePosition > commitPosition) return;
      this.#slabs.shift();
      this.#slabsBytes -= oldest.bytes.length;
      if (oldest.bytes.length === this.#settings.slabBytes && this.#pool.length < 2) {
        this.#pool.push(oldest);
      }
    }
  }

  /** Begins a batch that can take `recordsBytes`. */
  #makeRoom(recordsBytes: number): void {
    this.#closeBatch();
    const needed = roundUp(batchHeaderBytes + recordsBytes, limits.sectorBytes);
    const position = this.#slabBase + this.#batchStart;
    const slabBytes = this.#slabs.at(-1)?.bytes.length ?? 0;
    if (position + needed > this.#segmentEnd) {
      const segmentBase = this.#segmentEnd;
      this.#segmentEnd = segmentBase + this.#settings.segmentBytes;
      this.#addSlab(segmentBase + limits.segmentHeaderBytes, needed);
    } else if (this.#batchStart + needed > slabBytes) {
      this.#addSlab(position, needed);
    }
    const hardLimit = Math.min(this.bytes.length, this.#segmentEnd - this.#slabBase);
    const wanted = this.#batchStart + Math.max(needed, this.#settings.batchBytesMax);
    this.#softLimit = Math.min(wanted, hardLimit);
    assert(
      this.#offset + recordsBytes <= this.#softLimit,
      "a new batch has the room it was made for",
    );
  }

  #addSlab(position: number, neededBytes: number): void {
    const isLarge = neededBytes > this.#settings.slabBytes;
    const slab =
      (isLarge ? undefined : this.#pool.pop()) ??
      newSlab(isLarge ? neededBytes : this.#settings.slabBytes);
    slab.basePosition = position;
    this.#slabs.push(slab);
    this.#slabsBytes += slab.bytes.length;
    this.bytes = slab.bytes;
    this.view = slab.view;
    this.#slabBase = position;
    this.#batchStart = 0;
    this.#offset = batchHeaderBytes;
  }

  #closeBatch(): void {
    if (this.#recordCount === 0) return;
    const end = roundUp(this.#offset, limits.sectorBytes);
    this.bytes.fill(0, this.#offset, end);
    const lengthBytes = end - this.#batchStart;
    this.#closed.push({
      bytes: this.bytes,
      view: this.view,
      start: this.#batchStart,
      lengthBytes,
      position: this.#slabBase + this.#batchStart,
      recordCount: this.#recordCount,
      recordsBytes: this.#offset - this.#batchStart - batchHeaderBytes,
      isSealed: false,
      segmentBlock: undefined,
    });
    this.#closedBytes += lengthBytes;
    this.#recordCount = 0;
    this.#beginBatch(end);
  }

  #beginBatch(start: number): void {
    this.#batchStart = start;
    this.#offset = start + batchHeaderBytes;
    const hardLimit = Math.min(this.bytes.length, this.#segmentEnd - this.#slabBase);
    this.#softLimit = Math.min(hardLimit, start + this.#settings.batchBytesMax);
  }
}

function newSlab(sizeBytes: number): Slab {
  const bytes = new Uint8Array(sizeBytes);
  return { bytes, view: viewOf(bytes), basePosition: 0 };
}

function tooLarge(attempted: string, found: number, allowed: number): EverholdError {
  return new EverholdError(
    "EVH_FRAME_TOO_LARGE",
    `cannot ${attempted} of ${found} bytes: at most ${allowed} fit`,
  );
}
