import { ProtocolError } from "@everhold/base";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { ValueOf } from "./field.ts";
import { amount, bytes, flag, i8, nullable, u8 } from "./fields.ts";
import { limits } from "./limits.ts";
import { bodyLengthOffset } from "./message-scan.ts";
import { optionalAskedName } from "./core-fields.ts";
import { struct } from "./struct.ts";
import { readRepeatedString } from "./repeated-text.ts";
import { propertiesBytes, readProperties, typedProperties } from "./typed-properties.ts";

/** What stands behind a message's body: `HDR`. Source: Artemis, `CoreMessage.encodeHeadersAndProperties`. */
export const messageHeaders = struct({
  messageId: amount,
  address: optionalAskedName,
  userId: nullable(bytes(16)),
  type: u8,
  durable: flag,
  expiration: amount,
  timestamp: amount,
  priority: i8,
  properties: typedProperties,
});

/** A message's headers and properties, decoded. */
export type MessageHeaders = ValueOf<typeof messageHeaders.fields>;

/** A message, decoded. `body` and binary values share the bytes that were read. */
export interface CoreMessage extends MessageHeaders {
  readonly body: Uint8Array;
}

/**
 * Reads the message that fills the reader's range.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
 */
export function readMessage(reader: ByteReader): CoreMessage {
  const bodyBytes = reader.i32() - bodyLengthOffset;
  if (bodyBytes < 0) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a message: found body length ${bodyBytes}, expected 0 or more`,
    );
  }
  const body = reader.slice(bodyBytes, "message body");
  const headers = readHeaders(reader);
  const { messageId, address, userId, type, durable, expiration, timestamp, priority } = headers;
  return {
    messageId,
    address,
    userId,
    type,
    durable,
    expiration,
    timestamp,
    priority,
    properties: headers.properties,
    body,
  };
}

/**
 * Reads the headers that fill the reader's range, as large messages carry them.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
 */
export function readHeaders(reader: ByteReader): MessageHeaders {
  // By hand rather than through the struct, five times as fast; a test holds the two equal.
  const messageId = reader.i64Saturated();
  const address =
    reader.u8() === 0 ? null : readRepeatedString(reader, limits.askedNameCharactersMax);
  const userId = reader.u8() === 0 ? null : reader.slice(16, "user id");
  const headers: MessageHeaders = {
    messageId,
    address,
    userId,
    type: reader.u8(),
    durable: reader.u8() !== 0,
    expiration: reader.i64Saturated(),
    timestamp: reader.i64Saturated(),
    priority: reader.i8(),
    properties: readProperties(reader),
  };
  if (reader.remaining > 0) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read a message: found ${reader.remaining} bytes after its properties, expected none`,
    );
  }
  return headers;
}

/** Appends a whole message. @throws RangeError when a value does not fit its field */
export function writeMessage(writer: ByteWriter, message: CoreMessage): void {
  writer.u32(message.body.length + bodyLengthOffset);
  writer.raw(message.body);
  writeHeaders(writer, message);
}

/** Appends headers and properties. @throws RangeError when a value does not fit its field */
export function writeHeaders(writer: ByteWriter, headers: MessageHeaders): void {
  if (headers.properties.size > limits.propertyCountMax) {
    throw new RangeError(
      `cannot write ${headers.properties.size} properties: the limit is ${limits.propertyCountMax}`,
    );
  }
  messageHeaders.write(writer, headers, 0);
}

/** The message's size on the wire: what producer credits are counted in (its encode size). */
export function messageBytes(message: CoreMessage): number {
  return 4 + message.body.length + headersBytes(message);
}

/** The size of headers and properties on the wire. */
export function headersBytes(headers: MessageHeaders): number {
  const addressBytes = headers.address === null ? 1 : 5 + headers.address.length * 2;
  const userIdBytes = headers.userId === null ? 1 : 17;
  return 8 + addressBytes + userIdBytes + 19 + propertiesBytes(headers.properties);
}
