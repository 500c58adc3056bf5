import { assert, EverholdError } from "@everhold/base";
import type { DiskFile } from "@everhold/env";
import type { JournalPorts } from "./journal-api.ts";
import { diskError, isDiskFull, writeFully } from "./disk-io.ts";
import { segmentName, spareName } from "./file-names.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  type SegmentHeaderValues,
} from "./segment-header.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";

/** What is known when a segment is begun. */
export interface RollValues extends Pick<
  SegmentHeaderValues,
  "groupId" | "base" | "epoch" | "chain" | "previousEnd" | "commitPosition"
> {
  /** The whole header, where another journal made the segment. */
  readonly block: Uint8Array | undefined;
}

/** The rest of the journal, as the housekeeper sees it. */
export interface SpaceSurroundings {
  /** Segments that end here or before are needed by no snapshot. */
  readonly snapshotFloor: number;
  /** Up to where the log is durable. */
  readonly commitPosition: number;
  /** A log write is under way: zeros would compete with it. */
  readonly isWriting: boolean;
  /** A roll has ended, or a write that had to wait may be tried again. */
  onSpace(): void;
  /** There is no room to prepare more: whatever can be given up should be. */
  onLackOfRoom(): void;
  /** The segment is no more. */
  onRemoved(segment: Segment): Promise<void>;
  onFailed(error: EverholdError): void;
}

/** A file that waits to become a segment. Its content is zeros or an earlier life, which is as good. */
interface Spare {
  readonly name: string;
  readonly file: DiskFile;
  preparedBytes: number;
}

/**
 * The journal's housekeeper: makes segments, zeroes space ahead of the writer, takes dead segments back.
 * It does one thing at a time, and rolling comes first.
 *
 * Why zeros ahead: a write inside the file needs no new blocks and no new size, which halves its cost
 * and cannot fail for lack of space. A write beyond prepared space is as correct, only slower.
 */
export class SegmentSpace {
  readonly #ports: JournalPorts;
  readonly #settings: JournalSettings;
  readonly #table: SegmentTable;
  readonly #surroundings: SpaceSurroundings;
  readonly #spares: Spare[] = [];
  readonly #zeros: Uint8Array;
  #activeBlock: Uint8Array | undefined = undefined;
  #active: { readonly file: DiskFile; readonly segment: Segment } | undefined = undefined;
  /** Offsets in the active file. */
  #preparedEnd = 0;
  #writtenEnd = 0;
  #fillStart = 0;
  #fillEnd = 0;
  #roll: RollValues | undefined = undefined;
  #isRolling = false;
  /** The next segment could not be made for lack of room. */
  #isRollStuck = false;
  /** Up to here the writer wants to write on a full disk; an offset in the active file. */
  #neededEnd = 0;
  /** What was prepared before the write under way. */
  #preparedBefore = 0;
  #isBusy = false;
  #isStopped = false;
  #isFull = false;
  #retryAsked = false;
  #spareOrdinal = 0;
  #isHeld = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(
    ports: JournalPorts,
    settings: JournalSettings,
    table: SegmentTable,
    surroundings: SpaceSurroundings,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#table = table;
    this.#surroundings = surroundings;
    this.#zeros = new Uint8Array(Math.min(limits.prepareExtentBytes, settings.segmentBytes));
  }

  /** See `Journal.diskFull`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Bytes that are prepared and not written, in the active segment and in files that wait. */
  get aheadBytes(): number {
    let total = this.#preparedEnd - this.#writtenEnd;
    for (const spare of this.#spares) total += spare.preparedBytes;
    return total;
  }

  /** Whether there was no room at the last look. */
  get isShort(): boolean {
    return this.#isFull || this.#retryAsked;
  }

  /** Whether the writer waits for room: then nothing is committed until there is some. */
  get isStuck(): boolean {
    return this.#isRollStuck || this.#neededEnd > this.#preparedEnd;
  }

  /** Where the segment that is written ends; 0 before the first is made. */
  get activeEnd(): number {
    const segment = this.#active?.segment;
    return segment === undefined ? 0 : segment.base + segment.sizeBytes;
  }

  /** The header of the segment that is written, where it was made by this process. */
  get activeBlock(): Uint8Array | undefined {
    return this.#activeBlock;
  }

  /** The segment that is written; there is always one after `open`, but in a group's new member. */
  get active(): Segment {
    assert(this.#active !== undefined, "the journal has an active segment");
    return this.#active.segment;
  }

  get activeFile(): DiskFile {
    assert(this.#active !== undefined, "the journal has an active segment");
    return this.#active.file;
  }

  /** Takes over the segment in which the log ends, and the spare files of an earlier run. */
  start(segment: Segment, file: DiskFile, writtenEnd: number): void {
    this.#isHeld = false;
    this.#active = { file, segment };
    this.#writtenEnd = writtenEnd;
    this.#preparedEnd = Math.max(writtenEnd, Math.min(file.sizeBytes, segment.sizeBytes));
  }

  /** Takes over a spare file of an earlier run. @throws EverholdError EVH_IO */
  async addSpare(name: string, ordinal: number): Promise<void> {
    this.#spareOrdinal = Math.max(this.#spareOrdinal, ordinal + 1);
    const { segmentBytes, spareCountMax } = this.#settings;
    const file = await this.#ports.disk.open(name);
    if (this.#spares.length < Math.max(1, spareCountMax) && file.sizeBytes <= segmentBytes) {
      this.#spares.push({ name, file, preparedBytes: file.sizeBytes });
      return;
    }
    await file.close();
    await this.#ports.disk.remove(name);
  }

  /** Makes the first or the next segment at once. @throws EverholdError EVH_IO, EVH_DISK_FULL */
  async begin(values: RollValues): Promise<void> {
    const spare = this.#spares.shift() ?? (await this.#createSpare());
    const block = values.block ?? this.#newHeader(values);
    try {
      await writeFully(spare.file, block, 0);
    } catch (error) {
      // A disk without room may have some later, and the file is as good as before.
      this.#spares.unshift(spare);
      throw error;
    }
    const name = segmentName(values.base);
    await this.#ports.disk.rename(spare.name, name);
    const before = this.#active;
    if (before !== undefined) before.segment.endPosition = values.previousEnd;
    const header = decodeSegmentHeader(block, name, values.base, this.#ports.hash);
    this.#active = { file: spare.file, segment: this.#table.add(header) };
    this.#activeBlock = block;
    this.#writtenEnd = block.length;
    this.#neededEnd = 0;
    this.#preparedEnd = Math.max(block.length, Math.min(spare.preparedBytes, header.sizeBytes));
    this.#table.mayHaveDead = true;
    await before?.file.close();
  }

  #newHeader(values: RollValues): Uint8Array {
    const { random, wallClock, hash } = this.#ports;
    const nonce = new Uint8Array(8);
    random.fill(nonce);
    const { segmentBytes: sizeBytes } = this.#settings;
    return encodeSegmentHeader(
      { ...values, nonce, sizeBytes, wallClockMs: wallClock.nowMs() },
      hash,
    );
  }

  /** Asks for the next segment; `onSpace` follows. */
  askRoll(values: RollValues): void {
    if (this.#roll !== undefined) return;
    this.#roll = values;
    this.wake();
  }

  /** Whether the writer may write up to `end` now; if not, `onSpace` follows. Offsets in the active file. */
  beginWrite(start: number, end: number): boolean {
    if (start < this.#fillEnd && end > this.#fillStart) return false;
    if (this.#isFull && end > this.#preparedEnd) {
      // Only what is prepared is sure to be there.
      this.#neededEnd = end;
      this.wake();
      return false;
    }
    this.#preparedBefore = this.#preparedEnd;
    this.#writtenEnd = end;
    this.#neededEnd = 0;
    this.#preparedEnd = Math.max(this.#preparedEnd, end);
    return true;
  }

  /** The write from `start` to `end` found no room, and is to be begun again: `onSpace` follows. */
  onNoRoom(start: number, end: number): void {
    this.#writtenEnd = start;
    this.#preparedEnd = Math.max(start, this.#preparedBefore);
    // Prepared or not: the system says that there is no room even for these bytes.
    this.#neededEnd = end;
    this.#preparedEnd = Math.min(this.#preparedEnd, end - 1);
    this.#becomeFull();
    this.wake();
  }

  /**
   * Gives up a file that waits to become a segment, so that a snapshot has its room: what that frees is
   * worth more. Whether there was one.
   */
  async giveUpSpare(): Promise<boolean> {
    if (this.#isBusy || this.#isStopped) return false;
    const spare = this.#spares.pop();
    if (spare === undefined) return false;
    await spare.file.close();
    await this.#ports.disk.remove(spare.name);
    return spare.preparedBytes > 0;
  }

  /** Looks for work. Cheap when there is none. */
  wake(): void {
    if (this.#isBusy || this.#isStopped || this.#isHeld) return;
    const step = this.#nextStep();
    if (step === undefined) return;
    this.#isBusy = true;
    step.then(
      () => this.#endStep(),
      (error: unknown) => {
        this.#fillStart = 0;
        this.#fillEnd = 0;
        if (isDiskFull(error)) {
          if (this.#isRolling) this.#isRollStuck = true;
          this.#isRolling = false;
          this.#lackRoom();
        } else this.#fail(diskError(error, "prepare a segment"));
        this.#endStep();
      },
    );
  }

  /** Finishes the step under way and gives the segment up that is written: `start` or {@link restart} goes on. */
  async leave(): Promise<void> {
    this.#isHeld = true;
    await this.#idle();
    this.#roll = undefined;
    this.#isRollStuck = false;
    this.#neededEnd = 0;
    this.#writtenEnd = 0;
    this.#preparedEnd = 0;
    const left = this.#active;
    this.#active = undefined;
    this.#activeBlock = undefined;
    await left?.file.close();
  }

  /** Goes on after {@link leave} without a segment. */
  restart(): void {
    this.#isHeld = false;
  }

  /** Finishes the step under way and closes files. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#idle();
    for (const spare of this.#spares) await spare.file?.close();
    await this.#active?.file.close();
  }

  async #idle(): Promise<void> {
    if (!this.#isBusy) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  #endStep(): void {
    this.#isBusy = false;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
    if (this.#isStopped || this.#isHeld) return;
    this.#surroundings.onSpace();
    this.wake();
  }

  #nextStep(): Promise<void> | undefined {
    const roll = this.#roll;
    if (roll !== undefined && !this.#isRollStuck) return this.#runRoll(roll);
    if (this.#active === undefined) return undefined;
    if (this.#table.mayHaveDead) {
      const { snapshotFloor, commitPosition } = this.#surroundings;
      const dead = this.#table.takeDead(snapshotFloor, commitPosition);
      if (dead !== undefined) return this.#reclaim(dead);
    }
    const total = this.aheadBytes;
    if (this.#retryAsked) {
      if (total < this.#reserveBytes) this.#becomeFull();
      return undefined;
    }
    if (this.#neededEnd > this.#preparedEnd) return this.#fillNeeded();
    const ahead = this.#preparedEnd - this.#writtenEnd;
    const wanted = this.#wantedBytes();
    if (this.#preparedEnd < this.active.sizeBytes && ahead < wanted) return this.#fillActive();
    if (total < wanted || this.#lacksSpare()) return this.#fillSpare();
    this.#leaveFull();
    return undefined;
  }

  /** Prepared space that is not given up to messages: acknowledgements live on it when the disk is full. */
  get #reserveBytes(): number {
    return Math.min(this.#settings.prepareAheadBytes, limits.prepareAheadBytesMin);
  }

  /** A full disk has room again when it has some to spare, or it would be full in the next moment. */
  #wantedBytes(): number {
    const { prepareAheadBytes } = this.#settings;
    if (this.#isFull) return Math.min(prepareAheadBytes, 2 * this.#reserveBytes);
    return this.#surroundings.isWriting ? this.#reserveBytes : prepareAheadBytes;
  }

  /**
   * Whether the next segment has not been begun in advance: on a full disk there must be one to go on
   * with, or to give up.
   */
  #lacksSpare(): boolean {
    const spareBytes = this.#spares.reduce((sum, { preparedBytes }) => sum + preparedBytes, 0);
    return spareBytes < this.#reserveBytes;
  }

  async #runRoll(values: RollValues): Promise<void> {
    this.#isRolling = true;
    await this.begin(values);
    this.#isRolling = false;
    this.#roll = undefined;
  }

  /**
   * On a full disk the writer has come to the end of what was prepared: what it writes now are
   * acknowledgements, which come before the room that is left for snapshots.
   */
  async #fillNeeded(): Promise<void> {
    const start = this.#preparedEnd;
    const end = Math.min(this.active.sizeBytes, start + limits.emergencyExtentBytes);
    this.#fillStart = start;
    this.#fillEnd = end;
    await writeFully(this.activeFile, this.#zeros.subarray(0, end - start), start);
    this.#fillStart = 0;
    this.#fillEnd = 0;
    this.#preparedEnd = end;
  }

  async #fillActive(): Promise<void> {
    const { sizeBytes } = this.active;
    const start = this.#preparedEnd;
    const end = Math.min(sizeBytes, start + this.#zeros.length);
    await this.#checkFree(end - start);
    // The writer may have gone on meanwhile, and what it has written must not be zeroed.
    if (this.#preparedEnd !== start) return;
    this.#fillStart = start;
    this.#fillEnd = end;
    await writeFully(this.activeFile, this.#zeros.subarray(0, end - start), start);
    this.#fillStart = 0;
    this.#fillEnd = 0;
    this.#preparedEnd = end;
  }

  async #fillSpare(): Promise<void> {
    const { segmentBytes } = this.#settings;
    const unfinished = this.#spares.find((spare) => spare.preparedBytes < segmentBytes);
    const start = unfinished?.preparedBytes ?? 0;
    const end = Math.min(segmentBytes, start + this.#zeros.length);
    await this.#checkFree(end - start);
    const spare = unfinished ?? (await this.#createSpare());
    if (unfinished === undefined) this.#spares.push(spare);
    await writeFully(spare.file, this.#zeros.subarray(0, end - start), start);
    spare.preparedBytes = end;
  }

  async #createSpare(): Promise<Spare> {
    const name = this.#nextSpareName();
    return { name, file: await this.#ports.disk.create(name), preparedBytes: 0 };
  }

  /** Turns a dead segment into a spare, or deletes it. */
  async #reclaim(segment: Segment): Promise<void> {
    try {
      await this.#surroundings.onRemoved(segment);
    } catch (error) {
      this.#table.putBack(segment);
      throw error;
    }
    const { disk, log } = this.#ports;
    const { segmentBytes, spareCountMax } = this.#settings;
    // A full disk needs the blocks more than the file: the segment in use may have no room to grow.
    const isUsable = segment.sizeBytes === segmentBytes && !this.#isFull && !this.#retryAsked;
    const isKept = isUsable && this.#spares.length < spareCountMax;
    if (isKept) {
      const name = this.#nextSpareName();
      await disk.rename(segment.name, name);
      const file = await disk.open(name);
      this.#spares.push({ name, file, preparedBytes: Math.min(file.sizeBytes, segmentBytes) });
    } else {
      await disk.remove(segment.name);
      // There is room, which need not wait for the next look.
      this.#retryAsked = false;
    }
    this.#isRollStuck = false;
    log.debug("a journal segment without messages was taken back", {
      segment: segment.name,
      kept: isKept,
    });
  }

  #nextSpareName(): string {
    const name = spareName(this.#spareOrdinal);
    this.#spareOrdinal += 1;
    return name;
  }

  async #checkFree(neededBytes: number): Promise<void> {
    const free = await this.#ports.disk.freeBytes();
    if (free - neededBytes >= this.#settings.freeBytesMin) return;
    throw new EverholdError(
      "EVH_DISK_FULL",
      `cannot prepare ${neededBytes} bytes in ${this.#ports.disk.location}: ${free} bytes are free, and ` +
        `${this.#settings.freeBytesMin} of them are kept for snapshots`,
    );
  }

  /** No more space can be prepared for now; the disk is full once the reserve is all there is. */
  #lackRoom(): void {
    if (this.isStuck || this.aheadBytes < this.#reserveBytes) this.#becomeFull();
    // Before the disk is full, so that what was consumed is given back first; and again at each retry.
    this.#surroundings.onLackOfRoom();
    if (this.#retryAsked) return;
    this.#retryAsked = true;
    this.#ports.timers.after(limits.diskFullRetryMs, () => {
      this.#retryAsked = false;
      this.#isRollStuck = false;
      this.wake();
    });
  }

  #becomeFull(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    const { log, disk } = this.#ports;
    log.warn("the disk is full, new messages are refused", { disk: disk.location });
  }

  #leaveFull(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#ports.log.info("the disk has room again", { disk: this.#ports.disk.location });
  }

  #fail(error: EverholdError): void {
    this.#isStopped = true;
    this.#surroundings.onFailed(error);
  }
}
