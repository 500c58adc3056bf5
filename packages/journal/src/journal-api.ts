import type { EverholdError } from "@everhold/base";
import type { Ports } from "@everhold/env";

/** The ports that a journal needs. */
export type JournalPorts = Pick<Ports, "disk" | "hash" | "timers" | "wallClock" | "random" | "log">;

/** What can be set about a journal. Defaults and limits: `limits.ts`. */
export interface JournalOptions {
  readonly ports: JournalPorts;
  /** Size of a new segment file in bytes, a multiple of 4096. Default 128 MiB. */
  readonly segmentBytes?: number;
  /** A batch is closed when it holds this many bytes; a larger atomic group makes a larger batch. Default 1 MiB. */
  readonly batchBytesMax?: number;
  /** Newest part of the log that is kept in memory for readers, in bytes. Default 64 MiB. */
  readonly tailCacheBytes?: number;
  /** Memory for what is read back from the disk, in bytes. Default 32 MiB. */
  readonly readCacheBytes?: number;
  /** How much is read at once when a record is not in memory, in bytes. Default 1 MiB. */
  readonly readAheadBytes?: number;
  /** Log bytes after which a new snapshot is written. Default 256 MiB. */
  readonly snapshotBytes?: number;
  /** Largest record, header included, in bytes. Default: what fits into one segment. */
  readonly recordBytesMax?: number;
  /** Zeroed space to keep ahead of the writer: bursts up to this size run at full speed. Default 64 MiB. */
  readonly prepareAheadBytes?: number;
  /** Free space of the disk below which it counts as full, in bytes. Default 64 MiB. */
  readonly freeBytesMin?: number;
  /** Files of dead segments that are kept for reuse. Default 2. */
  readonly spareCountMax?: number;
  /**
   * How fast everything that is kept is read again and again, to find what the disk lets rot, in bytes per second.
   * Default 0: never.
   */
  readonly scrubBytesPerSecond?: number;
  /** Refuses a folder of another group. Default: a new folder gets a random one, an old one keeps its own. */
  readonly groupId?: Uint8Array;
}

/** Where the bytes of a record lie. One object is reused for many calls of {@link Journal.locate}. */
export interface RecordView {
  bytes: Uint8Array;
  /** Over the same memory as `bytes`, with the same offsets. */
  view: DataView;
  offset: number;
}

/**
 * Called once, later, when a read has ended. With an error (`EVH_DATA_CORRUPT`, `EVH_IO`, `EVH_CLOSED`)
 * the rest means nothing. The memory belongs to the journal again when the call returns.
 */
export type ReadDone = (
  error: EverholdError | undefined,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
) => void;

/** What recovery found and did. */
export interface RecoverySummary {
  /** The snapshot that was restored, or `undefined` when everything was replayed. */
  readonly snapshotName: string | undefined;
  /** Sections restored from it. */
  readonly sectionCount: number;
  /** Position from which the log was replayed. */
  readonly replayStart: number;
  /** Where the log ended; everything before it is durable. */
  readonly endPosition: number;
  /** Batches and the caller's records that were replayed. */
  readonly batchCount: number;
  readonly recordCount: number;
  /** Bytes of an unfinished write that were wiped behind the end; 0 after an orderly stop. */
  readonly wipedBytes: number;
  readonly segmentCount: number;
  /** Whether the folder was empty. */
  readonly isNew: boolean;
}

/** Rebuilds the caller's state: first sections, then records in log order, then `recovered`, once. */
export interface RecoverySink {
  /**
   * One section of the newest valid snapshot. It is true as of position `asOf`: it holds the effect of
   * every record before it and of none at or behind it. Payload: `bytes[start … end)`.
   */
  restoreSection(
    kind: number,
    asOf: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
  ): void;
  /**
   * One record of a type of 16 or more. Payload: `bytes[start … end)`, up to 7 zero bytes of padding
   * included. `position` and `length` are the whole record's, as for `retain`. The memory belongs to
   * the journal when the call returns.
   */
  applyRecord(
    type: number,
    reference: number,
    position: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    end: number,
    length: number,
  ): void;
  recovered(summary: RecoverySummary): void;
}

/** Where a snapshot section is written. */
export interface SnapshotWriter {
  /** The position that sections started now are true as of: the journal's `endPosition`. */
  readonly asOf: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the payload of the section begins. */
  readonly payloadOffset: number;
  /** Starts a section whose payload has at most `payloadBytesMax` bytes (16 MiB). `kind` 1 … 65535 is the caller's. */
  begin(kind: number, payloadBytesMax: number): void;
  /** Ends it with the payload's actual size. */
  end(payloadBytes: number): void;
}

/** Writes down the caller's state, a slice at a time. */
export interface SnapshotSource {
  /** Starts anew, also when an earlier snapshot was given up half-way. */
  beginSnapshot(): void;
  /**
   * Writes the next section (or several that must be true as of the same position) and says whether
   * there is more. Called once a turn.
   */
  nextSnapshotSection(writer: SnapshotWriter): boolean;
}

/** What is known of damage to the files, since the journal was opened. */
export interface JournalHealth {
  /** Read to look for damage. */
  readonly checkedBytes: number;
  /** How often everything was. */
  readonly roundCount: number;
  /** Ranges of batches found damaged; one that stays so is found again in each round. */
  readonly damagedCount: number;
  /** Those that were mended with what another member has. */
  readonly mendedCount: number;
}

/** Who is told about progress. Calls never happen inside a call of the journal. */
export interface JournalListener {
  /** Everything before `commitPosition` is durable. Once for each completed write. */
  onCommitted(commitPosition: number): void;
  /** A write or a sync failed. Once and last: nothing is committed any more, and `append` throws. */
  onFailed(error: EverholdError): void;
  /** The disk has no room for what was appended; called about every second while that is so. */
  onStuck?(): void;
}

/** One append-only log in one folder. Made by {@link createJournal}, empty until `open`. */
export interface Journal {
  /** 16 bytes, made once; valid after `open`. */
  readonly groupId: Uint8Array;
  /** Number of this reign; stays 1 while there is one broker. */
  readonly epoch: number;
  /** Largest total for `reserve`, record headers included, in bytes. */
  readonly groupBytesMax: number;
  /** Largest record, header included, in bytes. */
  readonly recordBytesMax: number;

  /** Behind the last record appended. Everything so far is durable when `commitPosition` reaches it. */
  readonly endPosition: number;
  /** Every record whose position is below it is durable. */
  readonly commitPosition: number;
  /** Appended and not durable yet, in bytes: the measure for back-pressure. */
  readonly stagedBytes: number;
  /** The disk has no room for new segments: take no new messages, acknowledgements still fit. */
  readonly diskFull: boolean;
  /** Bytes that can still be appended however full the disk is. */
  readonly preparedBytes: number;
  /** The disk has not even room for what was appended: nothing is committed until there is some. */
  readonly isStuck: boolean;
  readonly health: JournalHealth;
  /** Set when the journal has failed. */
  readonly failure: EverholdError | undefined;

  /** The memory of the record appended last. Valid until the next call of the journal. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where its payload begins in `bytes` and `view`. */
  readonly payloadOffset: number;

  /**
   * Takes the folder, restores the newest valid snapshot, replays the log into `state`, cuts a torn tail
   * and marks the start of this boot. When it settles the journal can be written.
   * @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_DATA_FOLDER, EVH_IO
   */
  open(state: RecoverySink & SnapshotSource, listener: JournalListener): Promise<RecoverySummary>;

  /**
   * Makes what is appended next, up to these sizes and within this step, lie in one batch: it is found
   * whole after a crash, or not at all.
   * @throws EverholdError EVH_FRAME_TOO_LARGE when it is more than `groupBytesMax`
   */
  reserve(payloadBytesTotal: number, recordCount: number): void;
  /**
   * Appends a record and returns its position. The caller then writes all `payloadBytes` of its payload
   * at `payloadOffset` before it calls the journal again. The write starts at the end of the turn.
   * @param type 16 … 255
   * @param reference u32 for the caller's use, such as a queue's id
   * @param canWait nobody waits for it, so that it is written together with what comes next, or after 2 ms
   * alone. Default false
   * @throws EverholdError EVH_FRAME_TOO_LARGE, EVH_CLOSED, EVH_IO after a failure
   */
  append(type: number, reference: number, payloadBytes: number, canWait?: boolean): number;
  /** Somebody waits for all that was appended so far, also for what could wait. */
  hurry(): void;

  /**
   * Finds bytes of the log that are in memory, committed or not, and sets `into`. What it gives is
   * valid until the next call of `append`, `reserve` or `read`, and for this step only.
   */
  locate(position: number, length: number, into: RecordView): boolean;
  /** Reads committed bytes of one record from memory or disk; checks the CRC of its batch. */
  read(position: number, length: number, done: ReadDone): void;

  /** Counts a row whose record at `position` must stay readable; also used during recovery. */
  retain(position: number, length: number): void;
  /** Takes back one `retain`. Segments without rows are deleted or used again when no snapshot needs them. */
  release(position: number, length: number): void;

  /** Writes a snapshot now, or joins the one under way and writes another. For tools and tests. */
  snapshotNow(): Promise<void>;
  /**
   * Makes everything appended durable, writes a snapshot so that the next start is quick, and gives the
   * folder back. Idempotent. After a failure it only closes files.
   */
  close(): Promise<void>;
}

/** The first record type that is the caller's; smaller ones are the journal's own. */
export const firstCallerRecordType = 16;

/** Bytes before the payload in each record. */
export const recordHeaderBytes = 8;

/** Size of a whole record with this payload: header, payload, padding to 8 bytes. */
export function recordBytes(payloadBytes: number): number {
  return recordHeaderBytes + Math.ceil(payloadBytes / 8) * 8;
}
