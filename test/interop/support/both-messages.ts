import {
  decodeMapBody,
  encodeMapBody,
  encodeObjectBody,
  encodeStreamBody,
  encodeTextBody,
  type TypedValue,
} from "@everhold/wire";
import { typed, type Body, type Message, type PropertyValue, type SendOptions } from "everhold";

import { BothLine } from "./both-line.ts";

/** What Java's serialization writes before the elements of a byte[]. */
const serializedBytesStart = Buffer.from(
  "aced0005757200025b42acf317f8060854e0020000787000000000",
  "hex",
);

/** Whether our client can send what a line describes. */
export function isSendable(line: BothLine): boolean {
  // It has no null text, and its duplicate ids are texts.
  const isNullText = line.text("kind") === "text" && line.find("value")?.type === "null";
  return !isNullText && line.find("duplicate")?.type !== "bytes";
}

/** The body as our client takes it. */
export function bodyOf(line: BothLine): Body {
  const kind = line.text("kind");
  switch (kind) {
    case "none":
      return undefined;
    case "text":
      return line.text("value");
    case "bytes":
      return line.bytes("value");
    case "map":
      return { map: writtenValues(line.under("map.")) };
    case "stream":
      return { stream: [...line.under("stream.").values()].map(written) };
    case "object":
      return { object: objectOf(line) };
    default:
      throw new Error(`cannot make a body: found the kind ${kind}`);
  }
}

/** The body's bytes as they have to be on the wire. */
export function bodyBytesOf(line: BothLine): Uint8Array {
  switch (line.text("kind")) {
    case "text":
      return encodeTextBody(line.text("value"));
    case "bytes":
      return line.bytes("value");
    case "map":
      return encodeMapBody(line.under("map."));
    case "stream":
      return encodeStreamBody([...line.under("stream.").values()]);
    case "object":
      return encodeObjectBody(objectOf(line));
    default:
      return new Uint8Array(0);
  }
}

/** The headers and properties as our client takes them. */
export function optionsOf(line: BothLine, nowMs: number): SendOptions {
  const correlation = line.find("correlation");
  const ttl = line.number("ttl");
  return {
    priority: line.number("priority"),
    durable: line.flag("durable"),
    properties: writtenValues(line.under("property.")),
    ...(ttl === 0 ? {} : { expiresAt: nowMs + ttl }),
    ...(correlation?.type === "string" ? { correlationId: correlation.value } : {}),
    ...(correlation?.type === "bytes" ? { correlationBytes: correlation.value } : {}),
    ...textOption(line, "type", "type"),
    ...textOption(line, "group", "groupId"),
    ...textOption(line, "replyTo", "replyTo"),
    ...textOption(line, "duplicate", "duplicateId"),
  };
}

/** What a message says that our client received, but for its duplicate id, which is not shown. */
export function describeMessage(message: Message): BothLine {
  const line = new BothLine()
    .say("id", message.id)
    .say("address", message.address)
    .say("durable", message.durable)
    .say("priority", message.priority)
    .put("expiration", { type: "long", value: message.expiresAt ?? 0 })
    .put("timestamp", { type: "long", value: message.timestamp })
    .say("body", message.body);
  for (const [name, value] of Object.entries(message.typedProperties)) {
    if (!isTravelNote(name)) line.put(`property.${name}`, read(value));
  }
  const correlation = message.correlationBytes ?? message.correlationId;
  if (correlation !== undefined) line.say("correlation", correlation);
  if (message.type !== undefined) line.say("type", message.type);
  if (message.groupId !== undefined) line.say("group", message.groupId);
  if (message.replyTo !== undefined) line.say("replyTo", message.replyTo);
  describeBody(message, line);
  return line;
}

function describeBody(message: Message, line: BothLine): void {
  line.say("kind", message.bodyKind === "other" ? "none" : message.bodyKind);
  switch (message.bodyKind) {
    case "text":
      line.say("value", message.body.length === 1 ? null : message.text());
      return;
    case "bytes":
      line.say("value", message.body);
      return;
    case "map":
      for (const [name, value] of decodeMapBody(message.body)) line.put(`map.${name}`, value);
      return;
    case "stream":
      message.stream().forEach((value, index) => {
        line.put(`stream.${String(index).padStart(4, "0")}`, read(value));
      });
      return;
    case "object": {
      const object = message.object();
      line.say("value", object === null ? null : object.subarray(serializedBytesStart.length));
      return;
    }
    case "other":
      return;
  }
}

/** How a message travelled is no part of what it says. */
function isTravelNote(name: string): boolean {
  return name === "_AMQ_LARGE_SIZE" || name === "_AMQ_LARGE_COMPRESSED";
}

/** The bytes of a Java byte[] as an object. */
function objectOf(line: BothLine): Uint8Array | null {
  if (line.find("value")?.type === "null") return null;
  const value = line.bytes("value");
  const object = Buffer.concat([serializedBytesStart, value]);
  object.writeUInt32BE(value.length, serializedBytesStart.length - 4);
  return object;
}

function textOption(line: BothLine, name: string, option: string): object {
  const value = line.find(name);
  return value?.type === "string" ? { [option]: value.value } : {};
}

function writtenValues(values: ReadonlyMap<string, TypedValue>): Record<string, PropertyValue> {
  return Object.fromEntries([...values].map(([name, value]) => [name, written(value)]));
}

function written(value: TypedValue): PropertyValue {
  switch (value.type) {
    case "char":
    case "string":
      return value.type === "char" ? typed.char(value.value) : value.value;
    case "null":
    case "boolean":
    case "bytes":
      return value.value;
    default:
      return value;
  }
}

function read(value: PropertyValue): TypedValue {
  if (value === null) return { type: "null", value };
  if (typeof value === "string") return { type: "string", value };
  if (typeof value === "boolean") return { type: "boolean", value };
  if (value instanceof Uint8Array) return { type: "bytes", value };
  if (typeof value === "object") return value;
  throw new Error(`cannot tell the type of ${value}, which came without one`);
}
