import { ProtocolError } from "@everhold/base";
import { i64At, saturatedI64At } from "./byte-reader.ts";
import { limits } from "./limits.ts";
import { propertyNames } from "./property-names.ts";
import { propertyBytesMin, valueTags } from "./typed-properties.ts";

/** What a body length has added to it on the wire: a packet header's bytes, for historical reasons. */
export const bodyLengthOffset = 13;

/**
 * Where everything is in one message, and what a broker needs to know of it, found without allocating.
 * Offsets count in the bytes that were scanned; −1 means absent. One holder serves many scans.
 */
export class MessageScan {
  /** The body's bytes are `bodyStart … bodyEnd`. */
  bodyStart = 0;
  bodyEnd = 0;
  /** Where the 8 bytes of the message id are: also where the headers begin. */
  messageIdOffset = 0;
  /** Inexact beyond 2^53; producers send 0. */
  messageId = 0;
  /** The address's UTF-16LE bytes, without its length. −1: null, the session's default address holds. */
  addressStart = -1;
  addressEnd = -1;
  /** 16 bytes, −1 when absent. */
  userIdOffset = -1;
  type = 0;
  durable = false;
  /** Absolute ms, 0 never; at most 2^53 − 1. */
  expiration = 0;
  /** ms since 1970, 0 when the sender did not say. */
  timestamp = 0;
  priority = 0;
  /** From the presence byte to behind the last property. */
  propertiesStart = 0;
  propertiesEnd = 0;
  propertyCount = 0;
  /** `_AMQ_ROUTING_TYPE`: 0 multicast, 1 anycast, −1 absent. */
  routingType = -1;
  /** `_AMQ_SCHED_DELIVERY`: absolute ms, 0 absent or no number. */
  scheduledDelivery = 0;
  /** `_AMQ_DUPL_ID`: its tag (4 byte[], 10 string), 0 when absent; the value's bytes without length. */
  duplicateIdTag = 0;
  duplicateIdStart = -1;
  duplicateIdEnd = -1;
  /** `_AMQ_BRIDGE_DUP` (byte[]): the value's bytes without length. */
  bridgeIdStart = -1;
  bridgeIdEnd = -1;
  /** `_EVH_SEQ` (byte[]): the value's bytes without length. */
  producerMarkStart = -1;
  producerMarkEnd = -1;
  /** `_AMQ_GROUP_ID` (string): the value's UTF-16LE bytes. */
  groupIdStart = -1;
  groupIdEnd = -1;
  /** `_AMQ_GROUP_SEQUENCE`: 0 absent or no number. */
  groupSequence = 0;
  /** `_AMQ_LVQ_NAME` (string): the value's UTF-16LE bytes. */
  lastValueStart = -1;
  lastValueEnd = -1;
  /** `_AMQ_LARGE_COMPRESSED`. */
  largeCompressed = false;
  /** `_AMQ_LARGE_SIZE`, −1 absent. */
  largeSize = -1;
  /** `_hornetq.forced.delivery.seq`, −1 absent. */
  forcedDeliverySequence = -1;
}

/**
 * Scans the message `MSG` at `start … end`, checking every length in it against the message's end.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE; `into` is of no use then
 */
export function scanMessage(view: DataView, start: number, end: number, into: MessageScan): void {
  need(4, start, end, "body length");
  const bodyBytes = view.getInt32(start) - bodyLengthOffset;
  const bodyStart = start + 4;
  if (bodyBytes < 0 || bodyBytes > end - bodyStart) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a message: found body length ${bodyBytes}, expected 0 to ${end - bodyStart}`,
    );
  }
  scanHeaders(view, bodyStart + bodyBytes, end, into);
  into.bodyStart = bodyStart;
  into.bodyEnd = bodyStart + bodyBytes;
}

/**
 * Scans message headers `HDR` at `start … end`, as SESS_SEND_LARGE carries them. The body counts as empty.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE; `into` is of no use then
 */
export function scanHeaders(view: DataView, start: number, end: number, into: MessageScan): void {
  into.bodyStart = start;
  into.bodyEnd = start;
  into.messageIdOffset = start;
  need(9, start, end, "message id");
  into.messageId = i64At(view, start);
  let offset = start + 8;
  into.addressStart = -1;
  into.addressEnd = -1;
  if (view.getUint8(offset) !== 0) {
    need(5, offset, end, "address");
    const length = stringLength(
      view,
      offset + 1,
      end,
      limits.askedNameCharactersMax * 2,
      "address",
    );
    into.addressStart = offset + 5;
    into.addressEnd = offset + 5 + length;
    offset += 4 + length;
  }
  offset += 1;
  need(1, offset, end, "user id");
  into.userIdOffset = -1;
  if (view.getUint8(offset) !== 0) {
    need(17, offset, end, "user id");
    into.userIdOffset = offset + 1;
    offset += 16;
  }
  offset += 1;
  need(20, offset, end, "headers");
  into.type = view.getUint8(offset);
  into.durable = view.getUint8(offset + 1) !== 0;
  into.expiration = saturatedI64At(view, offset + 2);
  into.timestamp = saturatedI64At(view, offset + 10);
  into.priority = view.getInt8(offset + 18);
  scanProperties(view, offset + 19, end, into);
  if (into.propertiesEnd !== end) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a message: found ${end - into.propertiesEnd} bytes after its properties, expected none`,
    );
  }
}

function scanProperties(view: DataView, start: number, end: number, into: MessageScan): void {
  clearProperties(into);
  into.propertiesStart = start;
  let offset = start + 1;
  if (view.getUint8(start) !== 0) {
    need(4, offset, end, "property count");
    const count = view.getInt32(offset);
    offset += 4;
    if (count < 0 || count * propertyBytesMin > end - offset) refuseCount(count, end - offset);
    if (count > limits.propertyCountMax) refuseTooMany(count);
    into.propertyCount = count;
    for (let index = 0; index < count; index += 1) {
      const keyLength = stringLength(view, offset, end, end, "property name");
      const keyStart = offset + 4;
      offset = keyStart + keyLength;
      need(1, offset, end, "property tag");
      const tag = view.getUint8(offset);
      offset += 1;
      const valueStart = offset;
      offset += valueBytes(view, tag, offset, end);
      if (isKnownLength(keyLength))
        noteProperty(view, keyStart, keyLength, tag, valueStart, offset, into);
    }
  }
  into.propertiesEnd = offset;
}

/** How many bytes the value of `tag` at `offset` takes, all of them before `end`. */
function valueBytes(view: DataView, tag: number, offset: number, end: number): number {
  let count = 0;
  switch (tag) {
    case valueTags.null:
      return 0;
    case valueTags.boolean:
    case valueTags.byte:
      count = 1;
      break;
    case valueTags.short:
    case valueTags.char:
      count = 2;
      break;
    case valueTags.int:
    case valueTags.float:
      count = 4;
      break;
    case valueTags.long:
    case valueTags.double:
      count = 8;
      break;
    case valueTags.string:
      return 4 + stringLength(view, offset, end, end, "property");
    case valueTags.bytes:
      return 4 + lengthAt(view, offset, end, "property");
    default:
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a property at byte ${offset - 1}: found tag ${tag}, expected 0 or 2 to 11`,
      );
  }
  need(count, offset, end, "property");
  return count;
}

const duplicateIdBytes = propertyNames.duplicateId.length * 2;
const routingTypeBytes = propertyNames.routingType.length * 2;
const scheduledDeliveryBytes = propertyNames.scheduledDelivery.length * 2;
const groupIdBytes = propertyNames.groupId.length * 2;
const producerMarkBytes = propertyNames.producerMark.length * 2;
const largeCompressedBytes = propertyNames.largeCompressed.length * 2;
const largeSizeBytes = propertyNames.largeSize.length * 2;
const forcedDeliveryBytes = propertyNames.forcedDeliverySequence.length * 2;

/**
 * The names that matter differ in length, but for `_AMQ_LVQ_NAME`, which is as long as `_AMQ_GROUP_ID`,
 * `_AMQ_GROUP_SEQUENCE`, which is as long as `_AMQ_SCHED_DELIVERY`, and `_AMQ_BRIDGE_DUP`, which is as long
 * as `_AMQ_LARGE_SIZE`.
 */
function isKnownLength(length: number): boolean {
  return (
    length === routingTypeBytes ||
    length === duplicateIdBytes ||
    length === scheduledDeliveryBytes ||
    length === groupIdBytes ||
    length === producerMarkBytes ||
    length === largeCompressedBytes ||
    length === largeSizeBytes ||
    length === forcedDeliveryBytes
  );
}

/** Keeps what the property says, if a broker cares for it. A repeated name: the last one holds. */
function noteProperty(
  view: DataView,
  keyStart: number,
  keyLength: number,
  tag: number,
  start: number,
  end: number,
  into: MessageScan,
): void {
  switch (keyLength) {
    case routingTypeBytes:
      if (isName(view, keyStart, propertyNames.routingType)) {
        into.routingType = integerAt(view, tag, start, -1);
      }
      return;
    case duplicateIdBytes:
      if (isName(view, keyStart, propertyNames.duplicateId)) {
        const usable = tag === valueTags.bytes || tag === valueTags.string;
        into.duplicateIdTag = usable ? tag : 0;
        into.duplicateIdStart = usable ? start + 4 : -1;
        into.duplicateIdEnd = usable ? end : -1;
      }
      return;
    case scheduledDeliveryBytes:
      if (isName(view, keyStart, propertyNames.scheduledDelivery)) {
        into.scheduledDelivery = timeAt(view, tag, start);
      } else if (isName(view, keyStart, propertyNames.groupSequence)) {
        into.groupSequence = integerAt(view, tag, start, 0);
      }
      return;
    case groupIdBytes: {
      const usable = tag === valueTags.string;
      if (isName(view, keyStart, propertyNames.groupId)) {
        into.groupIdStart = usable ? start + 4 : -1;
        into.groupIdEnd = usable ? end : -1;
      } else if (isName(view, keyStart, propertyNames.lastValueName)) {
        into.lastValueStart = usable ? start + 4 : -1;
        into.lastValueEnd = usable ? end : -1;
      }
      return;
    }
    case producerMarkBytes:
      if (isName(view, keyStart, propertyNames.producerMark)) {
        const usable = tag === valueTags.bytes;
        into.producerMarkStart = usable ? start + 4 : -1;
        into.producerMarkEnd = usable ? end : -1;
      }
      return;
    case largeCompressedBytes:
      if (isName(view, keyStart, propertyNames.largeCompressed)) {
        into.largeCompressed = tag === valueTags.boolean && view.getUint8(start) !== 0;
      }
      return;
    case largeSizeBytes:
      if (isName(view, keyStart, propertyNames.largeSize)) {
        into.largeSize = integerAt(view, tag, start, -1);
      } else if (isName(view, keyStart, propertyNames.bridgeDuplicateId)) {
        const usable = tag === valueTags.bytes;
        into.bridgeIdStart = usable ? start + 4 : -1;
        into.bridgeIdEnd = usable ? end : -1;
      }
      return;
    case forcedDeliveryBytes:
      if (isName(view, keyStart, propertyNames.forcedDeliverySequence)) {
        into.forcedDeliverySequence = integerAt(view, tag, start, -1);
      }
      return;
  }
}

/** An integer property of any width, as the JMS conversions widen it; `absent` for other types. */
function integerAt(view: DataView, tag: number, start: number, absent: number): number {
  switch (tag) {
    case valueTags.byte:
      return view.getInt8(start);
    case valueTags.short:
      return view.getInt16(start);
    case valueTags.int:
      return view.getInt32(start);
    case valueTags.long:
      return saturatedI64At(view, start);
    default:
      return absent;
  }
}

/** A time in whole ms of any number, as Java's `Number.longValue` has it; 0 for other types. */
function timeAt(view: DataView, tag: number, start: number): number {
  const isFraction = tag === valueTags.float || tag === valueTags.double;
  if (!isFraction) return integerAt(view, tag, start, 0);
  const value = tag === valueTags.float ? view.getFloat32(start) : view.getFloat64(start);
  if (Number.isNaN(value)) return 0;
  const inRange = Math.max(-Number.MAX_SAFE_INTEGER, Math.min(value, Number.MAX_SAFE_INTEGER));
  // A negative fraction would become −0.
  return Math.trunc(inRange) + 0;
}

function isName(view: DataView, start: number, name: string): boolean {
  for (let index = 0; index < name.length; index += 1) {
    if (view.getUint16(start + index * 2, true) !== name.charCodeAt(index)) return false;
  }
  return true;
}

function clearProperties(into: MessageScan): void {
  into.propertyCount = 0;
  into.routingType = -1;
  into.scheduledDelivery = 0;
  into.duplicateIdTag = 0;
  into.duplicateIdStart = -1;
  into.duplicateIdEnd = -1;
  into.bridgeIdStart = -1;
  into.bridgeIdEnd = -1;
  into.producerMarkStart = -1;
  into.producerMarkEnd = -1;
  into.groupIdStart = -1;
  into.groupIdEnd = -1;
  into.groupSequence = 0;
  into.lastValueStart = -1;
  into.lastValueEnd = -1;
  into.largeCompressed = false;
  into.largeSize = -1;
  into.forcedDeliverySequence = -1;
}

/** The byte length of the SimpleString at `offset`, which lies wholly before `end`. */
function stringLength(
  view: DataView,
  offset: number,
  end: number,
  max: number,
  what: string,
): number {
  const length = lengthAt(view, offset, end, what);
  if (length > max) {
    throw new ProtocolError(
      "EVH_FRAME_TOO_LARGE",
      `cannot read ${what} at byte ${offset}: found ${length} bytes, the limit is ${max}`,
    );
  }
  if ((length & 1) !== 0) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read ${what} at byte ${offset}: found length ${length}, expected an even number`,
    );
  }
  return length;
}

function lengthAt(view: DataView, offset: number, end: number, what: string): number {
  need(4, offset, end, what);
  const length = view.getInt32(offset);
  if (length < 0 || length > end - offset - 4) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read ${what} at byte ${offset}: found length ${length}, expected 0 to ${end - offset - 4}`,
    );
  }
  return length;
}

function need(count: number, offset: number, end: number, what: string): void {
  if (count <= end - offset) return;
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read ${what} at byte ${offset}: found ${Math.max(0, end - offset)} bytes, expected ${count}`,
  );
}

function refuseCount(count: number, remaining: number): never {
  throw new ProtocolError(
    "EVH_PROTOCOL",
    `cannot read properties: found count ${count}, but only ${remaining} bytes follow`,
  );
}

function refuseTooMany(count: number): never {
  throw new ProtocolError(
    "EVH_FRAME_TOO_LARGE",
    `cannot read properties: found count ${count}, the limit is ${limits.propertyCountMax}`,
  );
}
