import type { Hash } from "@everhold/env";
import type { Chain } from "./chain.ts";
import { batchHeader, batchHeaderBytes, batchMagic } from "./journal-format.ts";
import { limits } from "./limits.ts";
import { getU64, setU64 } from "./u64.ts";

const fields = batchHeader;
const crcStart = fields.crc.at + fields.crc.bytes;

/** What a batch needs to know of its segment. */
export interface BatchSegment {
  readonly base: number;
  readonly sizeBytes: number;
  /** Seed of its CRCs. */
  readonly seed: number;
}

/** What is said about a batch when it is sealed. */
export interface BatchSeal {
  readonly epoch: number;
  readonly position: number;
  readonly lengthBytes: number;
  readonly recordCount: number;
  readonly recordsBytes: number;
  readonly wallClockMs: number;
  readonly commitPosition: number;
}

/**
 * Writes the header of the batch at `bytes[start … start + lengthBytes)`, whose records and padding are
 * in place, and moves `chain` past it.
 */
export function sealBatch(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  seal: BatchSeal,
  segment: BatchSegment,
  chain: Chain,
  hash: Hash,
): void {
  view.setUint32(start + fields.magic.at, batchMagic);
  view.setUint32(start + fields.lengthBytes.at, seal.lengthBytes);
  view.setUint32(start + fields.epoch.at, seal.epoch);
  setU64(view, start + fields.position.at, seal.position);
  view.setUint32(start + fields.recordCount.at, seal.recordCount);
  view.setUint32(start + fields.flags.at, 0);
  setU64(view, start + fields.wallClockMs.at, seal.wallClockMs);
  setU64(view, start + fields.commitPosition.at, seal.commitPosition);
  chain.writeTo(view, start + fields.chain.at);
  view.setUint32(start + fields.recordsBytes.at, seal.recordsBytes);
  view.setUint32(start + fields.reserved.at, 0);
  const crc = hash.crc32(bytes.subarray(start + crcStart, start + seal.lengthBytes), segment.seed);
  view.setUint32(start + fields.crc.at, crc);
  chain.advance(seal.epoch, seal.position, seal.lengthBytes, crc);
}

/** Moves `chain` past the sealed batch at `start`. */
export function advanceChain(view: DataView, start: number, chain: Chain): void {
  chain.advance(
    view.getUint32(start + fields.epoch.at),
    getU64(view, start + fields.position.at),
    view.getUint32(start + fields.lengthBytes.at),
    view.getUint32(start + fields.crc.at),
  );
}

/** The length of the sealed batch at `start`, in bytes. */
export function batchLengthAt(view: DataView, start: number): number {
  return view.getUint32(start + fields.lengthBytes.at);
}

/** The chain value before the sealed batch at `start`. */
export function readChainBefore(view: DataView, start: number, chain: Chain): void {
  chain.readFrom(view, start + fields.chain.at);
}

/** How many bytes of the sealed batch at `start` its header and records take; zeros follow. */
export function batchContentBytesAt(view: DataView, start: number): number {
  return batchHeaderBytes + view.getUint32(start + fields.recordsBytes.at);
}

/**
 * Why bytes are not a valid batch. `incomplete`: more bytes are needed to tell, `lengthBytes` of them.
 * `content`: the checksum matches and yet the batch contradicts itself, so it was written that way.
 */
export type BatchProblem = "incomplete" | "magic" | "length" | "position" | "checksum" | "content";

/** Checks batches and keeps the header of the one looked at last. */
export class BatchChecker {
  lengthBytes = 0;
  crc = 0;
  epoch = 0;
  recordCount = 0;
  recordsBytes = 0;
  wallClockMs = 0;
  commitPosition = 0;
  readonly #hash: Hash;

  constructor(hash: Hash) {
    this.#hash = hash;
  }

  /** Looks at `bytes[start … end)` as a batch at `position`; `undefined` means that it is valid. */
  check(
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    position: number,
    segment: BatchSegment,
  ): BatchProblem | undefined {
    this.lengthBytes = batchHeaderBytes;
    if (end - start < batchHeaderBytes) return "incomplete";
    if (view.getUint32(start + fields.magic.at) !== batchMagic) return "magic";
    if (getU64(view, start + fields.position.at) !== position) return "position";
    const lengthBytes = view.getUint32(start + fields.lengthBytes.at);
    const room = segment.base + segment.sizeBytes - position;
    const lengthFits = lengthBytes >= limits.sectorBytes && lengthBytes <= room;
    if (!lengthFits || lengthBytes % limits.sectorBytes !== 0) return "length";
    this.lengthBytes = lengthBytes;
    if (end - start < lengthBytes) return "incomplete";
    this.crc = view.getUint32(start + fields.crc.at);
    const covered = bytes.subarray(start + crcStart, start + lengthBytes);
    if (this.#hash.crc32(covered, segment.seed) !== this.crc) return "checksum";
    this.epoch = view.getUint32(start + fields.epoch.at);
    this.recordCount = view.getUint32(start + fields.recordCount.at);
    this.recordsBytes = view.getUint32(start + fields.recordsBytes.at);
    this.wallClockMs = getU64(view, start + fields.wallClockMs.at);
    this.commitPosition = getU64(view, start + fields.commitPosition.at);
    const sane =
      this.commitPosition <= position &&
      view.getUint32(start + fields.flags.at) === 0 &&
      view.getUint32(start + fields.reserved.at) === 0 &&
      this.recordsBytes <= lengthBytes - batchHeaderBytes &&
      this.#recordsAddUp(view, start);
    return sane ? undefined : "content";
  }

  /** The records must fill exactly what the header says. */
  #recordsAddUp(view: DataView, start: number): boolean {
    let at = start + batchHeaderBytes;
    const end = at + this.recordsBytes;
    let count = 0;
    while (at < end) {
      const lengthBytes = recordLengthAt(view, at);
      if (lengthBytes < 8) return false;
      at += lengthBytes;
      count += 1;
    }
    return at === end && count === this.recordCount && count > 0;
  }
}

/** The length of the record at `offset`, header included, in bytes. */
export function recordLengthAt(view: DataView, offset: number): number {
  return (view.getUint32(offset) >>> 8) * 8;
}

/** The type of the record at `offset`. */
export function recordTypeAt(view: DataView, offset: number): number {
  return view.getUint32(offset) & 0xff;
}

/** The reference of the record at `offset`. */
export function recordReferenceAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4);
}

/** Whether a batch could begin at `start`: a look at 24 bytes, without the checksum. */
export function looksLikeBatch(view: DataView, start: number, position: number): boolean {
  return (
    view.getUint32(start + fields.magic.at) === batchMagic &&
    getU64(view, start + fields.position.at) === position
  );
}

/** Whether the batch at `start` continues a log whose chain value is `chain`. */
export function continuesChain(view: DataView, start: number, chain: Chain): boolean {
  return chain.matches(view, start + fields.chain.at);
}
