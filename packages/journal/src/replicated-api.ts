import type { EpochStart } from "./epoch-starts.ts";
import type { SeenNode } from "./fence-file.ts";
import type { JournalFill } from "./fill-source.ts";
import type { PieceSupplier } from "./segment-mend.ts";
import type {
  Journal,
  JournalListener,
  RecoverySink,
  RecoverySummary,
  SnapshotSource,
} from "./journal-api.ts";

/**
 * A piece of a journal as it goes to another member, byte for byte: a sealed batch, or the header of the segment that it
 * begins and the batch.
 */
export interface JournalPiece {
  /** Where the log ends that it continues. */
  readonly position: number;
  readonly end: number;
  /** The chain value of everything before `position`: 16 hex digits. */
  readonly chain: string;
  readonly bytes: Uint8Array;
}

/** A place in the journal that somebody still reads: segments behind it stay. */
export interface JournalPin {
  move(position: number): void;
  release(): void;
}

/** What a journal knows of itself, to be compared with others. Positions are those where a batch ends. */
export interface ReplicatedLog {
  /** Behind the newest sealed batch, durable or not. */
  readonly end: number;
  /** Everything before it is on stable storage. */
  readonly durable: number;
  /** Oldest first. */
  readonly epochs: readonly EpochStart[];
  /** The chain value of everything before `position`; null where no batch ends, or where {@link JournalMember.findChain} must look first. */
  chainAt(position: number): string | null;
}

/**
 * A journal's part in a group. It follows from `open` on, and leads from `beginEpoch` on; who steps down closes the journal
 * and opens it again.
 */
export interface JournalMember {
  readonly log: ReplicatedLog;
  /** 32 hex digits, made when the folder was new to groups. */
  readonly incarnation: string;
  /** The highest epoch that was promised: of a lower one nothing is followed. 0: it was never in a group. */
  readonly promisedEpoch: number;
  /** Everything before it is committed, as far as is known here. */
  readonly commitPosition: number;
  /** The newest content of the group's node that this folder remembers; null: none. */
  readonly seenNode: SeenNode | null;
  /** Where the oldest piece begins that can still be had. */
  readonly oldestPosition: number;
  /** Where the first segment begins that is still there: behind it others may be missing. */
  readonly keptFrom: number;

  /** Sees to it that `log.chainAt(position)` knows its answer. @throws EverholdError EVH_DATA_CORRUPT, EVH_IO */
  findChain(position: number): Promise<void>;
  /**
   * Follows: appends a piece to the log. The bytes are copied before this returns; `onDurable` tells when they are stored.
   * @throws EverholdError EVH_PROTOCOL, EVH_DATA_CORRUPT, EVH_DATA_FORMAT for a piece that does not continue the log
   * or contradicts itself: nothing of it is taken; EVH_CLOSED, EVH_IO after a failure
   */
  append(piece: Pick<JournalPiece, "position" | "end" | "bytes">): void;
  /** Makes durable that no live of an epoch below `epoch` is followed. @throws EverholdError EVH_PROTOCOL for an epoch that the format has no room
   * for; EVH_DISK_FULL, EVH_IO: then the promise may be on the disk or not, and is not told */
  fence(epoch: number): Promise<void>;
  /** Makes durable what the group's node was seen to be. @throws EverholdError EVH_DISK_FULL, EVH_IO */
  rememberNode(node: SeenNode): Promise<void>;
  /**
   * Cuts the log at `position`, durably, while it follows: nothing is appended before it has ended.
   * @throws EverholdError EVH_PROTOCOL where no batch ends, or where it would cut what is committed: nothing is done;
   * EVH_IO, EVH_DISK_FULL, EVH_DATA_CORRUPT: then the journal fails, and the next start ends what was begun
   */
  truncate(position: number): Promise<void>;
  /**
   * Leads from now on: appends the record that begins the epoch, which must have been promised. The rest of the log goes
   * to the sink, then `recovered` is called, and from then on the journal can be written.
   * @param unclean an operator took the loss of what other members had
   */
  beginEpoch(epoch: number, unclean: boolean): void;
  /** Everything before `position` is committed as soon as it is durable here, too. It never moves back. */
  setCommitted(position: number): void;
  /**
   * The piece that begins at `position`, valid until the next call: null where nothing lies there yet, `"on disk"` where
   * {@link loadPiece} has to bring it first.
   */
  pieceAt(position: number): JournalPiece | "on disk" | null;
  /** Brings pieces from `position` on into memory. @throws EverholdError EVH_DATA_CORRUPT, EVH_IO, EVH_CLOSED where its segment is no more */
  loadPiece(position: number): Promise<void>;
  /**
   * A copy of the piece that begins at `position`, for another member to mend its own with; null: it is not there, or damaged,
   * too. Where a segment begins it is the segment's first piece: who lacks its header does not know where the log before it ends.
   */
  readPiece(position: number): Promise<JournalPiece | null>;
  /** Looks through the segment that holds `position`, and mends what is damaged: whether all of it is whole now. */
  mendAt(position: number): Promise<boolean>;
  /** Who else has this log: what is damaged here is mended with that. undefined: nobody, for now. */
  supplier: PieceSupplier | undefined;
  /** Keeps what lies behind `position` until it is moved on or released. */
  pin(position: number): JournalPin;
  /**
   * While it follows: the live keeps nothing in front of `position`, so that nobody else has to. Until this is called
   * no segment goes: records that nothing here refers to may yet come back from what only the live has in memory.
   */
  keepFrom(position: number): void;
  /**
   * Everything that another member needs to begin where this log is durable, kept until it is closed. Where there is no snapshot
   * yet, one is written.
   * @throws EverholdError EVH_ILLEGAL_STATE where nothing was ever written; EVH_IO, EVH_DISK_FULL
   */
  openFill(): Promise<JournalFill>;
}

/** The caller's state as a member of a group brings it back and along. */
export interface FollowingSink extends RecoverySink {
  /** Whoever wrote the records so far writes no more: those that follow are another live's. */
  endReign?(): void;
}

/** Who is told about the progress of a group's member. Calls never happen inside a call of the journal. */
export interface ReplicatedJournalListener extends JournalListener {
  /** `recovered` was called, and the journal can be written. */
  onLeading(): void;
  /** The durable position has moved. */
  onDurable(): void;
  /** There is another piece. */
  onMore(): void;
}

/**
 * The journal of a member of a group: byte for byte the same on all of them. `commitPosition` is the group's, and what
 * follows it (`onCommitted`, `read`, snapshots, `stagedBytes`) with it.
 */
export interface ReplicatedJournal extends Journal {
  readonly member: JournalMember;

  /**
   * As {@link Journal.open}, and yet nothing is appended, and `state` gets only what is known to be committed: more as
   * the commit position moves, the rest and `recovered` when this member leads.
   */
  open(
    state: FollowingSink & SnapshotSource,
    listener: ReplicatedJournalListener,
  ): Promise<RecoverySummary>;

  /** Closes at once, also what is being closed in order: waits for no commit and writes no snapshot. Idempotent. */
  abandon(): Promise<void>;
}
