import {
  ByteWriter,
  encodeTextBody,
  messageTypes,
  writeHeaders,
  writeMessage,
  type NamedShape,
  type PacketDefinition,
  type Shape,
  type CoreMessage,
} from "@everhold/wire";

import { version } from "./raw-client.test-support.ts";

/** The bytes of a durable text message. */
export function messageTo(address: string | null, choices: Partial<CoreMessage> = {}): Uint8Array {
  const writer = new ByteWriter();
  writeMessage(writer, { ...headersTo(address), body: encodeTextBody("text"), ...choices });
  return writer.toBytes();
}

/** A valid body of a packet, with every optional field present. */
export function sampleBody(definition: PacketDefinition): Uint8Array {
  const writer = new ByteWriter();
  const { shape } = definition.body;
  const value = shape.kind === "struct" ? sampleStruct(shape.fields) : {};
  definition.body.write(writer, value, version);
  return writer.toBytes();
}

function headersTo(address: string | null): Omit<CoreMessage, "body"> {
  return {
    messageId: 0,
    address,
    userId: null,
    type: messageTypes.text,
    durable: true,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    properties: new Map([
      ["_AMQ_ROUTING_TYPE", { type: "byte", value: 1 }],
      ["colour", { type: "string", value: "red" }],
    ]),
  };
}

function sampleStruct(fields: readonly NamedShape[]): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const { name, shape } of fields) {
    const isAbsent = shape.kind === "when" && value[shape.flag] !== shape.equals;
    value[name] = isAbsent ? null : sample(shape, name);
  }
  return value;
}

function sample(shape: Shape, name: string): unknown {
  switch (shape.kind) {
    case "integer":
      return Math.min(shape.max, Math.max(shape.min, name === "clientVersion" ? version : 1));
    case "long":
    case "float":
      return 1;
    case "boolean":
      return true;
    case "string":
      return "nowhere";
    case "blob":
      return new Uint8Array(8);
    case "bytes":
      return new Uint8Array(shape.count);
    case "rest":
      return shape.notation === "HDR" ? headerBytes() : messageTo("nowhere");
    case "nullable":
    case "since":
    case "tail":
    case "maybe":
    case "when":
      return sample(shape.inner, name);
    case "list":
      return [sample(shape.item, name)];
    case "struct":
      return sampleStruct(shape.fields);
    case "properties":
    case "parameters":
      return new Map();
  }
}

function headerBytes(): Uint8Array {
  const writer = new ByteWriter();
  writeHeaders(writer, headersTo("nowhere"));
  return writer.toBytes();
}
