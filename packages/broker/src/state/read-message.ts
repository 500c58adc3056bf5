import { EverholdError } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import { decodeSimpleString } from "@everhold/wire";
import { readDiversions, type OriginOf } from "./diversions.ts";
import { keyAt } from "./key-codec.ts";
import { largeListBytes } from "./large-body.ts";
import {
  divertFlag,
  dueFlag,
  duplicateFlag,
  expirationFlag,
  fixedBytes,
  groupBytes,
  groupFlag,
  largeFlag,
  lastValueHeadBytes,
  lastValuesFlag,
  lastValuesHeadBytes,
  markBytes,
  markFlag,
  optionsBytes,
  targetBytes,
  timeBytes,
  transactionFlag,
} from "./message-layout.ts";
import { producerIdBytes } from "./producer-marks.ts";
import { checkPadding, corrupt } from "./records.ts";
import { isLane, laneOfKey, volatileLaneOffset } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";

/** A MESSAGE record that was read: offsets into its bytes. One object is reused. */
export interface MessageRecordView {
  targetCount: number;
  /** Where the targets begin; {@link targetQueueId} and {@link targetKey} read them. */
  targetsAt: number;
  /** Where the mark's id begins, −1 when there is none. */
  markAt: number;
  markEpoch: number;
  markSequence: number;
  /** 0 is never. */
  expirationMs: number;
  /** 0 is at once. */
  dueMs: number;
  /** 0 is none. */
  group: number;
  /** The list of last values, for {@link readLastValues}; both the same when there is none. */
  lastValuesStart: number;
  lastValuesEnd: number;
  /** Position of the first record of the transaction it is a piece of, 0 for its own; −1 for none. */
  transaction: number;
  /** Where {@link Diversions} begin, −1 when none of its targets came by a divert. */
  divertsStart: number;
  divertsEnd: number;
  /** −1 when there is no duplicate id. */
  duplicateStart: number;
  duplicateEnd: number;
  /** Where the list of the parts of its body begins, −1 when it is not a large message. */
  partsAt: number;
  /** From the beginning of the record. */
  messageOffset: number;
  messageLength: number;
}

/** An empty {@link MessageRecordView} to read into. */
export function createMessageRecordView(): MessageRecordView {
  return {
    targetCount: 0,
    targetsAt: 0,
    markAt: -1,
    markEpoch: 0,
    markSequence: 0,
    expirationMs: 0,
    dueMs: 0,
    group: 0,
    lastValuesStart: 0,
    lastValuesEnd: 0,
    transaction: -1,
    divertsStart: -1,
    divertsEnd: -1,
    duplicateStart: -1,
    duplicateEnd: -1,
    partsAt: -1,
    messageOffset: 0,
    messageLength: 0,
  };
}

/**
 * Reads a payload and checks all of its layout.
 * @throws EverholdError EVH_DATA_CORRUPT
 */
export function readMessage(
  position: number,
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  into: MessageRecordView,
): void {
  if (end - start < fixedBytes) {
    throw corrupt(position, `found ${end - start} bytes, expected at least ${fixedBytes}`);
  }
  const flags = view.getUint8(start);
  const moreFlags = view.getUint8(start + 1);
  if ((moreFlags & ~divertFlag) !== 0) {
    throw corrupt(position, `found more flags ${moreFlags}, expected at most ${divertFlag}`);
  }
  const duplicateLength = view.getUint16(start + 2);
  into.targetCount = view.getUint32(start + 4);
  into.messageOffset = view.getUint32(start + 8);
  into.messageLength = view.getUint32(start + 12);
  into.targetsAt = start + fixedBytes;
  let at = into.targetsAt + into.targetCount * targetBytes;
  const hasMark = (flags & markFlag) !== 0;
  const hasExpiration = (flags & expirationFlag) !== 0;
  const hasDue = (flags & dueFlag) !== 0;
  const hasGroup = (flags & groupFlag) !== 0;
  const isPiece = (flags & transactionFlag) !== 0;
  const hasDuplicateId = (flags & duplicateFlag) !== 0;
  const hasLastValues = (flags & lastValuesFlag) !== 0;
  const divertsAt = at + optionsBytes(flags);
  const valuesAt = moreFlags === 0 ? divertsAt : skipList(view, divertsAt, end);
  if (valuesAt < 0) throw corrupt(position, "found diverts that are longer than the record");
  into.divertsStart = moreFlags === 0 ? -1 : divertsAt + 4;
  into.divertsEnd = valuesAt;
  const duplicateAt = hasLastValues ? skipList(view, valuesAt, end) : valuesAt;
  if (duplicateAt < 0) throw corrupt(position, "found last values longer than the record");
  into.lastValuesStart = hasLastValues ? valuesAt + lastValuesHeadBytes : duplicateAt;
  into.lastValuesEnd = duplicateAt;
  const partsAt = duplicateAt + duplicateLength;
  if (partsAt > end) throw corrupt(position, "found more than the record has bytes for");
  const hasParts = (flags & largeFlag) !== 0;
  const listBytes = hasParts ? largeListBytes(view, partsAt, end) : 0;
  if (listBytes < 0)
    throw corrupt(position, "found a list of parts that is longer than the record");
  into.partsAt = hasParts ? partsAt : -1;
  const messageAt = partsAt + listBytes;
  if (start - recordHeaderBytes + into.messageOffset !== messageAt) {
    throw corrupt(position, `found message offset ${into.messageOffset}, which is not its place`);
  }
  // Checks the lengths, too: what they add up to lies inside the record.
  checkPadding(position, bytes, messageAt + into.messageLength, end);
  if (into.messageLength === 0 && into.targetCount > 0) throw corrupt(position, "found no message");
  if (into.messageLength > 0 && into.targetCount === 0) throw corrupt(position, "found no targets");
  into.markAt = -1;
  if (hasMark) {
    into.markAt = at;
    into.markEpoch = view.getUint32(at + producerIdBytes);
    into.markSequence = safe(position, keyAt(view, at + producerIdBytes + 4));
    at += markBytes;
  }
  into.expirationMs = 0;
  if (hasExpiration) {
    into.expirationMs = safe(position, keyAt(view, at));
    at += timeBytes;
  }
  into.dueMs = 0;
  if (hasDue) {
    into.dueMs = safe(position, keyAt(view, at));
    at += timeBytes;
  }
  into.group = 0;
  if (hasGroup) {
    into.group = view.getUint32(at);
    at += groupBytes;
  }
  into.transaction = -1;
  if (isPiece) {
    into.transaction = safe(position, keyAt(view, at));
  }
  if (
    duplicateLength > stateLimits.duplicateIdBytesMax ||
    (duplicateLength > 0 && !hasDuplicateId)
  ) {
    throw corrupt(position, `found a duplicate id of ${duplicateLength} bytes`);
  }
  into.duplicateStart = hasDuplicateId ? duplicateAt : -1;
  into.duplicateEnd = hasDuplicateId ? duplicateAt + duplicateLength : -1;
}

/**
 * Where the targets come from, by their indexes; `undefined` when none came by a divert.
 * @throws EverholdError EVH_DATA_CORRUPT
 */
export function originsOf(
  record: MessageRecordView,
  bytes: Uint8Array,
  position: number,
): OriginOf | undefined {
  if (record.divertsStart < 0) return undefined;
  try {
    return readDiversions(bytes, record.divertsStart, record.divertsEnd);
  } catch (error) {
    throw new EverholdError("EVH_DATA_CORRUPT", `cannot read the diverts at position ${position}`, {
      cause: error,
    });
  }
}

/**
 * Calls `onValue` for each last value of a record: the queue's id, and the key of its value.
 * @throws EverholdError EVH_DATA_CORRUPT
 */
export function readLastValues(
  record: MessageRecordView,
  position: number,
  bytes: Uint8Array,
  view: DataView,
  onValue: (queueId: number, lastValue: string) => void,
): void {
  const { lastValuesEnd } = record;
  for (let at = record.lastValuesStart; at < lastValuesEnd;) {
    const start = at + lastValueHeadBytes;
    const length = start <= lastValuesEnd ? view.getUint16(at + 4) : 1;
    if (length % 2 !== 0 || start + length > lastValuesEnd) {
      throw corrupt(position, "found a last value that does not end within its list");
    }
    onValue(view.getUint32(at), decodeSimpleString(bytes, start, start + length));
    at = start + length;
  }
}

/** The queue id of a target. */
export function targetQueueId(record: MessageRecordView, view: DataView, index: number): number {
  return view.getUint32(record.targetsAt + index * targetBytes);
}

/** The row key of a target. @throws EverholdError EVH_DATA_CORRUPT */
export function targetKey(
  record: MessageRecordView,
  view: DataView,
  index: number,
  position: number,
): number {
  const key = safe(position, keyAt(view, record.targetsAt + index * targetBytes + 4));
  const lane = laneOfKey(key);
  if (!isLane(lane) || lane >= volatileLaneOffset) {
    throw corrupt(position, `found row key ${key}, whose lane ${lane} holds no durable messages`);
  }
  return key;
}

/** Where what follows a list begins, whose bytes are counted at its head; −1 when it is longer than the record. */
function skipList(view: DataView, at: number, end: number): number {
  if (at + 4 > end) return -1;
  const next = at + 4 + view.getUint32(at);
  return next > end ? -1 : next;
}

function safe(position: number, value: number): number {
  if (!Number.isSafeInteger(value))
    throw corrupt(position, `found ${value}, which is above 2^53 - 1`);
  return value;
}
