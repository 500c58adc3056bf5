import { bytes, counter, list, string, struct, u32, u8 } from "@everhold/wire";
import { producerIdBytes } from "./producer-marks.ts";
import { queueDefinition } from "./queue-definition.ts";
import { addressRecord, refusalEntry } from "./records.ts";
import { stateLimits } from "./state-limits.ts";

/** The kind of all sections of the state in a snapshot. */
export const stateSectionKind = 1;

/**
 * A section is a list of entries, each a tag and what belongs to it, up to the tag `end`. All of a section
 * is true as of one position. An address comes with its duplicate ids. A queue begins with `queue`, goes on
 * with `rows` for each of its lanes, in as many sections as they need, and is whole when its `queueEnd` has
 * come: a queue that was deleted meanwhile has none, and its QUEUE_DELETE record follows in the log.
 */
export const sectionTags = {
  end: 0,
  catalog: 1,
  address: 2,
  queue: 3,
  rows: 4,
  queueEnd: 5,
  producer: 6,
  settings: 7,
  divert: 8,
  transaction: 9,
  outcomes: 10,
  largeMessage: 12,
  session: 16,
  producersForgotten: 17,
  moved: 18,
} as const;

/** The next id of an address or queue, and where expiry units count from. */
export const catalogEntry = struct({ nextId: counter, expiryBaseMs: counter });

/** Followed by the duplicate ids, as `DuplicateIds.write` writes them. */
export const addressEntry = struct({ id: u32, definition: addressRecord });

/** A queue as its record has it; its rows follow in entries of their own. */
export const queueEntry = struct({ id: u32, addressId: u32, definition: queueDefinition });

/** The queue is whole: all its rows have come. */
export const queueEndEntry = struct({ id: u32 });

/**
 * Followed by `count` rows of {@link rowEntryBytes}. They are all rows of the lane whose sequences are below
 * `end` and not covered by an earlier entry.
 */
export const rowsEntry = struct({
  queueId: u32,
  lane: u8,
  dispatchLimit: counter,
  end: counter,
  count: u32,
});

/**
 * A row: u64 sequence, u64 position, then u32 message offset, message length, expiry units; u16
 * {@link rowFlags}, u16 deliveries. Behind it what the flags say.
 */
export const rowEntryBytes = 32;

/** What few rows have, and what follows them then. In this order. */
export const rowFlags = {
  /** u64: the time for which the row waits, in ms since 1970. */
  due: 1,
  /** The name of the queue it was moved from, a string. */
  origin: 2,
  /** It was moved from the same queue as the one before it in this entry: nothing follows. */
  sameOrigin: 4,
  /** u64: bytes of the body of a large message. The list of its parts may come later, in its record. */
  large: 8,
  /** u8 {@link rowKeys}, and what these say. */
  keyed: 16,
  /** What stands behind it waits as long as it does: nothing follows. Only with `due`. */
  holding: 32,
} as const;

/** What a row is known by beside its place, and what follows then. In this order. */
export const rowKeys = {
  /** u32: its message group. */
  group: 1,
  /** The key of its value, a string. */
  lastValue: 2,
  /** u64: the position as of which it has that value last. */
  lastSince: 4,
} as const;

/** The key of a row's value in a last-value queue. */
export const lastValueName = string(stateLimits.lastValueCharsMax);

/** The name of the queue that a row was moved from. */
export const originName = string(stateLimits.nameCharsMax);

/** Followed by the list of its body's parts, as `LargeBody.write` writes it. Before all rows. */
export const largeMessageEntry = struct({ position: counter });

/** A producer's mark: the last sequence, the position of its record, and what was refused. */
export const producerEntry = struct({
  id: bytes(producerIdBytes),
  epoch: u32,
  sequence: counter,
  position: counter,
  refusals: list(refusalEntry, stateLimits.refusalsPerProducerMax),
});
