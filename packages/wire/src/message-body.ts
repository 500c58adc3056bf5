import { ProtocolError } from "@everhold/base";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { limits } from "./limits.ts";
import { readSimpleString, readString, writeString } from "./text-codec.ts";
import {
  propertiesBytes,
  readProperties,
  readTagged,
  valueTags,
  writeProperties,
  writeTagged,
  type TypedProperties,
  type TypedValue,
} from "./typed-properties.ts";

/** The body of a text message, `null` included. Also that of management requests and answers. */
export function encodeTextBody(text: string | null): Uint8Array {
  if (text === null) return new Uint8Array(1);
  const body = new Uint8Array(5 + text.length * 2);
  const view = new DataView(body.buffer);
  body[0] = 1;
  view.setUint32(1, text.length * 2);
  for (let index = 0; index < text.length; index += 1) {
    view.setUint16(5 + index * 2, text.charCodeAt(index), true);
  }
  return body;
}

/** The text of a text message's body; an empty body reads as `null`. @throws ProtocolError EVH_MESSAGE_FORMAT */
export function decodeTextBody(body: Uint8Array): string | null {
  return decoding("text", body, (reader) => {
    if (reader.remaining === 0 || reader.u8() === 0) return null;
    return readSimpleString(reader, limits.valueBytesMax / 2);
  });
}

/** The body of a map message. @throws RangeError when a value does not fit its type */
export function encodeMapBody(map: TypedProperties): Uint8Array {
  const writer = new ByteWriter(propertiesBytes(map));
  writeProperties(writer, map);
  return writer.written();
}

/** The entries of a map message's body. @throws ProtocolError EVH_MESSAGE_FORMAT */
export function decodeMapBody(body: Uint8Array): Map<string, TypedValue> {
  return decoding("map", body, (reader) =>
    reader.remaining === 0 ? new Map<string, TypedValue>() : readProperties(reader),
  );
}

/**
 * The body of a stream message. A null value goes as a null string: JMS programs of Artemis can't read
 * the null tag in streams. @throws RangeError when a value does not fit its type
 */
export function encodeStreamBody(values: readonly TypedValue[]): Uint8Array {
  const writer = new ByteWriter();
  for (const typed of values) {
    if (typed.type === "null") {
      writer.u8(valueTags.string);
      writer.u8(0);
      continue;
    }
    writer.u8(valueTags[typed.type]);
    if (typed.type === "string") {
      writer.u8(1);
      writeString(writer, typed.value);
    } else writeTagged(writer, typed, 0xff);
  }
  return writer.toBytes();
}

/** The values of a stream message's body. A null string is a null value. @throws ProtocolError EVH_MESSAGE_FORMAT */
export function decodeStreamBody(body: Uint8Array): TypedValue[] {
  return decoding("stream", body, (reader) => {
    const values: TypedValue[] = [];
    while (reader.remaining > 0) {
      if (values.length === limits.streamValueCountMax) {
        throw new ProtocolError(
          "EVH_FRAME_TOO_LARGE",
          `cannot read stream: found more than ${limits.streamValueCountMax} values`,
        );
      }
      values.push(readStreamValue(reader));
    }
    return values;
  });
}

/** The body of an object message: opaque bytes (Java serialization for Java clients), `null` for none. */
export function encodeObjectBody(serialized: Uint8Array | null): Uint8Array {
  if (serialized === null) return new Uint8Array(0);
  const writer = new ByteWriter(4 + serialized.length);
  writer.u32(serialized.length);
  writer.raw(serialized);
  return writer.written();
}

/** The bytes of an object message's body, shared with it. @throws ProtocolError EVH_MESSAGE_FORMAT */
export function decodeObjectBody(body: Uint8Array): Uint8Array | null {
  return decoding("object", body, (reader) =>
    reader.remaining === 0
      ? null
      : reader.slice(reader.length(limits.valueBytesMax, 1, "object"), "object"),
  );
}

function readStreamValue(reader: ByteReader): TypedValue {
  const tag = reader.u8();
  if (tag !== valueTags.string) return readTagged(reader, tag);
  if (reader.u8() === 0) return { type: "null", value: null };
  return { type: "string", value: readString(reader, limits.valueBytesMax / 2) };
}

/** Turns what is wrong with the bytes into one error that says which body was asked for. */
function decoding<T>(kind: string, body: Uint8Array, decode: (reader: ByteReader) => T): T {
  try {
    return decode(new ByteReader(body));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new ProtocolError(
      "EVH_MESSAGE_FORMAT",
      `cannot read the body as ${kind}: ${error.message}`,
      {
        cause: error,
      },
    );
  }
}
