import { ProtocolError } from "@everhold/base";
import { bytesMin, type ByteReader, type ByteWriter, type Field } from "@everhold/wire";

/** The length of a text, buffer or vector that is null. */
const nullLength = -1;

const encoder = new TextEncoder();
// A byte order mark is a part of a name, and a name that is no UTF-8 must not end the connection that lists it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A text that may be null: i32 length, −1 for null, then UTF-8. */
export const nullableText: Field<string | null> = {
  shape: { kind: "foreign", notation: "ustring?", bytesMin: 4 },
  write(writer, value) {
    if (value === null) writer.i32(nullLength);
    else writeText(writer, value);
  },
  read: readText,
};

/** A text: i32 length, then UTF-8. Reading refuses null. */
export const text: Field<string> = {
  shape: { kind: "foreign", notation: "ustring", bytesMin: 4 },
  write: (writer, value) => writeText(writer, value),
  read(reader) {
    const start = reader.offset;
    const value = readText(reader);
    if (value === null) {
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a text at byte ${start}: found null, expected a text`,
      );
    }
    return value;
  },
};

/** Bytes that may be null, which is not the same as none: i32 length, −1 for null. Reading gives a copy. */
export const buffer: Field<Uint8Array | null> = {
  shape: { kind: "foreign", notation: "buffer", bytesMin: 4 },
  write(writer, value) {
    if (value === null) {
      writer.i32(nullLength);
      return;
    }
    writer.i32(value.length);
    writer.raw(value);
  },
  read(reader) {
    const length = readLength(reader, 1, "a buffer");
    return length === nullLength ? null : reader.copy(length, "a buffer");
  },
};

/** A count and that many items. Null, which no server sends on purpose, reads as none. */
export function vector<T>(item: Field<T>): Field<readonly T[]> {
  return {
    shape: { kind: "list", item: item.shape, countMax: Infinity },
    write(writer, value, version) {
      writer.i32(value.length);
      for (const one of value) item.write(writer, one, version);
    },
    read(reader, version) {
      const count = readLength(reader, Math.max(1, bytesMin(item.shape, version)), "a vector");
      const items: T[] = [];
      for (let index = 0; index < count; index += 1) items.push(item.read(reader, version));
      return items;
    },
  };
}

function writeText(writer: ByteWriter, value: string): void {
  const bytes = encoder.encode(value);
  writer.i32(bytes.length);
  writer.raw(bytes);
}

function readText(reader: ByteReader): string | null {
  const length = readLength(reader, 1, "a text");
  return length === nullLength ? null : decoder.decode(reader.slice(length, "a text"));
}

/** −1, or a length that the bytes which are there can hold: nothing is allocated for one that lies. */
function readLength(reader: ByteReader, unitBytes: number, what: string): number {
  const start = reader.offset;
  if (reader.i32() === nullLength) return nullLength;
  reader.offset = start;
  return reader.length(Infinity, unitBytes, what);
}
