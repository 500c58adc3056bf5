import { EverholdError } from "@everhold/base";
import type { Hash } from "@everhold/env";
import type { Chain } from "./chain.ts";
import { checksumCrc32, formatVersion, segmentHeader, segmentMagic } from "./journal-format.ts";
import { limits } from "./limits.ts";
import { getU64, roundUp, setU64, viewOf } from "./u64.ts";

const fields = segmentHeader;
const headerBytes = limits.segmentHeaderBytes;

/** What a new segment's header says. */
export interface SegmentHeaderValues {
  readonly groupId: Uint8Array;
  readonly base: number;
  readonly sizeBytes: number;
  readonly epoch: number;
  /** 8 random bytes. */
  readonly nonce: Uint8Array;
  readonly chain: Chain;
  readonly previousEnd: number;
  readonly commitPosition: number;
  readonly wallClockMs: number;
}

/** What is known of a segment from its header. */
export interface SegmentHeader {
  readonly base: number;
  readonly sizeBytes: number;
  /** Seed of every CRC in the file. */
  readonly seed: number;
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly chainHigh: number;
  readonly chainLow: number;
  readonly previousEnd: number;
  readonly commitPosition: number;
}

/** The header block of a new segment. */
export function encodeSegmentHeader(values: SegmentHeaderValues, hash: Hash): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = viewOf(bytes);
  view.setUint32(fields.magic.at, segmentMagic[0]);
  view.setUint32(fields.magic.at + 4, segmentMagic[1]);
  view.setUint32(fields.version.at, formatVersion);
  view.setUint32(fields.headerBytes.at, headerBytes);
  bytes.set(values.groupId, fields.groupId.at);
  setU64(view, fields.base.at, values.base);
  setU64(view, fields.sizeBytes.at, values.sizeBytes);
  view.setUint32(fields.epoch.at, values.epoch);
  view.setUint32(fields.checksum.at, checksumCrc32);
  bytes.set(values.nonce, fields.nonce.at);
  values.chain.writeTo(view, fields.chain.at);
  setU64(view, fields.previousEnd.at, values.previousEnd);
  setU64(view, fields.commitPosition.at, values.commitPosition);
  setU64(view, fields.wallClockMs.at, values.wallClockMs);
  view.setUint32(fields.crc.at, hash.crc32(bytes.subarray(0, fields.crc.at), 0));
  return bytes;
}

/**
 * Reads and checks a header block.
 * @throws EverholdError EVH_DATA_FORMAT for one that is newer, EVH_DATA_CORRUPT
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  name: string,
  base: number,
  hash: Hash,
): SegmentHeader {
  if (bytes.length < headerBytes) {
    throw corrupt(name, `found ${bytes.length} bytes, expected a header of ${headerBytes}`);
  }
  const view = viewOf(bytes);
  const isOurs =
    view.getUint32(fields.magic.at) === segmentMagic[0] &&
    view.getUint32(fields.magic.at + 4) === segmentMagic[1];
  const crc = hash.crc32(bytes.subarray(0, fields.crc.at), 0);
  const crcMatches = crc === view.getUint32(fields.crc.at);
  if (!isOurs) {
    // The name is one that only a journal gives: it is the first bytes that are damaged.
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot open ${name}: found no segment header at byte 0; its first bytes are damaged, or it is not a ` +
        "journal of Everhold: restore it from a backup, or choose another data folder",
    );
  }
  const version = view.getUint32(fields.version.at);
  checkNotNewer(name, version);
  if (!crcMatches) throw corrupt(name, "the header's checksum does not match");
  checkFormat(name, version, view.getUint32(fields.checksum.at));
  const header: SegmentHeader = {
    base: getU64(view, fields.base.at),
    sizeBytes: getU64(view, fields.sizeBytes.at),
    seed: crcSeed(bytes, fields.nonce.at, view, fields.base.at, hash),
    groupId: bytes.slice(fields.groupId.at, fields.groupId.at + fields.groupId.bytes),
    epoch: view.getUint32(fields.epoch.at),
    chainHigh: view.getUint32(fields.chain.at),
    chainLow: view.getUint32(fields.chain.at + 4),
    previousEnd: getU64(view, fields.previousEnd.at),
    commitPosition: getU64(view, fields.commitPosition.at),
  };
  if (header.base !== base) {
    throw corrupt(
      name,
      `its header says that it begins at position ${header.base}; was it renamed`,
    );
  }
  const sane =
    Number.isSafeInteger(header.base + header.sizeBytes) &&
    header.sizeBytes >= limits.segmentBytesMin &&
    header.sizeBytes <= limits.segmentBytesMax &&
    header.sizeBytes === roundUp(header.sizeBytes, headerBytes) &&
    header.previousEnd <= header.base &&
    header.commitPosition <= header.base;
  if (!sane) throw corrupt(name, "the header's sizes and positions contradict each other");
  return header;
}

/** The seed of a file's CRCs: the CRC-32 of its nonce followed by a position. */
export function crcSeed(
  bytes: Uint8Array,
  nonceAt: number,
  view: DataView,
  positionAt: number,
  hash: Hash,
): number {
  const seed = new Uint8Array(16);
  seed.set(bytes.subarray(nonceAt, nonceAt + 8), 0);
  setU64(viewOf(seed), 8, getU64(view, positionAt));
  return hash.crc32(seed, 0);
}

/** @throws EverholdError EVH_DATA_FORMAT when a program of this version cannot read the file. */
export function checkFormat(name: string, version: number, checksum: number): void {
  checkNotNewer(name, version);
  if (version !== formatVersion || checksum !== checksumCrc32) {
    throw new EverholdError(
      "EVH_DATA_FORMAT",
      `cannot open ${name}: found format version ${version} with checksum ${checksum}, expected ` +
        `${formatVersion} with ${checksumCrc32}`,
    );
  }
}

/** What a newer program wrote need not have its checksum where this one looks. @throws EverholdError EVH_DATA_FORMAT */
export function checkNotNewer(name: string, version: number): void {
  if (version <= formatVersion) return;
  throw new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot open ${name}: found format version ${version}, this program knows up to ` +
      `${formatVersion}: start the version of Everhold that wrote it, or a newer one`,
  );
}

function corrupt(name: string, found: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_CORRUPT",
    `cannot open ${name}: ${found}; restore the file from a backup`,
  );
}
