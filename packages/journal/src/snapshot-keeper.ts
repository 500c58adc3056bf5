import { assert, EverholdError } from "@everhold/base";
import type { DiskFile } from "@everhold/env";
import type { JournalPorts, SnapshotSource } from "./journal-api.ts";
import type { Chain } from "./chain.ts";
import type { EpochStart } from "./epoch-starts.ts";
import { diskError, isDiskFull, writeFully } from "./disk-io.ts";
import { snapshotName, temporarySnapshotName } from "./file-names.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import { encodeSnapshotHeader, SectionBuilder, snapshotSeed } from "./snapshot-format.ts";

/** The rest of the journal, as the keeper of snapshots sees it. */
export interface SnapshotSurroundings {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  /** The caller's state holds the effect of every record before it, and of no other. */
  readonly asOf: number;
  readonly commitPosition: number;
  /** Where a snapshot begun now is replayed from, and the chain value there: no section is older. */
  readonly replayStart: number;
  readonly replayChain: Chain;
  /** What a member of a group keeps of its epochs; none without a group. */
  readonly epochs: readonly EpochStart[];
  /** Settles when everything before `position` is durable. @throws EverholdError after a failure */
  committed(position: number): Promise<void>;
  /** Segments may have become free. */
  onSnapshot(): void;
  onFailed(error: EverholdError): void;
}

/** A snapshot on the disk. */
export interface KeptSnapshot {
  readonly name: string;
  readonly replayStart: number;
}

/**
 * Writes snapshots beside the log, a slice a turn, and keeps the newest two.
 *
 * A snapshot is begun under a temporary name and gets its own when it is valid: when the log is durable
 * up to the last section's position. So every snapshot that has its name can be trusted to its CRCs.
 */
export class SnapshotKeeper {
  readonly #ports: JournalPorts;
  readonly #settings: JournalSettings;
  readonly #surroundings: SnapshotSurroundings;
  /** The oldest first. */
  readonly #kept: KeptSnapshot[] = [];
  readonly #stale: string[] = [];
  #source: SnapshotSource | undefined = undefined;
  #underWay: Promise<void> | undefined = undefined;
  #nextAt = 0;
  #isStopped = false;
  /** There was no room for the last one. */
  #isRoomless = false;

  constructor(ports: JournalPorts, settings: JournalSettings, surroundings: SnapshotSurroundings) {
    this.#ports = ports;
    this.#settings = settings;
    this.#surroundings = surroundings;
  }

  /** The newest that is kept. */
  get newestName(): string | undefined {
    return this.#kept.at(-1)?.name;
  }

  /** Begins to work. `kept` are valid, the oldest first; `stale` are removed with the next snapshot. */
  start(source: SnapshotSource, kept: readonly KeptSnapshot[], stale: readonly string[]): void {
    this.#source = source;
    this.#kept.push(...kept);
    this.#stale.push(...stale);
    this.#nextAt = (kept.at(-1)?.replayStart ?? 0) + this.#settings.snapshotBytes;
  }

  /** Writes no more. */
  stop(): void {
    this.#isStopped = true;
  }

  /**
   * Segments that end at or before it are needed by no snapshot: one may be damaged, so the older one
   * counts. When the disk is full the newest is enough.
   */
  floor(isSpaceShort: boolean): number {
    const isEnough = this.#kept.length >= limits.snapshotCountMax || isSpaceShort;
    return isEnough ? (this.#kept[0]?.replayStart ?? 0) : 0;
  }

  /** Starts a snapshot when enough was written since the last one. Cheap otherwise. */
  wake(): void {
    if (this.#surroundings.replayStart < this.#nextAt) return;
    if (this.#underWay !== undefined || this.#isStopped) return;
    // Failures are told through `onFailed`.
    this.#run().catch(() => undefined);
  }

  /**
   * Writes a snapshot of everything that is committed when it is called.
   * @throws EverholdError when the journal fails, EVH_DISK_FULL
   */
  async write(): Promise<void> {
    // Its failure is its own caller's matter; this snapshot is tried all the same.
    while (this.#underWay !== undefined) await this.#underWay.catch(() => undefined);
    this.#checkRunning();
    if (this.#kept.at(-1)?.replayStart === this.#surroundings.replayStart) return;
    await this.#run();
  }

  /** Gives up what can be given up when the disk is full. */
  async relieve(): Promise<void> {
    const oldest = this.#kept.length >= limits.snapshotCountMax ? this.#kept.shift() : undefined;
    if (oldest !== undefined) await this.#ports.disk.remove(oldest.name);
    this.#surroundings.onSnapshot();
  }

  #run(): Promise<void> {
    assert(this.#underWay === undefined, "one snapshot is written at a time");
    const run = this.#writeSnapshot().then(
      () => {
        this.#underWay = undefined;
      },
      (error: unknown) => {
        this.#underWay = undefined;
        throw this.#explain(error);
      },
    );
    this.#underWay = run;
    return run;
  }

  async #writeSnapshot(): Promise<void> {
    const { disk, hash, random, wallClock } = this.#ports;
    const { groupId, epoch, replayStart, replayChain, epochs } = this.#surroundings;
    this.#nextAt = replayStart + this.#settings.snapshotBytes;
    const nonce = new Uint8Array(8);
    random.fill(nonce);
    const wallClockMs = wallClock.nowMs();
    const values = { groupId, replayStart, chain: replayChain, nonce, epoch, wallClockMs };
    const header = encodeSnapshotHeader(values, hash);
    const builder = new SectionBuilder(hash, snapshotSeed(header, hash), this.#surroundings);
    const older = epochs.filter(({ position }) => position < replayStart);
    if (older.length > 0) builder.epochs(older);
    await this.#removeTemporary();
    const file = await disk.create(temporarySnapshotName);
    try {
      await this.#writeContent(file, header, builder);
    } finally {
      await file.close();
    }
    this.#checkRunning();
    const name = snapshotName(replayStart);
    await disk.rename(temporarySnapshotName, name);
    this.#kept.push({ name, replayStart });
    this.#isRoomless = false;
    this.#ports.log.debug("a snapshot was written", { snapshot: name });
    await this.#removeOld();
    this.#surroundings.onSnapshot();
  }

  async #writeContent(file: DiskFile, header: Uint8Array, builder: SectionBuilder): Promise<void> {
    const source = this.#source;
    assert(source !== undefined, "a snapshot is written after start");
    await writeFully(file, header, 0);
    let offset = header.length;
    source.beginSnapshot();
    let hasMore = true;
    while (hasMore) {
      await this.#nextTurn();
      hasMore = source.nextSnapshotSection(builder);
      if (hasMore && builder.size < limits.snapshotWriteBytes) continue;
      offset = await this.#flush(file, builder, offset);
    }
    await this.#surroundings.committed(builder.lastAsOf);
    builder.footer(this.#surroundings.commitPosition);
    await this.#flush(file, builder, offset);
  }

  async #flush(file: DiskFile, builder: SectionBuilder, offset: number): Promise<number> {
    const bytes = builder.take();
    if (bytes.length > 0) await writeFully(file, bytes, offset);
    return offset + bytes.length;
  }

  async #nextTurn(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#ports.timers.atTurnEnd(resolve);
    });
    this.#checkRunning();
  }

  #checkRunning(): void {
    if (!this.#isStopped) return;
    throw new EverholdError("EVH_CLOSED", "cannot finish the snapshot: the journal has stopped");
  }

  async #removeTemporary(): Promise<void> {
    const names = await this.#ports.disk.list();
    if (names.includes(temporarySnapshotName)) {
      await this.#ports.disk.remove(temporarySnapshotName);
    }
  }

  async #removeOld(): Promise<void> {
    for (const name of this.#stale.splice(0)) {
      const isKept = this.#kept.some((snapshot) => snapshot.name === name);
      if (!isKept) await this.#ports.disk.remove(name);
    }
    while (this.#kept.length > limits.snapshotCountMax) {
      const oldest = this.#kept.shift();
      if (oldest !== undefined) await this.#ports.disk.remove(oldest.name);
    }
  }

  /** A full disk only costs this snapshot; everything else ends the journal. */
  #explain(error: unknown): EverholdError {
    const explained = diskError(error, "write a snapshot");
    if (isDiskFull(error)) {
      // It is tried again and again, and said once.
      if (!this.#isRoomless) {
        this.#ports.log.warn("a snapshot was given up because the disk is full");
      }
      this.#isRoomless = true;
      return explained;
    }
    if (!this.#isStopped) this.#surroundings.onFailed(explained);
    return explained;
  }
}
