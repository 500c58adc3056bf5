import { EverholdError } from "@everhold/base";
import type { WallClock } from "@everhold/env";
import {
  ByteWriter,
  defaultPriority,
  propertyNames,
  simpleString,
  writeProperties,
  type TypedValue,
} from "@everhold/wire";
import { limits } from "../limits.ts";
import { bodyType, isJsonBody, jsonContentType, writeBody, type Body } from "./body.ts";
import { bodyLengthOffset } from "./layout.ts";
import type { BodySource } from "./stream-body.ts";
import { toTypedValue } from "./properties.ts";
import type { MessageOptions, Routing } from "./send-options.ts";
import type { UserIds } from "./user-ids.ts";

/** A message ready to be framed. */
export interface EncodedMessage {
  /** `MSG` of PROTOCOL.md, in memory of its own. */
  readonly bytes: Uint8Array;
  readonly durable: boolean;
  /** Whether the application gave it a duplicate id, so that it may be repeated even without a mark. */
  readonly hasDuplicateId: boolean;
  /** Where the body comes from that follows in parts; `undefined` where it is in `bytes`. */
  readonly source?: BodySource;
  /** Where in `bytes` the producer mark's sequence (u64) goes; −1 when it carries no mark. */
  readonly sequenceAt: number;
}

/** What the messages of one connection share. */
export interface MessageOrigin {
  readonly wallClock: WallClock;
  readonly userIds: UserIds;
  /** `__AMQ_CID`: the client id, or the connection's own. */
  readonly connectionId: TypedValue;
}

/** Where a message goes, and the mark that it carries. */
export interface EncodeTarget {
  readonly address: string;
  readonly routing: Routing;
  /** The 32 bytes of the producer mark; `undefined` for sends that are never repeated. */
  readonly mark: Uint8Array | undefined;
  /** Whether the mark may ride in `_EVH_SEQ` beside an application's duplicate id. */
  readonly markBesideId: boolean;
}

const anycast: TypedValue = { type: "byte", value: 1 };
const multicast: TypedValue = { type: "byte", value: 0 };
const jsonType: TypedValue = { type: "string", value: jsonContentType };
const contentTypeName = "_AMQ_CONTENT_TYPE";
const addressField = simpleString(4096);

/** Properties that have an option of their own, or are the client's to set. */
export const ownPropertyNames: ReadonlySet<string> = new Set<string>([
  propertyNames.routingType,
  propertyNames.connectionId,
  propertyNames.scheduledDelivery,
  propertyNames.groupId,
  propertyNames.correlationId,
  propertyNames.replyTo,
  propertyNames.jmsType,
  propertyNames.duplicateId,
  propertyNames.producerMark,
  propertyNames.forcedDeliverySequence,
  // They describe the bytes as they came, not the body that the application reads and may send on.
  propertyNames.largeCompressed,
  propertyNames.largeSize,
]);

/** One for all: encoding is synchronous and its result is copied out. */
const scratch = new ByteWriter(4096);
/** Small messages share memory: an ArrayBuffer of its own would cost more than all else about one. */
let slab = new Uint8Array(0);
let slabOffset = 0;

/**
 * Writes a message as SESS_SEND carries it. The mark, if any, is the last property, so that its
 * sequence is the last eight bytes and can be set when the message leaves.
 *
 * @throws EverholdError EVH_MESSAGE_FORMAT, EVH_FRAME_TOO_LARGE
 */
export function encodeMessage(
  origin: MessageOrigin,
  target: EncodeTarget,
  body: Body,
  options: MessageOptions,
): EncodedMessage {
  const writer = scratch;
  const durable = durableOf(options);
  const nowMs = origin.wallClock.nowMs();
  const type = bodyType(body);
  const properties = messageProperties(origin, target, body, options, nowMs);
  const hasMark = addMark(properties, target, options);
  // Before a buffer grows for it.
  if (body instanceof Uint8Array) checkSize(body.length);
  else if (typeof body === "string") checkSize(body.length * 2);
  writer.clear();
  writer.u32(0);
  writeBody(writer, body);
  writer.patchU32(0, writer.offset - 4 + bodyLengthOffset);
  writer.i64(0);
  writer.u8(1);
  addressField.write(writer, target.address, 0);
  writer.u8(1);
  origin.userIds.write(writer);
  writer.u8(type);
  writer.u8(durable ? 1 : 0);
  writer.i64(expirationMs(options, nowMs));
  writer.i64(options.timestamp === false ? 0 : nowMs);
  writer.u8(priorityOf(options));
  writeProperties(writer, properties);
  checkSize(writer.offset);
  const bytes = keep(writer);
  const sequenceAt = hasMark ? bytes.length - 8 : -1;
  return { bytes, durable, hasDuplicateId: options.duplicateId !== undefined, sequenceAt };
}

/** What was written, in memory that stays as it is. */
function keep(writer: ByteWriter): Uint8Array {
  const length = writer.offset;
  if (length > limits.sharedMessageBytesMax) return writer.toBytes();
  if (slabOffset + length > slab.length) {
    slab = new Uint8Array(limits.messageSlabBytes);
    slabOffset = 0;
  }
  const bytes = slab.subarray(slabOffset, slabOffset + length);
  bytes.set(writer.written());
  slabOffset += length;
  return bytes;
}

/** @throws EverholdError EVH_FRAME_TOO_LARGE */
export function checkSize(messageBytes: number): void {
  const max = limits.messageBytesMax;
  if (messageBytes <= max) return;
  // A buffer that grew for a message that is refused anyway is not worth keeping.
  scratch.attach(new Uint8Array(4096));
  throw new EverholdError(
    "EVH_FRAME_TOO_LARGE",
    `Cannot send the message: found ${messageBytes} bytes, at most ${max} fit a broker's frame`,
  );
}

function messageProperties(
  origin: MessageOrigin,
  target: EncodeTarget,
  body: Body,
  options: MessageOptions,
  nowMs: number,
): Map<string, TypedValue> {
  const properties = new Map<string, TypedValue>();
  properties.set(propertyNames.routingType, target.routing === "anycast" ? anycast : multicast);
  properties.set(propertyNames.connectionId, origin.connectionId);
  if (isJsonBody(body)) properties.set(contentTypeName, jsonType);
  const deliverAtMs = deliveryMs(options, nowMs);
  if (deliverAtMs !== undefined) {
    properties.set(propertyNames.scheduledDelivery, { type: "long", value: deliverAtMs });
  }
  setText(properties, propertyNames.groupId, options.groupId);
  setText(properties, propertyNames.lastValueName, options.lastValue);
  const { groupSequence } = options;
  if (groupSequence !== undefined) {
    if (!Number.isInteger(groupSequence) || Math.abs(groupSequence) > 0x7fff_ffff) {
      throw formatError(
        `found the group sequence ${groupSequence}, expected a whole number of 32 bits`,
      );
    }
    properties.set(propertyNames.groupSequence, { type: "int", value: groupSequence });
  }
  const { correlationBytes } = options;
  if (correlationBytes === undefined) {
    setText(properties, propertyNames.correlationId, options.correlationId);
  } else properties.set(propertyNames.correlationId, { type: "bytes", value: correlationBytes });
  setText(properties, propertyNames.replyTo, replyAddress(options.replyTo));
  setText(properties, propertyNames.jmsType, options.type);
  if (options.properties === undefined) return properties;
  if (typeof options.properties !== "object" || options.properties === null) {
    throw formatError(`found properties of type ${typeof options.properties}, expected an object`);
  }
  for (const name of Object.keys(options.properties)) {
    const value = options.properties[name];
    if (value === undefined) continue;
    if (ownPropertyNames.has(name)) throw ownNameError(name);
    properties.set(name, toTypedValue(name, value));
  }
  return properties;
}

/** Adds the duplicate id and, last of all, the mark; returns whether there is one. */
function addMark(
  properties: Map<string, TypedValue>,
  target: EncodeTarget,
  options: MessageOptions,
): boolean {
  const mark = options.durable === false ? undefined : target.mark;
  setText(properties, propertyNames.duplicateId, options.duplicateId);
  if (mark === undefined) return false;
  if (options.duplicateId === undefined) {
    properties.set(propertyNames.duplicateId, { type: "bytes", value: mark });
    return true;
  }
  if (!target.markBesideId) return false;
  properties.set(propertyNames.producerMark, { type: "bytes", value: mark });
  return true;
}

function setText(
  properties: Map<string, TypedValue>,
  name: string,
  value: string | undefined,
): void {
  if (value === undefined) return;
  if (typeof value !== "string") {
    throw formatError(`found ${name} of type ${typeof value}, expected a string`);
  }
  properties.set(name, { type: "string", value });
}

/** JMS reads a destination only with its kind before it. */
function replyAddress(replyTo: string | undefined): string | undefined {
  if (typeof replyTo !== "string" || replyTo.includes("://")) return replyTo;
  return `queue://${replyTo}`;
}

function durableOf(options: MessageOptions): boolean {
  const durable = options.durable ?? true;
  if (typeof durable === "boolean") return durable;
  throw formatError(`found durable of type ${typeof durable}, expected a boolean`);
}

function priorityOf(options: MessageOptions): number {
  const priority = options.priority ?? defaultPriority;
  if (Number.isInteger(priority) && priority >= 0 && priority <= 9) return priority;
  throw formatError(`found the priority ${priority}, expected 0 to 9`);
}

function expirationMs(options: MessageOptions, nowMs: number): number {
  if (options.expiresAt !== undefined) return timeMs("expiresAt", options.expiresAt);
  if (options.ttl === undefined || options.ttl === Infinity) return 0;
  return nowMs + Math.max(1, spanMs("ttl", options.ttl));
}

function deliveryMs(options: MessageOptions, nowMs: number): number | undefined {
  if (options.deliverAt !== undefined) return timeMs("deliverAt", options.deliverAt);
  if (options.delay === undefined || options.delay === 0) return undefined;
  return nowMs + spanMs("delay", options.delay);
}

function timeMs(name: string, time: number | { getTime(): number }): number {
  return spanMs(name, typeof time === "number" ? time : time.getTime());
}

function spanMs(name: string, value: number): number {
  const whole = Math.ceil(value);
  if (Number.isSafeInteger(whole) && whole >= 0) return whole;
  throw formatError(`found ${name} of ${value}, expected 0 or more milliseconds`);
}

function ownNameError(name: string): EverholdError {
  return formatError(`found the property ${name}, which the client sets itself; use its option`);
}

function formatError(found: string): EverholdError {
  return new EverholdError("EVH_MESSAGE_FORMAT", `Cannot send the message: ${found}`);
}
