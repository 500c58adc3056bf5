import type { EverholdError } from "@everhold/base";
import type { MemberLog, NodeVersion } from "@everhold/group";

/** A piece of a journal as it goes to a backup, byte for byte. */
export interface Piece {
  readonly position: number;
  readonly end: number;
  /** The chain value of everything before `position`. */
  readonly chain: string;
  readonly bytes: Uint8Array;
}

/** A piece as another member gives it, to mend this one's journal with. */
export type SuppliedPiece = Pick<Piece, "position" | "end" | "bytes">;

/** A journal as a member of a group drives it. It follows until an epoch is begun on it, then it leads; never back. */
export interface MemberJournal {
  /** What the member decides by, together with {@link oldestPosition}. */
  readonly log: Omit<MemberLog, "oldestPosition">;
  /** Where the oldest piece begins that can still be had. It moves on between two reads of it. */
  readonly oldestPosition: number;
  /** In front of it nothing is kept, for whatever reason. */
  readonly keptFrom: number;
  /** The newest content of the group's node that the disk remembers; null: none. */
  readonly seenNode: NodeVersion | null;
  /** Makes durable what the group's node was seen to be. @throws EverholdError EVH_DISK_FULL; what else fails, fails the journal */
  rememberNode(node: NodeVersion): Promise<void>;
  /** Sees to it that `log.chainAt(position)` knows its answer. */
  findChain(position: number): Promise<void>;
  /**
   * Appends what the live has from the journal's end on. The bytes are copied before this returns. Reports `onDurable`.
   * @throws EverholdError for a piece that does not continue the journal or contradicts itself: nothing of it is taken
   */
  append(piece: Pick<Piece, "position" | "end" | "bytes">): void;
  /** Cuts it, durably. Only while it follows. */
  truncate(position: number): Promise<void>;
  /** Makes durable that nothing of a lower epoch is appended any more. */
  fence(epoch: number): Promise<void>;
  /** Appends the record that begins an epoch; from now on the journal is written here. */
  beginEpoch(epoch: number, unclean: boolean): void;
  /** Everything before `position` is committed: it may be answered and shown. */
  setCommitted(position: number): void;
  /**
   * The piece that begins at `position`, valid until the next call: `null` where nothing lies there yet, `"on disk"`
   * where it has to be loaded first.
   */
  pieceAt(position: number): Piece | "on disk" | null;
  /** Brings the piece at `position` into memory for {@link pieceAt}. @throws EverholdError what the disk says */
  loadPiece(position: number): Promise<void>;
  /** A copy of the piece at `position`, for another member; null: it is not there, or damaged, too. Never rejects. */
  readPiece(position: number): Promise<Piece | null>;
  /** Where pieces can be had for what is damaged here; undefined: nowhere. */
  supplier: ((position: number) => Promise<SuppliedPiece | null>) | undefined;
  /** Keeps what lies behind `position` readable until it is moved on or given back. */
  pin(position: number): JournalPin;
  /** What another member's folder can be filled with, kept until it is closed. */
  openFill(): Promise<FillSource>;
}

/** Files of a journal that stay as they are. */
export interface FillSource {
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  readonly commitPosition: number;
  /** Reads from `position` of a file on, as far as `into` and the file go. @throws EverholdError what the disk says */
  read(file: number, position: number, into: Uint8Array): Promise<number>;
  /** Gives the files back. Idempotent. */
  close(): Promise<void>;
}

/** A member's journal as its core sees it. */
export function memberLogOf(journal: MemberJournal): MemberLog {
  const { log } = journal;
  return {
    get end() {
      return log.end;
    },
    get durable() {
      return log.durable;
    },
    get epochs() {
      return log.epochs;
    },
    get oldestPosition() {
      return journal.oldestPosition;
    },
    chainAt: (position) => log.chainAt(position),
  };
}

/** A place in the journal that somebody still reads. */
export interface JournalPin {
  move(position: number): void;
  release(): void;
}

/** What a journal tells its driver. Calls never happen inside a call of the journal. */
export interface MemberJournalListener {
  /** The durable position has moved. */
  onDurable(): void;
  /** There is more to be shipped. */
  onMore(): void;
  /** A write or a sync failed: nothing is written any more. */
  onFailed(error: EverholdError): void;
}
