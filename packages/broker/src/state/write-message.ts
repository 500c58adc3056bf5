import { assert } from "@everhold/base";
import { recordHeaderBytes } from "@everhold/journal";
import { setI64At } from "@everhold/wire";
import { setKeyAt } from "./key-codec.ts";
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
  transactionBytes,
  transactionFlag,
} from "./message-layout.ts";
import type { MessagePlan } from "./message-plan.ts";
import { producerIdBytes } from "./producer-marks.ts";
import { stateLimits } from "./state-limits.ts";

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
  const flags = optionFlags(plan);
  const valuesBytes = lastValuesBytes(plan);
  const duplicateLength = plan.hasDuplicateId ? plan.duplicateEnd - plan.duplicateStart : 0;
  assert(duplicateLength <= stateLimits.duplicateIdBytesMax, "a duplicate id is within its limit");
  const length = storedLength(plan);
  view.setUint8(
    offset,
    flags |
      (plan.hasDuplicateId ? duplicateFlag : 0) |
      (partsBytes(plan) > 0 ? largeFlag : 0) |
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
  if ((flags & markFlag) !== 0) {
    for (let index = 0; index < producerIdBytes; index += 1) {
      bytes[at + index] = plan.markBytes[plan.markOffset + index] ?? 0;
    }
    view.setUint32(at + producerIdBytes, plan.markEpoch);
    setKeyAt(view, at + producerIdBytes + 4, plan.markSequence);
    at += markBytes;
  }
  if ((flags & expirationFlag) !== 0) {
    setKeyAt(view, at, plan.expirationMs);
    at += timeBytes;
  }
  if ((flags & dueFlag) !== 0) {
    setKeyAt(view, at, plan.dueMs);
    at += timeBytes;
  }
  if ((flags & groupFlag) !== 0) {
    view.setUint32(at, plan.group);
    at += groupBytes;
  }
  if ((flags & transactionFlag) !== 0) {
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

/** The flags of what {@link optionsBytes} counts. */
function optionFlags(plan: MessagePlan): number {
  return (
    (plan.hasMark ? markFlag : 0) |
    (plan.expirationMs > 0 ? expirationFlag : 0) |
    (plan.dueMs > 0 ? dueFlag : 0) |
    (plan.group === 0 ? 0 : groupFlag) |
    (plan.transaction >= 0 ? transactionFlag : 0)
  );
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
    optionsBytes(optionFlags(plan)) +
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
