import { EverholdError } from "@everhold/base";
import type { Disk, DiskFile, Hash } from "@everhold/env";
import type { RecoverySink } from "./journal-api.ts";
import { readFully } from "./disk-io.ts";
import {
  footerKind,
  sectionHeader,
  sectionHeaderBytes,
  sectionMagic,
  snapshotFooter,
  snapshotFooterBytes,
  snapshotHeader,
  snapshotHeaderBytes,
  snapshotMagic,
} from "./journal-format.ts";
import { limits } from "./limits.ts";
import { checkFormat } from "./segment-header.ts";
import { snapshotSeed } from "./snapshot-format.ts";
import { getU64, roundUp, viewOf } from "./u64.ts";

/** What is known of a valid snapshot. */
export interface SnapshotInfo {
  readonly name: string;
  readonly groupId: Uint8Array;
  readonly replayStart: number;
  readonly epoch: number;
  readonly chainHigh: number;
  readonly chainLow: number;
  readonly commitPosition: number;
  readonly sectionCount: number;
}

/**
 * Reads a whole snapshot and checks every byte of it; hands its sections to `restore`, if there is one.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 */
export async function readSnapshot(
  disk: Disk,
  name: string,
  hash: Hash,
  restore?: Pick<RecoverySink, "restoreSection">,
): Promise<SnapshotInfo> {
  const file = await disk.open(name);
  try {
    return await new SnapshotWalk(file, name, hash, restore).run();
  } finally {
    await file.close();
  }
}

/** One pass over the sections of a snapshot. */
class SnapshotWalk {
  readonly #file: DiskFile;
  readonly #name: string;
  readonly #hash: Hash;
  readonly #restore: Pick<RecoverySink, "restoreSection"> | undefined;
  #bytes = new Uint8Array(limits.scanChunkBytes);
  #view = viewOf(this.#bytes);
  #start = 0;
  #end = 0;
  #fileOffset = 0;
  #sectionCount = 0;
  #lastAsOf = 0;

  constructor(
    file: DiskFile,
    name: string,
    hash: Hash,
    restore: Pick<RecoverySink, "restoreSection"> | undefined,
  ) {
    this.#file = file;
    this.#name = name;
    this.#hash = hash;
    this.#restore = restore;
  }

  async run(): Promise<SnapshotInfo> {
    const header = await this.#readHeader();
    const view = viewOf(header);
    const seed = snapshotSeed(header, this.#hash);
    while ((await this.#readSection(seed)) !== footerKind) this.#handOver();
    const footer = this.#start + sectionHeaderBytes;
    const info: SnapshotInfo = {
      name: this.#name,
      groupId: header.slice(snapshotHeader.groupId.at, snapshotHeader.groupId.at + 16),
      replayStart: getU64(view, snapshotHeader.replayStart.at),
      epoch: view.getUint32(snapshotHeader.epoch.at),
      chainHigh: view.getUint32(snapshotHeader.chain.at),
      chainLow: view.getUint32(snapshotHeader.chain.at + 4),
      commitPosition: getU64(this.#view, footer + snapshotFooter.commitPosition.at),
      sectionCount: this.#view.getUint32(footer + snapshotFooter.sectionCount.at),
    };
    const isConsistent =
      info.sectionCount === this.#sectionCount &&
      info.replayStart <= info.commitPosition &&
      this.#lastAsOf <= info.commitPosition &&
      this.#payloadBytes() === snapshotFooterBytes;
    if (!isConsistent) throw this.#corrupt("its footer contradicts its sections");
    return info;
  }

  async #readHeader(): Promise<Uint8Array> {
    await this.#need(snapshotHeaderBytes);
    const header = this.#bytes.slice(this.#start, this.#start + snapshotHeaderBytes);
    const view = viewOf(header);
    const isOurs =
      view.getUint32(snapshotHeader.magic.at) === snapshotMagic[0] &&
      view.getUint32(snapshotHeader.magic.at + 4) === snapshotMagic[1];
    if (!isOurs) throw this.#corrupt("it has no snapshot header");
    const crc = this.#hash.crc32(header.subarray(0, snapshotHeader.crc.at), 0);
    if (crc !== view.getUint32(snapshotHeader.crc.at)) {
      throw this.#corrupt("its header's checksum does not match");
    }
    checkFormat(
      this.#name,
      view.getUint32(snapshotHeader.version.at),
      view.getUint32(snapshotHeader.checksum.at),
    );
    this.#start += snapshotHeaderBytes;
    return header;
  }

  /** Leaves `#start` at the section's header and returns its kind. */
  async #readSection(seed: number): Promise<number> {
    await this.#need(sectionHeaderBytes);
    const payloadBytes = this.#payloadBytes();
    const isHeader = this.#view.getUint32(this.#start + sectionHeader.magic.at) === sectionMagic;
    if (!isHeader || payloadBytes > limits.sectionBytesMax) {
      throw this.#corrupt("a section does not begin where the one before ends");
    }
    const sectionBytes = sectionHeaderBytes + roundUp(payloadBytes, 8);
    await this.#need(sectionBytes);
    const start = this.#start;
    const covered = this.#bytes.subarray(start + sectionHeader.kind.at, start + sectionBytes);
    const crc = this.#hash.crc32(covered, seed);
    if (crc !== this.#view.getUint32(start + sectionHeader.crc.at)) {
      throw this.#corrupt("a section's checksum does not match");
    }
    if (this.#view.getUint32(start + sectionHeader.ordinal.at) !== this.#sectionCount) {
      throw this.#corrupt("its sections are not in order");
    }
    return this.#view.getUint32(start + sectionHeader.kind.at);
  }

  #handOver(): void {
    const start = this.#start;
    const payloadBytes = this.#payloadBytes();
    const asOf = getU64(this.#view, start + sectionHeader.asOf.at);
    const kind = this.#view.getUint32(start + sectionHeader.kind.at);
    const payload = start + sectionHeaderBytes;
    this.#lastAsOf = Math.max(this.#lastAsOf, asOf);
    this.#sectionCount += 1;
    this.#restore?.restoreSection(
      kind,
      asOf,
      this.#bytes,
      this.#view,
      payload,
      payload + payloadBytes,
    );
    this.#start = payload + roundUp(payloadBytes, 8);
  }

  #payloadBytes(): number {
    return this.#view.getUint32(this.#start + sectionHeader.payloadBytes.at);
  }

  /** Brings `neededBytes` from the current section on into memory. */
  async #need(neededBytes: number): Promise<void> {
    const kept = this.#end - this.#start;
    if (kept >= neededBytes) return;
    if (neededBytes > this.#bytes.length) {
      const grown = new Uint8Array(neededBytes);
      grown.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = grown;
      this.#view = viewOf(grown);
    } else {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    }
    this.#start = 0;
    const count = await readFully(this.#file, this.#bytes.subarray(kept), this.#fileOffset);
    this.#fileOffset += count;
    this.#end = kept + count;
    if (this.#end < neededBytes) throw this.#corrupt("it ends before its footer");
  }

  #corrupt(found: string): EverholdError {
    return new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot use ${this.#name}: ${found} (near byte ${this.#fileOffset - this.#end + this.#start})`,
    );
  }
}
