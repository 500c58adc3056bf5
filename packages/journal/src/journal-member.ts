import { assert, EverholdError } from "@everhold/base";
import { Chain } from "./chain.ts";
import type { BatchWriter } from "./batch-writer.ts";
import { diskError, isDiskFull } from "./disk-io.ts";
import { EpochStarts } from "./epoch-starts.ts";
import { openFill, type JournalFill } from "./fill-source.ts";
import { FenceFile, type FenceChange, type FenceValues, type SeenNode } from "./fence-file.ts";
import { cutLog } from "./log-cut.ts";
import type { JournalPorts, RecordView, RecoverySummary } from "./journal-api.ts";
import { groupName } from "./journal-folder.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import { LogApplier, type ApplierSurroundings } from "./log-applier.ts";
import { PieceIntake, type IntakeSurroundings } from "./piece-intake.ts";
import { PieceSource, type SourceSurroundings } from "./piece-source.ts";
import type {
  FollowingSink,
  JournalMember,
  JournalPiece,
  JournalPin,
  ReplicatedLog,
} from "./replicated-api.ts";
import type { PieceSupplier } from "./segment-mend.ts";
import type { SegmentSpace } from "./segment-space.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";
import type { ForeignSegment, Staging } from "./staging.ts";

/** The parts of the journal that a member works with. */
export interface MemberParts {
  readonly ports: JournalPorts;
  readonly settings: JournalSettings;
  readonly table: SegmentTable;
  readonly staging: Staging;
  readonly writer: BatchWriter;
  readonly space: SegmentSpace;
}

/** The rest of the journal, as its member sees it. */
export interface MemberSurroundings {
  readonly groupId: Uint8Array;
  /** Why nothing can be done any more, or yet. */
  readonly unavailable: EverholdError | undefined;
  /** Who else has this log. */
  supplier: PieceSupplier | undefined;
  /** Of the snapshots that are kept; undefined before the first. */
  readonly newestSnapshotName: string | undefined;
  /** @throws EverholdError EVH_IO, EVH_DISK_FULL, EVH_CLOSED */
  writeSnapshot(): Promise<void>;
  /** What lies at a position is damaged: whether it can be read now. */
  mendAt(position: number): Promise<boolean>;
  /** Asks for everything appended to be written. */
  hurry(): void;
  /** Appends the record that begins an epoch, in which everything is written from now on. */
  beginEpoch(epoch: number, isUnclean: boolean): void;
  /** The caller may write. */
  onLeading(): void;
  /** `commitPosition` or what may be written down in a snapshot has moved. Not inside a call. */
  onProgress(): void;
  onFailed(error: EverholdError): void;
}

/** What recovery found for a member. */
export interface MemberStart {
  /** Absent where no member has been before. */
  readonly fence: FenceValues | undefined;
  readonly epochs: EpochStarts;
  /** Where the log ends, and the chain value there. */
  readonly position: number;
  readonly chain: Chain;
  readonly segment: Segment | undefined;
  readonly knownCommit: number;
  /** Up to where the sink has the log, and the chain value there. */
  readonly appliedEnd: number;
  readonly appliedChain: Chain;
}

/**
 * The journal of one of a group's members: what makes a log written elsewhere grow here, byte for byte, and what hands
 * out a log written here.
 *
 * ```
 *   append --> PieceIntake --> Staging --> BatchWriter --> disk      (follows)
 *   beginEpoch, Journal.append --> Staging --> BatchWriter           (leads)
 *
 *   pieceAt <-- PieceSource <-- memory, segments                     setCommitted --> LogApplier --> sink
 * ```
 */
export class DiskJournalMember
  implements JournalMember, SourceSurroundings, IntakeSurroundings, ApplierSurroundings
{
  readonly log: ReplicatedLog;
  readonly #parts: MemberParts;
  readonly #surroundings: MemberSurroundings;
  readonly #source: PieceSource;
  readonly #intake: PieceIntake;
  readonly #applier: LogApplier;
  readonly #pins = new Set<{ position: number }>();
  #epochs = new EpochStarts();
  #fence: FenceFile | undefined = undefined;
  #sink: FollowingSink | undefined = undefined;
  #summary: RecoverySummary | undefined = undefined;
  #phase: "following" | "promoted" | "leading" = "following";
  /** Where the epoch begins that this member leads. */
  #epochStart = 0;
  /** What is said to be committed, durable here or not, and what is. */
  #announced = 0;
  #committed = 0;
  /** In front of it no live keeps anything. */
  #keptFrom = 0;
  #isTellingAsked = false;
  #cutting: Promise<void> | undefined = undefined;
  /** What a cut waits for before it begins. */
  #awaited:
    | { readonly position: number; resolve(): void; reject(error: EverholdError): void }
    | undefined = undefined;
  #isStopped = false;

  constructor(parts: MemberParts, surroundings: MemberSurroundings) {
    this.#parts = parts;
    this.#surroundings = surroundings;
    const { ports, settings, table, writer } = parts;
    this.#source = new PieceSource(ports, settings, table, this);
    this.#intake = new PieceIntake(ports.hash, this);
    this.#applier = new LogApplier(ports.timers, this.#source, this);
    const end = (): number => Math.max(this.#intake.end, writer.sealedEnd);
    const epochs = (): ReplicatedLog["epochs"] => this.#epochs.all;
    this.log = {
      get end() {
        return end();
      },
      get durable() {
        return writer.durablePosition;
      },
      get epochs() {
        return epochs();
      },
      chainAt: (position) => this.#chainAt(position),
    };
  }

  get incarnation(): string {
    return groupName(this.#openFence().values.incarnation);
  }

  get promisedEpoch(): number {
    return this.#openFence().values.promisedEpoch;
  }

  get commitPosition(): number {
    return this.#committed;
  }

  get seenNode(): SeenNode | null {
    return this.#openFence().values.seenNode;
  }

  get keptFrom(): number {
    return this.#parts.table.all()[0]?.base ?? 0;
  }

  get oldestPosition(): number {
    return this.#source.oldestPosition;
  }

  findChain(position: number): Promise<void> {
    return this.#source.findChain(position);
  }

  append(piece: Pick<JournalPiece, "position" | "end" | "bytes">): void {
    this.#checkAvailable();
    assert(this.#phase === "following", "who leads takes pieces of nobody");
    assert(this.#cutting === undefined, "nothing is appended before the cut has ended");
    this.#intake.append(piece);
    this.#epochs.note(this.#intake.epoch, piece.position);
    this.#surroundings.hurry();
  }

  async fence(epoch: number): Promise<void> {
    if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > limits.epochMax) {
      const allowed = `an integer from 0 to ${limits.epochMax}`;
      throw new EverholdError("EVH_PROTOCOL", `cannot promise epoch ${epoch}: expected ${allowed}`);
    }
    await this.#updateFence({ promisedEpoch: epoch });
  }

  async rememberNode({ created, version }: SeenNode): Promise<void> {
    await this.#updateFence({ seenNode: { created, version } });
  }

  async truncate(position: number): Promise<void> {
    this.#checkAvailable();
    assert(this.#phase === "following", "who leads cuts nothing");
    assert(this.#cutting === undefined, "one cut ends before the next begins");
    this.#cutting = this.#truncate(position);
    try {
      await this.#cutting;
    } finally {
      this.#cutting = undefined;
    }
  }

  beginEpoch(epoch: number, unclean: boolean): void {
    this.#checkAvailable();
    assert(this.#phase === "following", "a journal begins one epoch");
    assert(this.#cutting === undefined, "nobody leads before the cut has ended");
    assert(epoch > this.#epochs.last, "an epoch is higher than those before it");
    assert(epoch >= this.promisedEpoch, "nobody leads an epoch below the promised one");
    this.#phase = "promoted";
    this.#epochStart = this.log.end;
    this.#epochs.note(epoch, this.#epochStart);
    this.#surroundings.beginEpoch(epoch, unclean);
    this.#applier.advance(this.#epochStart);
    this.#askTelling();
  }

  setCommitted(position: number): void {
    if (position <= this.#announced) return;
    assert(position <= this.log.end, "what is committed is in the log");
    this.#announced = position;
    this.#moveCommit();
  }

  pieceAt(position: number): JournalPiece | "on disk" | null {
    return this.#source.pieceAt(position);
  }

  async loadPiece(position: number): Promise<void> {
    this.#checkAvailable();
    await this.#source.loadMended(position);
  }

  async readPiece(asked: number): Promise<JournalPiece | null> {
    const position = this.#parts.table.begunAt(asked)?.previousEnd ?? asked;
    try {
      // What was brought may be gone again before it is looked at, where others read as well.
      for (let attempt = 0; attempt < limits.pieceReadsMax; attempt += 1) {
        const piece = this.#source.pieceAt(position);
        if (piece !== "on disk") return piece && { ...piece, bytes: piece.bytes.slice() };
        this.#checkAvailable();
        await this.#source.load(position);
      }
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
    }
    return null;
  }

  mendAt(position: number): Promise<boolean> {
    return this.#surroundings.mendAt(position);
  }

  get supplier(): PieceSupplier | undefined {
    return this.#surroundings.supplier;
  }

  set supplier(supply: PieceSupplier | undefined) {
    this.#surroundings.supplier = supply;
  }

  pin(position: number): JournalPin {
    const pin = { position };
    this.#pins.add(pin);
    return {
      move: (next) => {
        pin.position = next;
        this.#parts.table.mayHaveDead = true;
      },
      release: () => {
        this.#pins.delete(pin);
        this.#parts.table.mayHaveDead = true;
      },
    };
  }

  keepFrom(position: number): void {
    this.#keptFrom = Math.max(this.#keptFrom, position);
    this.#parts.table.mayHaveDead = true;
    this.#parts.space.wake();
  }

  async openFill(): Promise<JournalFill> {
    this.#checkAvailable();
    const { ports, table } = this.#parts;
    if (this.#surroundings.newestSnapshotName === undefined) {
      await this.#surroundings.writeSnapshot();
      this.#checkAvailable();
    }
    const snapshotName = this.#surroundings.newestSnapshotName;
    if (snapshotName === undefined) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        "cannot fill another folder: no snapshot is kept",
      );
    }
    const { durable } = this.log;
    const commitPosition = Math.min(this.#committed, durable);
    const pin = this.pin(this.keptFrom);
    return openFill({
      ...{ disk: ports.disk, snapshotName, segments: table.all().slice() },
      ...{ durable, commitPosition, pin, mend: (base: number) => this.mendAt(base) },
    });
  }

  // What the journal asks.

  /** Goes on from what recovery found. */
  async start(found: MemberStart, sink: FollowingSink, summary: RecoverySummary): Promise<void> {
    const { ports } = this.#parts;
    this.#sink = sink;
    this.#summary = summary;
    this.#epochs = found.epochs;
    this.#intake.start(found.position, found.chain, found.segment);
    this.#applier.start(sink, found.appliedEnd, found.appliedChain);
    const known = Math.max(found.fence?.commitPosition ?? 0, found.knownCommit);
    this.#committed = Math.min(found.position, known);
    this.#announced = this.#committed;
    this.#fence =
      found.fence === undefined
        ? await FenceFile.make(ports, this.#newFence())
        : FenceFile.found(ports, found.fence);
    // Recovery has ended it.
    await this.#fence.update({ cutPosition: null });
    this.#applier.advance(this.#committed);
  }

  /** Segments that end at or before it are needed by nobody. */
  floor(snapshotFloor: number): number {
    // A segment that ends where the log is cut may be written again.
    let floor = Math.min(snapshotFloor, this.#committed - 1);
    if (this.#phase === "following") floor = Math.min(floor, this.#keptFrom);
    for (const { position } of this.#pins) floor = Math.min(floor, position);
    return floor;
  }

  /** Whether the caller writes: its state is as new as the log. */
  get isLeading(): boolean {
    return this.#phase === "leading";
  }

  get epochs(): EpochStarts {
    return this.#epochs;
  }

  /** Up to where the sink has the log that others wrote. */
  get appliedPosition(): number {
    return this.#applier.position;
  }

  /** Where a snapshot begun now is replayed from. */
  get replayStart(): number {
    const isBehind = this.#phase !== "leading" || this.#committed < this.#applier.position;
    return isBehind ? this.#applier.position : this.#committed;
  }

  get replayChain(): Chain {
    const { replayStart } = this;
    if (replayStart === this.#applier.position) return this.#applier.chain;
    const digits = this.#chainAt(replayStart);
    assert(digits !== null, "the log is in memory from the commit position on");
    return Chain.parse(digits);
  }

  onSealed(): void {
    if (this.#phase !== "following") this.#applier.advance(this.#epochStart);
  }

  onDurable(): void {
    const awaited = this.#awaited;
    if (awaited !== undefined && this.log.durable >= awaited.position) {
      this.#awaited = undefined;
      awaited.resolve();
    }
    this.#moveCommit();
  }

  /** A segment is about to go, because of what is committed: a later start has to know that it is. */
  async onRemoved(segment: Segment): Promise<void> {
    await this.#openFence().update({ commitPosition: this.#committed });
    await this.#source.forget(segment.base);
  }

  /** Notes what is committed, so that the next start has it at once. */
  async noteCommitted(): Promise<void> {
    await this.#openFence().update({ commitPosition: this.#committed });
  }

  /** Finishes what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#applier.stop();
    this.#awaited?.reject(new EverholdError("EVH_CLOSED", "the journal was closed before the cut"));
    // Whoever asked for it was told.
    await this.#cutting?.catch(() => undefined);
    await this.#fence?.settled();
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  // What the parts ask for: see their `…Surroundings`.

  get sealedEnd(): number {
    return this.#parts.writer.sealedEnd;
  }

  get durablePosition(): number {
    return this.#parts.writer.durablePosition;
  }

  get newestBlock(): Uint8Array | undefined {
    return this.#parts.space.activeBlock;
  }

  get newestSegment(): Segment | undefined {
    return this.#parts.table.last;
  }

  get groupId(): Uint8Array {
    return this.#surroundings.groupId;
  }

  get lastEpoch(): number {
    return this.#epochs.last;
  }

  get segmentEnd(): number {
    return this.#parts.staging.segmentEnd;
  }

  locateInTail(position: number, length: number, into: RecordView): boolean {
    return this.#parts.staging.locate(position, length, into);
  }

  take(batch: Uint8Array, position: number, begins: ForeignSegment | undefined): void {
    this.#parts.staging.appendSealed(batch, position, begins);
  }

  onApplied(): void {
    if (this.#phase === "promoted" && this.#applier.position === this.#epochStart) {
      this.#phase = "leading";
      if (this.#summary !== undefined) this.#sink?.recovered(this.#summary);
      this.#surroundings.onLeading();
    }
    this.#surroundings.onProgress();
  }

  onFailed(error: EverholdError): void {
    this.#surroundings.onFailed(error);
  }

  #chainAt(position: number): string | null {
    const { writer } = this.#parts;
    if (position === writer.sealedEnd) return writer.sealedChain.toString();
    if (position === this.#intake.end) return this.#intake.chain.toString();
    return this.#intake.chainAt(position) ?? this.#source.chainAt(position);
  }

  async #truncate(position: number): Promise<void> {
    if (position === this.log.end) return;
    await this.#source.findChain(position);
    this.#checkAvailable();
    const chain = this.#chainAt(position);
    if (chain === null || position > this.log.end) throw wrongCut(position, "no batch ends there");
    if (position < this.#announced) {
      throw wrongCut(position, `everything before ${this.#announced} is committed`);
    }
    try {
      // What stays may not have come to the disk yet.
      await this.#stored(position);
      await this.#cut(position, Chain.parse(chain));
    } catch (error) {
      const explained = diskError(error, `cut the log at position ${position}`);
      this.#surroundings.onFailed(explained);
      throw explained;
    }
  }

  /** Settles when everything before `position` is durable here. */
  #stored(position: number): Promise<void> {
    if (this.log.durable >= position) return Promise.resolve();
    this.#surroundings.hurry();
    return new Promise((resolve, reject) => {
      this.#awaited = { position, resolve, reject };
    });
  }

  async #cut(position: number, chain: Chain): Promise<void> {
    const { ports, table, staging, writer, space } = this.#parts;
    await writer.hold();
    await space.leave();
    for (const { base } of table.all()) await this.#source.forget(base);
    const fence = this.#openFence();
    // From here on the cut is ended even after a crash.
    await fence.update({ commitPosition: this.#committed, cutPosition: position });
    await cutLog(ports, this.#surroundings.groupId, position);
    // Whoever brought the state along may have read what lay behind, meanwhile.
    this.#source.forgetReads();
    table.cut(position);
    const { last } = table;
    if (last === undefined) space.restart();
    else space.start(last, await ports.disk.open(last.name), position - last.base);
    staging.start(position, space.activeEnd);
    writer.start(position, chain);
    this.#intake.start(position, chain, last);
    this.#epochs.cut(position);
    await fence.update({ cutPosition: null });
    space.wake();
  }

  #moveCommit(): void {
    const committed = Math.min(this.#announced, this.#parts.writer.durablePosition);
    if (committed <= this.#committed) return;
    this.#committed = committed;
    if (this.#phase === "following") this.#applier.advance(committed);
    this.#askTelling();
  }

  #askTelling(): void {
    if (this.#isTellingAsked) return;
    this.#isTellingAsked = true;
    this.#parts.ports.timers.atTurnEnd(() => {
      this.#isTellingAsked = false;
      if (this.#isStopped) return;
      if (this.#phase === "promoted") this.onApplied();
      else this.#surroundings.onProgress();
    });
  }

  async #updateFence(change: FenceChange): Promise<void> {
    this.#checkAvailable();
    try {
      await this.#openFence().update({ ...change, commitPosition: this.#committed });
    } catch (error) {
      const explained = diskError(error, "write the member's fence");
      // What found no room is as it was, and may be asked for again.
      if (!isDiskFull(explained)) this.#surroundings.onFailed(explained);
      throw explained;
    }
  }

  #newFence(): FenceValues {
    const { groupId } = this.#surroundings;
    const incarnation = new Uint8Array(16);
    this.#parts.ports.random.fill(incarnation);
    // It has promised nothing to any group yet.
    const promisedEpoch = 0;
    const commitPosition = this.#committed;
    const whole = { cutPosition: null, seenNode: null };
    return { groupId, incarnation, promisedEpoch, commitPosition, ...whole };
  }

  #openFence(): FenceFile {
    assert(this.#fence !== undefined, "a member is asked after it was opened");
    return this.#fence;
  }

  #checkAvailable(): void {
    const { unavailable } = this.#surroundings;
    if (unavailable !== undefined) throw unavailable;
  }
}

function wrongCut(position: number, found: string): EverholdError {
  return new EverholdError("EVH_PROTOCOL", `cannot cut the log at position ${position}: ${found}`);
}
