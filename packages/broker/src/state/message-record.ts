import { assert, EverholdError } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import { decodeSimpleString, setI64At } from "@everhold/wire";
import { readDiversions, type OriginOf } from "./diversions.ts";
import { keyAt, setKeyAt } from "./key-codec.ts";
import { largeListBytes } from "./large-body.ts";
import type { MessagePlan } from "./message-plan.ts";
import { producerIdBytes } from "./producer-marks.ts";
import { checkPadding, corrupt } from "./records.ts";
import { isLane, laneOfKey, volatileLaneOffset } from "./row-key.ts";
import { stateLimits } from "./state-limits.ts";

/*
 * MESSAGE and TRANSACTION_MESSAGE, offsets from the beginning of the payload:
 *
 *    0  u8   flags: 1 mark, 2 duplicate id, 4 expiration, 8 due time, 16 body in parts, 32 group,
 *            64 piece of a transaction, 128 last values
 *    1  u8   more flags: 1 diverts
 *    2  u16  bytes of the duplicate id
 *    4  u32  count of targets
 *    8  u32  offset of the message from the beginning of the record
 *   12  u32  bytes of the message; 0 when there are no targets: the record then holds only what to remember
 *   16       targets: u32 queue id, u64 row key each
 *            mark: 16 bytes id, u32 epoch, u64 sequence
 *            expiration: u64 milliseconds since 1970
 *            due time: u64 milliseconds since 1970, before which the message waits
 *            group: u32, as `groupHash` names it
 *            transaction: u64 position of its first record, 0 when that is this one; the row keys of the
 *            targets are the numbers of their lanes then, for there are no rows yet
 *            diverts: u32 bytes, and which targets came by which: `diversions.ts`
 *            last values: u32 bytes of what follows; then, for each target that is a last-value queue, u32
 *            queue id, u16 bytes of the key of its value, and that key, UTF-16LE
 *            duplicate id
 *            parts of the body: `large-body.ts`
 *            message, as in SESS_SEND, its message id being the record's position
 */
const fixedBytes = 16;
const targetBytes = 12;
const markBytes = producerIdBytes + 12;
const timeBytes = 8;
const groupBytes = 4;
const lastValuesHeadBytes = 4;
const lastValueHeadBytes = 6;
const transactionBytes = 8;
const markFlag = 1;
const duplicateFlag = 2;
const expirationFlag = 4;
const dueFlag = 8;
const largeFlag = 16;
const groupFlag = 32;
const transactionFlag = 64;
const lastValuesFlag = 128;
const divertFlag = 1;

/** Payload bytes of the record for a plan. 0 when it needs none. */
export function messageBytes(plan: MessagePlan): number {
  return plan.needsRecord ? bytesBeforeMessage(plan) + storedLength(plan) : 0;
}

/** From the beginning of the record to the message. */
export function messageOffsetOf(plan: MessagePlan): number {
  return recordHeaderBytes + bytesBeforeMessage(plan);
}

/** Writes the payload at `offset`. `plan.keys` holds the keys of all targets. */
export function writeMessage(
  plan: MessagePlan,
  position: number,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
): void {
  const { hasMark, hasDuplicateId } = plan;
  const hasExpiration = plan.expirationMs > 0;
  const hasDue = plan.dueMs > 0;
  const hasGroup = plan.group !== 0;
  const isPiece = plan.transaction >= 0;
  const valuesBytes = lastValuesBytes(plan);
  const duplicateLength = hasDuplicateId ? plan.duplicateEnd - plan.duplicateStart : 0;
  assert(duplicateLength <= stateLimits.duplicateIdBytesMax, "a duplicate id is within its limit");
  const length = storedLength(plan);
  view.setUint8(
    offset,
    (hasMark ? markFlag : 0) |
      (hasDuplicateId ? duplicateFlag : 0) |
      (hasExpiration ? expirationFlag : 0) |
      (hasDue ? dueFlag : 0) |
      (partsBytes(plan) > 0 ? largeFlag : 0) |
      (hasGroup ? groupFlag : 0) |
      (isPiece ? transactionFlag : 0) |
      (valuesBytes > 0 ? lastValuesFlag : 0),
  );
  const hasDiverts = divertBytes(plan) > 0;
  view.setUint8(offset + 1, hasDiverts ? divertFlag : 0);
  view.setUint16(offset + 2, duplicateLength);
  view.setUint32(offset + 4, plan.storedTargetCount);
  view.setUint32(offset + 8, messageOffsetOf(plan));
  view.setUint32(offset + 12, length);
  let at = offset + fixedBytes;
  if (plan.isDurable) at = writeTargets(plan, view, at);
  if (hasMark) {
    for (let index = 0; index < producerIdBytes; index += 1) {
      bytes[at + index] = plan.markBytes[plan.markOffset + index] ?? 0;
    }
    view.setUint32(at + producerIdBytes, plan.markEpoch);
    setKeyAt(view, at + producerIdBytes + 4, plan.markSequence);
    at += markBytes;
  }
  if (hasExpiration) {
    setKeyAt(view, at, plan.expirationMs);
    at += timeBytes;
  }
  if (hasDue) {
    setKeyAt(view, at, plan.dueMs);
    at += timeBytes;
  }
  if (hasGroup) {
    view.setUint32(at, plan.group);
    at += groupBytes;
  }
  if (isPiece) {
    setKeyAt(view, at, plan.transaction);
    at += transactionBytes;
  }
  if (hasDiverts) {
    const encoded = plan.diversions.encoded();
    view.setUint32(at, encoded.length);
    bytes.set(encoded, at + 4);
    at += 4 + encoded.length;
  }
  if (valuesBytes > 0) at = writeLastValues(plan, view, at, valuesBytes);
  for (let index = 0; index < duplicateLength; index += 1) {
    bytes[at + index] = plan.duplicateBytes[plan.duplicateStart + index] ?? 0;
  }
  at += duplicateLength;
  if (length === 0) return;
  if (plan.largeBody !== undefined) at = plan.largeBody.write(view, at);
  bytes.set(plan.bytes.subarray(plan.start, plan.end), at);
  setI64At(view, at + plan.messageIdOffset - plan.start, position);
  if (plan.expirationOffset >= 0) {
    setI64At(view, at + plan.expirationOffset - plan.start, plan.expirationMs);
  }
}

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
  const divertsAt =
    at +
    (hasMark ? markBytes : 0) +
    (hasExpiration ? timeBytes : 0) +
    (hasDue ? timeBytes : 0) +
    (hasGroup ? groupBytes : 0) +
    (isPiece ? transactionBytes : 0);
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

function writeTargets(plan: MessagePlan, view: DataView, offset: number): number {
  let at = offset;
  for (let index = 0; index < plan.targetCount; index += 1) {
    const queue = plan.target(index);
    if (!queue.isStored) continue;
    view.setUint32(at, queue.id);
    setKeyAt(view, at + 4, plan.keys[index] ?? 0);
    at += targetBytes;
  }
  return at;
}

function bytesBeforeMessage(plan: MessagePlan): number {
  return (
    fixedBytes +
    plan.storedTargetCount * targetBytes +
    (plan.hasMark ? markBytes : 0) +
    (plan.expirationMs > 0 ? timeBytes : 0) +
    (plan.dueMs > 0 ? timeBytes : 0) +
    (plan.group !== 0 ? groupBytes : 0) +
    (plan.transaction >= 0 ? transactionBytes : 0) +
    divertBytes(plan) +
    lastValuesBytes(plan) +
    (plan.hasDuplicateId ? plan.duplicateEnd - plan.duplicateStart : 0) +
    partsBytes(plan)
  );
}

function divertBytes(plan: MessagePlan): number {
  if (plan.diversions.isEmpty || plan.storedTargetCount === 0) return 0;
  return 4 + plan.diversions.encoded().length;
}

/** Where what follows a list begins, whose bytes are counted at its head; −1 when it is longer than the record. */
function skipList(view: DataView, at: number, end: number): number {
  if (at + 4 > end) return -1;
  const next = at + 4 + view.getUint32(at);
  return next > end ? -1 : next;
}

function lastValuesBytes(plan: MessagePlan): number {
  if (plan.lastValues.size === 0 || plan.storedTargetCount === 0) return 0;
  let bytes = 0;
  for (const [queue, lastValue] of plan.lastValues) {
    if (queue.isStored) bytes += lastValueHeadBytes + lastValue.length * 2;
  }
  return bytes === 0 ? 0 : lastValuesHeadBytes + bytes;
}

function writeLastValues(plan: MessagePlan, view: DataView, offset: number, bytes: number): number {
  view.setUint32(offset, bytes - lastValuesHeadBytes);
  let at = offset + lastValuesHeadBytes;
  for (const [queue, lastValue] of plan.lastValues) {
    if (!queue.isStored) continue;
    view.setUint32(at, queue.id);
    view.setUint16(at + 4, lastValue.length * 2);
    at += lastValueHeadBytes;
    for (let index = 0; index < lastValue.length; index += 1) {
      view.setUint16(at, lastValue.charCodeAt(index), true);
      at += 2;
    }
  }
  return at;
}

function partsBytes(plan: MessagePlan): number {
  return plan.storedTargetCount > 0 ? (plan.largeBody?.writtenBytes ?? 0) : 0;
}

function storedLength(plan: MessagePlan): number {
  return plan.storedTargetCount > 0 ? plan.end - plan.start : 0;
}

function safe(position: number, value: number): number {
  if (!Number.isSafeInteger(value))
    throw corrupt(position, `found ${value}, which is above 2^53 - 1`);
  return value;
}
