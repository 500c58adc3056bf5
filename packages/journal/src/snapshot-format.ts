import type { Hash } from "@everhold/env";
import type { Chain } from "./chain.ts";
import type { EpochStart } from "./epoch-starts.ts";
import type { SnapshotWriter } from "./journal-api.ts";
import {
  checksumCrc32,
  epochsKind,
  footerKind,
  formatVersion,
  sectionHeader,
  sectionHeaderBytes,
  sectionMagic,
  snapshotEpoch,
  snapshotEpochBytes,
  snapshotFooter,
  snapshotFooterBytes,
  snapshotHeader,
  snapshotHeaderBytes,
  snapshotMagic,
} from "./journal-format.ts";
import { limits } from "./limits.ts";
import { crcSeed } from "./segment-header.ts";
import { getU64, roundUp, setU64, viewOf } from "./u64.ts";

/** What a snapshot's header says. */
export interface SnapshotHeaderValues {
  readonly groupId: Uint8Array;
  readonly replayStart: number;
  readonly chain: Chain;
  /** 8 random bytes. */
  readonly nonce: Uint8Array;
  readonly epoch: number;
  readonly wallClockMs: number;
}

/** The header block of a snapshot. */
export function encodeSnapshotHeader(values: SnapshotHeaderValues, hash: Hash): Uint8Array {
  const bytes = new Uint8Array(snapshotHeaderBytes);
  const view = viewOf(bytes);
  const fields = snapshotHeader;
  view.setUint32(fields.magic.at, snapshotMagic[0]);
  view.setUint32(fields.magic.at + 4, snapshotMagic[1]);
  view.setUint32(fields.version.at, formatVersion);
  view.setUint32(fields.headerBytes.at, snapshotHeaderBytes);
  bytes.set(values.groupId, fields.groupId.at);
  setU64(view, fields.replayStart.at, values.replayStart);
  values.chain.writeTo(view, fields.chain.at);
  bytes.set(values.nonce, fields.nonce.at);
  view.setUint32(fields.epoch.at, values.epoch);
  view.setUint32(fields.checksum.at, checksumCrc32);
  setU64(view, fields.wallClockMs.at, values.wallClockMs);
  view.setUint32(fields.crc.at, hash.crc32(bytes.subarray(0, fields.crc.at), 0));
  return bytes;
}

/** The seed of the CRCs of a snapshot's sections. */
export function snapshotSeed(header: Uint8Array, hash: Hash): number {
  const { nonce, replayStart } = snapshotHeader;
  return crcSeed(header, nonce.at, viewOf(header), replayStart.at, hash);
}

/** Reads what {@link SectionBuilder.epochs} wrote, from a payload `start … end`. */
export function readEpochs(view: DataView, start: number, end: number): EpochStart[] {
  const epochs: EpochStart[] = [];
  for (let at = start; at + snapshotEpochBytes <= end; at += snapshotEpochBytes) {
    const position = getU64(view, at + snapshotEpoch.position.at);
    epochs.push({ epoch: view.getUint32(at + snapshotEpoch.epoch.at), position });
  }
  return epochs;
}

/** Gathers sections in memory until they are written. */
export class SectionBuilder implements SnapshotWriter {
  bytes: Uint8Array = new Uint8Array(limits.snapshotWriteBytes * 2);
  view: DataView = viewOf(this.bytes);
  /** The largest `asOf` of all sections so far. */
  lastAsOf = 0;
  readonly #hash: Hash;
  readonly #seed: number;
  readonly #position: { readonly asOf: number };
  #size = 0;
  #sectionCount = 0;
  #kind = -1;
  #payloadBytesMax = 0;

  constructor(hash: Hash, seed: number, position: { readonly asOf: number }) {
    this.#hash = hash;
    this.#seed = seed;
    this.#position = position;
  }

  get asOf(): number {
    return this.#position.asOf;
  }

  get payloadOffset(): number {
    return this.#size + sectionHeaderBytes;
  }

  /** Bytes of finished sections that wait to be written. */
  get size(): number {
    return this.#size;
  }

  begin(kind: number, payloadBytesMax: number): void {
    const isKindValid = Number.isInteger(kind) && kind > footerKind && kind <= 0xffff;
    if (!isKindValid) {
      throw new RangeError(`cannot begin a section of kind ${kind}: expected 1 to 65535`);
    }
    this.#begin(kind, payloadBytesMax);
  }

  end(payloadBytes: number): void {
    if (this.#kind < 0 || payloadBytes > this.#payloadBytesMax) {
      throw new RangeError(
        `cannot end a section with ${payloadBytes} bytes: at most ${this.#payloadBytesMax} were begun`,
      );
    }
    const start = this.#size;
    const end = start + sectionHeaderBytes + roundUp(payloadBytes, 8);
    const { view, bytes } = this;
    const { asOf } = this;
    bytes.fill(0, start + sectionHeaderBytes + payloadBytes, end);
    view.setUint32(start + sectionHeader.magic.at, sectionMagic);
    view.setUint32(start + sectionHeader.kind.at, this.#kind);
    view.setUint32(start + sectionHeader.payloadBytes.at, payloadBytes);
    setU64(view, start + sectionHeader.asOf.at, asOf);
    view.setUint32(start + sectionHeader.ordinal.at, this.#sectionCount);
    view.setUint32(start + sectionHeader.reserved.at, 0);
    const covered = bytes.subarray(start + sectionHeader.kind.at, end);
    view.setUint32(start + sectionHeader.crc.at, this.#hash.crc32(covered, this.#seed));
    this.#size = end;
    this.#sectionCount += 1;
    this.#kind = -1;
    this.lastAsOf = Math.max(this.lastAsOf, asOf);
  }

  /** Adds the section of a group's epochs. */
  epochs(epochs: readonly EpochStart[]): void {
    this.#begin(epochsKind, epochs.length * snapshotEpochBytes);
    let at = this.payloadOffset;
    for (const { epoch, position } of epochs) {
      this.view.setUint32(at + snapshotEpoch.epoch.at, epoch);
      setU64(this.view, at + snapshotEpoch.position.at, position);
      at += snapshotEpochBytes;
    }
    this.end(epochs.length * snapshotEpochBytes);
  }

  /** Ends the snapshot. `commitPosition` is not below {@link lastAsOf}. */
  footer(commitPosition: number): void {
    const sectionCount = this.#sectionCount;
    this.#begin(footerKind, snapshotFooterBytes);
    const at = this.payloadOffset;
    setU64(this.view, at + snapshotFooter.commitPosition.at, commitPosition);
    this.view.setUint32(at + snapshotFooter.sectionCount.at, sectionCount);
    this.view.setUint32(at + snapshotFooter.reserved.at, 0);
    this.end(snapshotFooterBytes);
  }

  /** Everything finished, for one write; valid until the next section. */
  take(): Uint8Array {
    const taken = this.bytes.subarray(0, this.#size);
    this.#size = 0;
    return taken;
  }

  #begin(kind: number, payloadBytesMax: number): void {
    if (payloadBytesMax > limits.sectionBytesMax) {
      throw new RangeError(
        `cannot begin a section of ${payloadBytesMax} bytes: at most ${limits.sectionBytesMax} fit`,
      );
    }
    const needed = this.#size + sectionHeaderBytes + roundUp(payloadBytesMax, 8);
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.#size));
      this.bytes = grown;
      this.view = viewOf(grown);
    }
    this.#kind = kind;
    this.#payloadBytesMax = payloadBytesMax;
  }
}
