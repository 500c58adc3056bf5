import { assert, EverholdError } from "@everhold/base";
import type { DiskLock, Timer } from "@everhold/env";
import { BatchWriter, type WriterSurroundings } from "./batch-writer.ts";
import { Chain } from "./chain.ts";
import { diskError, isDiskFull } from "./disk-io.ts";
import { EpochStarts, type EpochStart } from "./epoch-starts.ts";
import { endFill } from "./folder-fill.ts";
import { checkFenceGroup, readFence } from "./fence-file.ts";
import type {
  Journal,
  JournalHealth,
  JournalListener,
  JournalOptions,
  JournalPorts,
  ReadDone,
  RecordView,
  RecoverySink,
  RecoverySummary,
  SnapshotSource,
} from "./journal-api.ts";
import { firstCallerRecordType } from "./journal-api.ts";
import { controlRecords, epochRecord, epochRecordBytes, formatVersion } from "./journal-format.ts";
import { resolveSettings, type JournalSettings } from "./journal-settings.ts";
import { DiskJournalMember, type MemberSurroundings } from "./journal-member.ts";
import { limits } from "./limits.ts";
import { cutLog } from "./log-cut.ts";
import { RecordReader, type ReaderSurroundings } from "./record-reader.ts";
import { recoverLog, type EmptyFolder, type RecoveredLog } from "./recovery.ts";
import type { PieceSupplier } from "./segment-mend.ts";
import type {
  FollowingSink,
  JournalPin,
  ReplicatedJournal,
  ReplicatedJournalListener,
} from "./replicated-api.ts";
import { Scrub, type ScrubSurroundings } from "./scrub.ts";
import { SegmentSpace, type SpaceSurroundings } from "./segment-space.ts";
import { SegmentTable, type Segment } from "./segment-table.ts";
import { SnapshotKeeper, type SnapshotSurroundings } from "./snapshot-keeper.ts";
import { Staging } from "./staging.ts";
import { setU64 } from "./u64.ts";

/**
 * Makes a journal over the files of one folder; nothing is touched before `open`.
 * @throws RangeError for options outside their limits
 */
export function createJournal(options: JournalOptions): Journal {
  return new DiskJournal(options, false);
}

/**
 * As {@link createJournal}, for a member of a group. The folder becomes the group's for good: a folder that was a single
 * broker's may found a group.
 * @throws RangeError for options outside their limits
 */
export function createReplicatedJournal(options: JournalOptions): ReplicatedJournal {
  return new DiskJournal(options, true);
}

/** {@link createJournal} and `open` in one, for callers whose state does not need the journal first. */
export async function openJournal(
  options: JournalOptions,
  state: RecoverySink & SnapshotSource,
  listener: JournalListener,
): Promise<Journal> {
  const journal = createJournal(options);
  await journal.open(state, listener);
  return journal;
}

interface CommitWaiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: EverholdError) => void;
}

/** What the log's first reign is called. */
const firstEpoch = 1;

/**
 * The parts of the journal, put together. Each part asks the others only for what its `…Surroundings`
 * interface names.
 *
 * ```
 *   append, reserve --> Staging --> BatchWriter --> disk      locate, read --> Staging, RecordReader
 *                                     |   ^
 *                            roll     v   | space             retain, release --> SegmentTable
 *                                  SegmentSpace                                       | dead segments
 *                                     ^----------------------------------------------+
 * ```
 */
class DiskJournal
  implements
    ReplicatedJournal,
    SpaceSurroundings,
    WriterSurroundings,
    SnapshotSurroundings,
    ReaderSurroundings,
    ScrubSurroundings,
    MemberSurroundings
{
  groupId: Uint8Array;
  epoch = firstEpoch;
  failure: EverholdError | undefined = undefined;
  readonly #expectedGroupId: Uint8Array | undefined;
  readonly #ports: JournalPorts;
  readonly #settings: JournalSettings;
  readonly #table = new SegmentTable();
  readonly #staging: Staging;
  readonly #space: SegmentSpace;
  readonly #writer: BatchWriter;
  readonly #reader: RecordReader;
  readonly #snapshots: SnapshotKeeper;
  readonly #scrub: Scrub;
  /** Present in a group. */
  readonly #member: DiskJournalMember | undefined;
  #life: "new" | "opening" | "open" | "closing" | "closed" = "new";
  #isWritable = false;
  #lock: DiskLock | undefined = undefined;
  #listener: (JournalListener & Partial<ReplicatedJournalListener>) | undefined = undefined;
  #waiters: CommitWaiter[] = [];
  #isTurnEndAsked = false;
  /** Up to here somebody waits for the write. */
  #dueEnd = 0;
  /** Runs while there may be records that can wait. */
  #unhurried: Timer | undefined = undefined;
  #isRelieving = false;
  /** A member's commit position as the listener knows it: nobody sees what is committed before it is told of. */
  #toldCommit = 0;
  #closing: Promise<void> | undefined = undefined;
  #abandoning: Promise<void> | undefined = undefined;

  constructor(options: JournalOptions, isReplicated: boolean) {
    this.#expectedGroupId = options.groupId?.slice();
    this.groupId = this.#expectedGroupId ?? new Uint8Array(16);
    this.#ports = options.ports;
    this.#settings = resolveSettings(options);
    this.#staging = new Staging(this.#settings);
    this.#space = new SegmentSpace(this.#ports, this.#settings, this.#table, this);
    this.#writer = new BatchWriter(this.#ports, this.#staging, this.#space, this);
    this.#reader = new RecordReader(this.#ports, this.#settings, this.#table, this);
    this.#snapshots = new SnapshotKeeper(this.#ports, this.#settings, this);
    this.#scrub = new Scrub(this.#ports, this.#settings, this.#table, this);
    const parts = {
      ports: this.#ports,
      settings: this.#settings,
      table: this.#table,
      staging: this.#staging,
      writer: this.#writer,
      space: this.#space,
    };
    this.#member = isReplicated ? new DiskJournalMember(parts, this) : undefined;
  }

  get member(): DiskJournalMember {
    assert(this.#member !== undefined, "only a group's journal is a member's");
    return this.#member;
  }

  get groupBytesMax(): number {
    return this.#settings.groupBytesMax;
  }

  get recordBytesMax(): number {
    return this.#settings.recordBytesMax;
  }

  get endPosition(): number {
    return this.#staging.endPosition;
  }

  get commitPosition(): number {
    return this.#member === undefined ? this.#writer.durablePosition : this.#toldCommit;
  }

  get stagedBytes(): number {
    if (this.#member !== undefined) return this.endPosition - this.#member.commitPosition;
    return this.#unwrittenBytes;
  }

  get diskFull(): boolean {
    return this.#space.isFull;
  }

  get preparedBytes(): number {
    return Math.max(0, this.#space.aheadBytes - this.#unwrittenBytes);
  }

  get isStuck(): boolean {
    return this.#writer.isStalled || this.#space.isStuck;
  }

  get bytes(): Uint8Array {
    return this.#staging.bytes;
  }

  get view(): DataView {
    return this.#staging.view;
  }

  get payloadOffset(): number {
    return this.#staging.payloadOffset;
  }

  async open(
    state: FollowingSink & SnapshotSource,
    listener: JournalListener & Partial<ReplicatedJournalListener>,
  ): Promise<RecoverySummary> {
    assert(this.#life === "new", "a journal is opened once");
    this.#life = "opening";
    try {
      this.#lock = await this.#ports.disk.lock();
      if (this.#member !== undefined && (await endFill(this.#ports.disk))) {
        this.#ports.log.info(
          "the folder has been filled from another member's: that was interrupted, and is ended",
        );
      }
      const summary = await this.#recover(state);
      if (this.#member === undefined) {
        state.recovered(summary);
        this.#appendEpoch(summary.endPosition, false);
        await this.committed(this.endPosition);
        this.#isWritable = true;
      }
      this.#life = "open";
      this.#listener = listener;
      this.#space.wake();
      this.#snapshots.wake();
      this.#scrub.start();
      return summary;
    } catch (error) {
      await this.abandon();
      throw diskError(error, `open the journal in ${this.#ports.disk.location}`);
    }
  }

  reserve(payloadBytesTotal: number, recordCount: number): void {
    if (!this.#isWritable) throw this.#notWritable();
    this.#staging.reserve(payloadBytesTotal, recordCount);
  }

  append(type: number, reference: number, payloadBytes: number, canWait = false): number {
    if (!this.#isWritable) throw this.#notWritable();
    assert(type >= firstCallerRecordType, "record types below 16 are the journal's");
    const position = this.#staging.append(type, reference, payloadBytes);
    if (!canWait) this.hurry();
    else this.#unhurried ??= this.#ports.timers.after(limits.unhurriedMs, this.#onUnhurried);
    return position;
  }

  hurry(): void {
    this.#dueEnd = this.endPosition;
    // While a write is under way its end starts the next one.
    if (!this.#isTurnEndAsked && !this.#writer.isBusy) this.#askTurnEnd();
  }

  locate(position: number, length: number, into: RecordView): boolean {
    return (
      this.#staging.locate(position, length, into) || this.#reader.locate(position, length, into)
    );
  }

  read(position: number, length: number, done: ReadDone): void {
    this.#reader.read(position, length, done);
  }

  retain(position: number, _length: number): void {
    this.#table.retain(position);
  }

  release(position: number, _length: number): void {
    // The record that says so of a log that is brought along lies somewhere up to its end.
    const isBehind = this.#member !== undefined && !this.#member.isLeading;
    this.#table.release(position, isBehind ? this.member.log.end : this.#stateEnd);
  }

  async snapshotNow(): Promise<void> {
    if (this.#life !== "open" || this.failure !== undefined) throw this.#notWritable();
    if (this.#isWritable) await this.committed(this.endPosition);
    await this.#snapshots.write();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon();
    this.#closing ??= this.#abandoning;
    return this.#abandoning;
  }

  // What the parts ask for: see their `…Surroundings`.

  get replayStart(): number {
    return this.#member === undefined ? this.#writer.durablePosition : this.#member.replayStart;
  }

  get replayChain(): Chain {
    return this.#member === undefined ? this.#writer.durableChain : this.#member.replayChain;
  }

  get epochs(): readonly EpochStart[] {
    return this.#member?.epochs.all ?? [];
  }

  get asOf(): number {
    return this.#stateEnd;
  }

  get snapshotFloor(): number {
    const floor = this.#snapshots.floor(this.#space.isShort);
    return this.#member === undefined ? floor : this.#member.floor(floor);
  }

  get newestSnapshotName(): string | undefined {
    return this.#snapshots.newestName;
  }

  get health(): JournalHealth {
    return this.#scrub.health;
  }

  get supplier(): PieceSupplier | undefined {
    return this.#scrub.supplier;
  }

  set supplier(supply: PieceSupplier | undefined) {
    this.#scrub.supplier = supply;
  }

  writeSnapshot(): Promise<void> {
    return this.#snapshots.write();
  }

  mendAt(position: number): Promise<boolean> {
    return this.#scrub.mendAt(position);
  }

  keep(position: number): JournalPin | undefined {
    return this.#member?.pin(position);
  }

  get isWriting(): boolean {
    return this.#writer.isBusy;
  }

  get unavailable(): EverholdError | undefined {
    return this.failure ?? (this.#life === "closed" ? this.#notOpen() : undefined);
  }

  isDueBeyond(position: number): boolean {
    return this.#dueEnd > position;
  }

  locateInTail(position: number, length: number, into: RecordView): boolean {
    return this.#staging.locate(position, length, into);
  }

  onSpace(): void {
    this.#writer.pump();
  }

  onLackOfRoom(): void {
    if (this.isStuck) this.#onStuck();
    this.#relieve().catch((error: unknown) => {
      this.onFailed(diskError(error, "make room on a full disk"));
    });
  }

  async onRemoved(segment: Segment): Promise<void> {
    await this.#member?.onRemoved(segment);
    await this.#reader.forget(segment.base);
  }

  onSnapshot(): void {
    this.#table.mayHaveDead = true;
    this.#space.wake();
  }

  onSealed(): void {
    if (this.#member === undefined) return;
    this.#member.onSealed();
    this.#listener?.onMore?.();
  }

  onDurable(durablePosition: number): void {
    if (this.#member === undefined) return this.#onCommitted(durablePosition);
    this.#member.onDurable();
    this.#listener?.onDurable?.();
    this.#space.wake();
  }

  onProgress(): void {
    this.#toldCommit = this.member.commitPosition;
    this.#onCommitted(this.#toldCommit);
  }

  beginEpoch(epoch: number, isUnclean: boolean): void {
    this.epoch = epoch;
    this.#appendEpoch(this.commitPosition, isUnclean);
    this.hurry();
  }

  onLeading(): void {
    this.#isWritable = true;
    this.#listener?.onLeading?.();
  }

  onFailed(error: EverholdError): void {
    if (this.failure !== undefined || this.#life === "closed") return;
    this.failure = error;
    this.#isWritable = false;
    this.#writer.stop();
    this.#snapshots.stop();
    this.#ports.log.error("the journal failed and writes no more", {
      code: error.code,
      problem: error.message,
    });
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
    this.#listener?.onFailed(error);
  }

  committed(position: number): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.commitPosition >= position) return Promise.resolve();
    this.hurry();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ position, resolve, reject });
    });
  }

  #onCommitted(commitPosition: number): void {
    this.#settleWaiters(commitPosition);
    this.#listener?.onCommitted(commitPosition);
    this.#snapshots.wake();
    this.#space.wake();
  }

  /** Appended and not written yet. */
  get #unwrittenBytes(): number {
    return this.#staging.waitingBytes + this.#writer.inFlightBytes;
  }

  /** The caller's state holds the effect of every record before it, and of no other. */
  get #stateEnd(): number {
    const isBehind = this.#member !== undefined && !this.#member.isLeading;
    return isBehind ? this.member.appliedPosition : this.endPosition;
  }

  async #recover(state: FollowingSink & SnapshotSource): Promise<RecoverySummary> {
    if (this.#member === undefined) {
      const found = await recoverLog(this.#ports, this.#expectedGroupId, this.#table, state);
      return this.#takeOver(found, state);
    }
    const fence = await readFence(this.#ports);
    const groupId = this.#expectedGroupId ?? fence?.groupId;
    if (fence !== undefined) checkFenceGroup(fence.groupId, this.#expectedGroupId);
    const commitPosition = fence?.commitPosition;
    const cutPosition = fence?.cutPosition ?? null;
    if (fence !== undefined && cutPosition !== null) {
      this.#ports.log.info("a cut of the journal that was interrupted is ended", { cutPosition });
      await cutLog(this.#ports, fence.groupId, cutPosition);
    }
    const found = await recoverLog(this.#ports, groupId, this.#table, state, { commitPosition });
    if (groupId !== undefined) this.groupId = groupId;
    else if (found.kind === "empty") this.#ports.random.fill(this.groupId);
    const summary = await this.#takeOver(found, state);
    const log = found.kind === "empty" ? undefined : found;
    const position = log?.end.position ?? 0;
    await this.#member.start(
      {
        fence,
        position,
        chain: log?.end.chain ?? new Chain(),
        epochs: log?.epochs ?? new EpochStarts(),
        segment: log?.last,
        // What was never in a group is committed as far as it goes.
        knownCommit: fence === undefined ? position : (log?.end.knownCommit ?? 0),
        appliedEnd: log?.end.appliedEnd ?? 0,
        appliedChain: log?.end.appliedChain ?? new Chain(),
      },
      state,
      summary,
    );
    this.#toldCommit = this.#member.commitPosition;
    return summary;
  }

  /** Continues the log that was found, or begins one. */
  async #takeOver(
    recovered: RecoveredLog | EmptyFolder,
    source: SnapshotSource,
  ): Promise<RecoverySummary> {
    const isNew = recovered.kind === "empty";
    if (isNew) this.#table.finishRecovery(this.#ports.disk.location);
    else {
      const { last, lastFile, end } = recovered;
      this.groupId = recovered.groupId;
      this.epoch = Math.max(firstEpoch, end.epoch);
      this.#space.start(last, lastFile, end.position - last.base);
    }
    for (const { name, ordinal } of recovered.spares) await this.#space.addSpare(name, ordinal);
    const isBegun = isNew && this.#member === undefined;
    if (isBegun) await this.#beginLog();
    const newEnd = isBegun ? limits.segmentHeaderBytes : 0;
    const position = isNew ? newEnd : recovered.end.position;
    this.#staging.start(position, this.#space.activeEnd);
    this.#writer.start(position, isNew ? new Chain() : recovered.end.chain);
    const kept = isNew ? [] : recovered.keptSnapshots;
    this.#snapshots.start(source, kept, isNew ? [] : recovered.staleSnapshotNames);
    const summary: RecoverySummary = {
      snapshotName: isNew ? undefined : recovered.restored?.name,
      sectionCount: isNew ? 0 : (recovered.restored?.sectionCount ?? 0),
      replayStart: isNew ? position : recovered.replayStart,
      endPosition: position,
      batchCount: isNew ? 0 : recovered.end.batchCount,
      recordCount: isNew ? 0 : recovered.end.recordCount,
      wipedBytes: isNew ? 0 : recovered.wipedBytes,
      segmentCount: this.#table.count,
      isNew,
    };
    return summary;
  }

  async #beginLog(): Promise<void> {
    if (this.#expectedGroupId === undefined) this.#ports.random.fill(this.groupId);
    await this.#space.begin({
      groupId: this.groupId,
      base: 0,
      epoch: this.epoch,
      chain: new Chain(),
      previousEnd: 0,
      commitPosition: 0,
      block: undefined,
    });
  }

  #appendEpoch(commitPosition: number, isUnclean: boolean): void {
    const staging = this.#staging;
    staging.append(controlRecords.epoch.type, this.epoch, epochRecordBytes);
    const at = staging.payloadOffset;
    setU64(staging.view, at + epochRecord.commitPosition.at, commitPosition);
    setU64(staging.view, at + epochRecord.wallClockMs.at, this.#ports.wallClock.nowMs());
    staging.view.setUint32(at + epochRecord.version.at, formatVersion);
    staging.view.setUint32(at + epochRecord.flags.at, isUnclean ? 1 : 0);
  }

  #askTurnEnd(): void {
    if (this.#isTurnEndAsked) return;
    this.#isTurnEndAsked = true;
    this.#ports.timers.atTurnEnd(this.#onTurnEnd);
  }

  /** One function for all turns. */
  readonly #onTurnEnd = (): void => {
    this.#isTurnEndAsked = false;
    this.#writer.pump();
  };

  readonly #onUnhurried = (): void => {
    this.#unhurried = undefined;
    if (this.#writer.durablePosition < this.endPosition) this.hurry();
  };

  #settleWaiters(commitPosition: number): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter((waiter) => waiter.position > commitPosition);
    for (const waiter of waiters) {
      if (waiter.position <= commitPosition) waiter.resolve();
    }
  }

  #onStuck(): void {
    this.#listener?.onStuck?.();
    if (this.#life !== "closing") return;
    // Nobody was told that it is durable, and nobody will be.
    const error = new EverholdError(
      "EVH_DISK_FULL",
      `cannot write what was appended: the disk of ${this.#ports.disk.location} is full`,
      { outcome: "unknown" },
    );
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  async #relieve(): Promise<void> {
    if (this.#isRelieving || this.#life !== "open" || this.failure !== undefined) return;
    this.#isRelieving = true;
    try {
      await this.#snapshots.relieve();
      if (this.#table.hasRowless()) await this.#writeSnapshotSomehow();
    } catch (error) {
      // No room for a snapshot either: the next look at the disk tries again. A stopped journal needs none.
      if (!isDiskFull(error) && !EverholdError.is(error, "EVH_CLOSED")) throw error;
    } finally {
      this.#isRelieving = false;
    }
  }

  /** A snapshot lets segments go; where there is no room for it, a segment made in advance is worth less. */
  async #writeSnapshotSomehow(): Promise<void> {
    try {
      await this.#snapshots.write();
    } catch (error) {
      if (!isDiskFull(error) || !(await this.#space.giveUpSpare())) throw error;
      await this.#snapshots.write();
    }
  }

  async #close(): Promise<void> {
    if (this.#life === "new" || this.#life === "closed") {
      this.#life = "closed";
      return;
    }
    assert(this.#life === "open", "a journal is closed after it was opened");
    this.#life = "closing";
    const isWritten = this.#isWritable;
    this.#isWritable = false;
    try {
      // What a member that follows was sent and has not confirmed is nobody's loss.
      if (isWritten) await this.committed(this.endPosition);
      // Where nothing was ever written there is nothing that a snapshot could stand for.
      if (this.endPosition > 0) await this.#snapshots.write();
      await this.#member?.noteCommitted();
    } catch (error) {
      // The listener knows of a failure; without room, the next start replays more of the log.
      const isTold = this.failure !== undefined || isDiskFull(error);
      if (!isTold && this.#abandoning === undefined) throw error;
    } finally {
      await this.abandon();
    }
  }

  /** Closes files and gives the folder back, whatever state things are in. */
  async #abandon(): Promise<void> {
    this.#life = "closed";
    this.#isWritable = false;
    this.#unhurried?.cancel();
    this.#writer.stop();
    this.#snapshots.stop();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#notOpen());
    await this.#scrub.stop();
    await this.#member?.stop();
    await this.#space.stop();
    await this.#reader.close();
    await this.#member?.close();
    await this.#lock?.release();
    this.#lock = undefined;
  }

  #notWritable(): EverholdError {
    if (this.failure !== undefined || this.#life !== "open") return this.failure ?? this.#notOpen();
    return new EverholdError(
      "EVH_CLOSED",
      "cannot write the journal: this member of its group follows",
    );
  }

  #notOpen(): EverholdError {
    return new EverholdError("EVH_CLOSED", `cannot use the journal: it is ${this.#life}, not open`);
  }
}
