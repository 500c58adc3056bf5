import { bytes, counter, flag, list, struct, u32, u8, when } from "@everhold/wire";
import { producerIdBytes } from "./producer-marks.ts";
import { stateLimits } from "./state-limits.ts";
import { xidField } from "./xid.ts";

/**
 * Rows that a commit adds to one lane of one queue: their keys follow one another in the order of the
 * transaction's messages. `key` is the first.
 */
export const committedRun = struct({ queueId: u32, key: counter, count: u32 });
/** The value of {@link committedRun}. */
export interface CommittedRun {
  readonly queueId: number;
  readonly key: number;
  readonly count: number;
}

/** PREPARED: the transaction of this first record (0: this one), the branch's id, and when it began. */
export const preparedRecord = struct({
  transaction: counter,
  createdMs: counter,
  xid: xidField,
});

/** COMMITTED: by whom, and which rows its messages become. Queues that were gone are not named. */
export const committedRecord = struct({
  transaction: counter,
  isHeuristic: flag,
  runs: list(committedRun, stateLimits.messageTargetsMax),
});

/** COMMITTED_AS: as COMMITTED, by a commit that used up this number of a producer. */
export const committedAsRecord = struct({
  producerId: bytes(producerIdBytes),
  epoch: u32,
  number: counter,
  transaction: counter,
  runs: list(committedRun, stateLimits.messageTargetsMax),
});

/** How a transaction ended that was not committed: fixed numbers, in this order. */
export const endings = ["rolledBack", "rolledBackByHand", "forgotten"] as const;
export type Ending = (typeof endings)[number];

/**
 * ROLLED_BACK: a transaction is dropped, and its producers' sequences count as refused if it was prepared; or
 * (`forgotten`) what was decided by hand is, by its xid.
 */
export const rolledBackRecord = struct({
  ending: u8,
  transaction: counter,
  hasXid: flag,
  xid: when("hasXid", true, xidField),
});

/** One branch in a snapshot that was decided. */
export const decidedEntry = struct({
  xid: xidField,
  isCommitted: flag,
  position: counter,
});

/** The branches that are remembered: decided by hand, and decided by their manager. */
export const outcomesEntry = struct({
  heuristics: list(decidedEntry, stateLimits.heuristicBranchesMax),
  decided: list(decidedEntry, stateLimits.decidedBranchesMax),
});

/**
 * A part of a transaction in a snapshot; one that is large comes in several, the last of which holds what it
 * acknowledged. `acknowledgedBefore` is 1 more than the position of the newest record of that. Followed by
 * `messageCount` messages and `queueCount` queues with row keys, as `transaction-snapshot.ts` writes them.
 */
export const transactionEntry = struct({
  id: counter,
  createdMs: counter,
  isPrepared: flag,
  xid: when("isPrepared", true, xidField),
  messageCount: u32,
  queueCount: u32,
  acknowledgedBefore: counter,
});

/** A run of a producer's sequences in a transaction, as older snapshots have it. */
export const markWithoutFirstEntry = struct({
  id: bytes(producerIdBytes),
  epoch: u32,
  last: counter,
});

/** A run of a producer's sequences in a transaction. */
export const markEntry = struct({
  id: bytes(producerIdBytes),
  epoch: u32,
  last: counter,
  first: counter,
});
