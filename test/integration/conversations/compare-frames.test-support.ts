import {
  ByteReader,
  decodePacket,
  decodeTextBody,
  packetById,
  packets,
  readHeaders,
  readMessage,
  readPacketHeader,
  type MessageHeaders,
} from "@everhold/wire";

import { packetNameOf } from "./conversation.ts";

/** Packets that come by the clock. */
export const notCompared: ReadonlySet<string> = new Set(["PING", "PACKETS_CONFIRMED"]);

/** Fields that are each broker's own. */
const ownFields = new Set(["messageId", "nodeId", "eventId"]);

/** In what two answers to the same request differ, as `PACKET.field: theirs → ours`. */
export function differencesBetween(
  theirs: Uint8Array,
  ours: Uint8Array,
  version: number,
): string[] {
  const [theirName, ourName] = [packetNameOf(theirs), packetNameOf(ours)];
  if (theirName !== ourName) return [`${theirName} → ${ourName}`];
  const [theirFields, ourFields] = [fieldsOf(theirs, version), fieldsOf(ours, version)];
  return [...new Set([...theirFields.keys(), ...ourFields.keys()])]
    .filter((field) => !ownFields.has(field) && theirFields.get(field) !== ourFields.get(field))
    .map((field) => {
      const [one, other] = [theirFields.get(field), ourFields.get(field)];
      return `${theirName}.${field}: ${one ?? "none"} → ${other ?? "none"}`;
    });
}

/** The broker's id of the message that a frame delivers. */
export function messageIdOf(frame: Uint8Array, version: number): number | undefined {
  const reader = new ByteReader(frame);
  switch (readPacketHeader(reader).id) {
    case packets.receive.id: {
      const { message } = decodePacket(packets.receive, reader, version);
      return readMessage(new ByteReader(message)).messageId;
    }
    case packets.receiveLarge.id: {
      const { headers } = decodePacket(packets.receiveLarge, reader, version);
      return readHeaders(new ByteReader(headers)).messageId;
    }
    default:
      return undefined;
  }
}

/** The consumer that a frame delivers to. */
export function consumerIdOf(frame: Uint8Array): number | undefined {
  const reader = new ByteReader(frame);
  switch (readPacketHeader(reader).id) {
    case packets.receive.id:
      return decodePacket(packets.receive, reader, 0).consumerId;
    case packets.receiveLarge.id:
      return decodePacket(packets.receiveLarge, reader, 0).consumerId;
    case packets.receiveContinuation.id:
      return decodePacket(packets.receiveContinuation, reader, 0).consumerId;
    default:
      return undefined;
  }
}

/** Every field of a frame as text, messages taken apart. */
function fieldsOf(frame: Uint8Array, version: number): Map<string, string> {
  const fields = new Map<string, string>();
  const reader = new ByteReader(frame);
  const { id } = readPacketHeader(reader);
  const definition = packetById(id);
  if (definition === undefined) return fields.set("bytes", textOf(frame));
  if (id === packets.exception.id) {
    const { code, correlationId } = decodePacket(packets.exception, reader, version);
    return fields.set("code", String(code)).set("correlationId", String(correlationId));
  }
  for (const [name, value] of Object.entries(decodePacket(definition, reader, version))) {
    const isMessage = id === packets.receive.id || id === packets.send.id;
    if (isMessage && value instanceof Uint8Array) {
      const { body, ...headers } = readMessage(new ByteReader(value));
      fields.set("body", headers.type === 3 ? String(decodeTextBody(body)) : textOf(body));
      addHeaders(fields, headers);
    } else if (isLargeHead(id) && value instanceof Uint8Array) {
      addHeaders(fields, readHeaders(new ByteReader(value)));
    } else addField(fields, name, value);
  }
  return fields;
}

function isLargeHead(id: number): boolean {
  return id === packets.receiveLarge.id || id === packets.sendLarge.id;
}

function addHeaders(fields: Map<string, string>, headers: MessageHeaders): void {
  const { properties, ...rest } = headers;
  for (const [name, value] of Object.entries(rest)) addField(fields, name, value);
  for (const [name, { type, value }] of properties) {
    fields.set(`property ${name}`, `${type} ${textOf(value)}`);
  }
}

function addField(fields: Map<string, string>, name: string, value: unknown): void {
  const isStruct =
    typeof value === "object" &&
    value !== null &&
    !(value instanceof Uint8Array) &&
    !Array.isArray(value) &&
    !(value instanceof Map);
  if (!isStruct) {
    fields.set(name, textOf(value));
    return;
  }
  for (const [part, inner] of Object.entries(value)) addField(fields, `${name}.${part}`, inner);
}

function textOf(value: unknown): string {
  // Lists have no order that means something.
  if (Array.isArray(value)) return JSON.stringify(value.toSorted());
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value instanceof Map) return JSON.stringify([...value]);
  return typeof value === "string" ? value : JSON.stringify(value);
}
