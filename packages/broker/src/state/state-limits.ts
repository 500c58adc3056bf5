import { assert } from "@everhold/base";

/** The limits of the broker's state, each with its unit, its reason and what happens when it is hit. */
export const stateLimits = {
  /** Rows of all queues: about 24 bytes of memory each. The engine refuses sends with EVH_ADDRESS_FULL. */
  rowsMax: 1_000_000_000,
  /** Stored queues that one message may go to; each takes 12 bytes of its record. More: EVH_REJECTED. */
  messageTargetsMax: 1_000_000,
  /** Ids that an address remembers, as in Artemis (`id-cache-size`). The oldest is forgotten. */
  duplicateIdsPerAddressMax: 20_000,
  /** Bytes of one duplicate id, so that a full ring fits into one snapshot section. More: EVH_REJECTED. */
  duplicateIdBytesMax: 512,
  /** Producers remembered at one time, about 60 bytes each. Those idle for longest are forgotten. */
  producersMax: 100_000,
  /** Producers that one record forgets; it holds 16 bytes for each. The rest goes with the next record. */
  producersPerEvictionMax: 4_096,
  /** Queues of one session that wait for it after a restart; 4 bytes each in its record. Further ones do not. */
  returningQueuesMax: 64,
  /**
   * Messages of which it is remembered that they were moved away, so that no client takes one for settled. Of older
   * ones RESUME says that nobody knows.
   */
  movedMessagesMax: 4_096,
  /** Refused ranges of sequences remembered of one producer. The oldest is forgotten. */
  refusalsPerProducerMax: 1_024,
  /** Characters of a name in a record; the engine refuses names earlier. More: RangeError. */
  nameCharsMax: 4_096,
  /** Characters that say why a message was moved. Each different text is in memory once; longer ones are cut. */
  causeCharsMax: 500,
  /** Characters of a queue's filter in a record; the engine refuses filters earlier. More: RangeError. */
  filterCharsMax: 65_536,
  /** Characters of the settings of one match as JSON; all settings with the longest names fit. More: RangeError. */
  settingsCharsMax: 65_536,
  /** Ways by diverts that lead one message to queues. The engine refuses sends with more with EVH_REJECTED. */
  diversionsMax: 16_384,
  /** Addresses that one divert forwards to. The engine refuses more with EVH_REJECTED. */
  divertTargetsMax: 64,
  /** Characters of the key of a value in a last-value queue; keys are in memory. More: EVH_REJECTED. */
  lastValueCharsMax: 1_024,
  /** How far a dispatch limit runs ahead of the consumers of a quiet lane, in rows. */
  dispatchLimitStepMin: 64,
  /** How far a dispatch limit runs ahead of the consumers of a busy lane, in rows. */
  dispatchLimitStepMax: 4_096,
  /** A lane is busy when its limit is reached before this many bytes were logged. */
  dispatchLimitSpacingBytes: 4 * 1024 * 1024,
  /** Entries of rows that are gone before the heap of scheduled rows is searched for such and rebuilt. */
  scheduleStaleEntriesMin: 1_024,
  /** Entries for which the heap of scheduled rows keeps its memory when it is empty, 20 bytes each. */
  scheduleEntriesKept: 4_096,
  /** Decided branches remembered, for a manager that asks again; some 300 bytes each. The oldest is forgotten. */
  decidedBranchesMax: 4_096,
  /** Branches decided by hand that nobody has forgotten yet. More: EVH_ILLEGAL_STATE for the decision. */
  heuristicBranchesMax: 10_000,
  /** Highest delivery count that is kept; it stays there. */
  deliveryCountMax: 65_535,
  /** Payload bytes that a snapshot section aims at, so that one slice takes well under a millisecond. */
  snapshotSectionBytes: 256 * 1024,
  /** Bytes of a slab of the arena for non-durable bodies. */
  arenaSlabBytes: 1024 * 1024,
  /**
   * Highest number of the slab that is first in a life of a broker, picked at random: ids of two lives meet by a
   * chance of one in 2^31, and behind it are 2 PiB.
   */
  arenaFirstSlabMax: 2 ** 31 - 1,
  /** A body above this many bytes gets a slab of its own, so that it never strands much of a shared one. */
  arenaSharedBodyBytesMax: 128 * 1024,
} as const;

assert(
  stateLimits.duplicateIdsPerAddressMax * (stateLimits.duplicateIdBytesMax + 2) < 15 * 1024 * 1024,
  "a full ring of duplicate ids fits into one snapshot section of 16 MiB",
);
assert(
  stateLimits.arenaSharedBodyBytesMax < stateLimits.arenaSlabBytes,
  "a shared body fits into a slab",
);
assert(
  stateLimits.producersPerEvictionMax < stateLimits.producersMax,
  "one eviction never forgets every producer",
);
