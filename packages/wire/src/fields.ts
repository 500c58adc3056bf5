import { ProtocolError } from "@everhold/base";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { bytesMin, type Field, type Shape } from "./field.ts";
import { readSimpleString, readString, writeSimpleString, writeString } from "./text-codec.ts";

/** An unsigned byte. */
export const u8: Field<number> = {
  shape: { kind: "integer", notation: "u8", bytes: 1, min: 0, max: 0xff },
  write: (writer, value) => writer.u8(inRange(value, 0, 0xff)),
  read: (reader) => reader.u8(),
};

/** A signed byte. */
export const i8: Field<number> = {
  shape: { kind: "integer", notation: "i8", bytes: 1, min: -0x80, max: 0x7f },
  write: (writer, value) => writer.i8(inRange(value, -0x80, 0x7f)),
  read: (reader) => reader.i8(),
};

/** An unsigned 16-bit integer. */
export const u16: Field<number> = {
  shape: { kind: "integer", notation: "u16", bytes: 2, min: 0, max: 0xffff },
  write: (writer, value) => writer.u16(inRange(value, 0, 0xffff)),
  read: (reader) => reader.u16(),
};

/** An unsigned 32-bit integer. */
export const u32: Field<number> = {
  shape: { kind: "integer", notation: "u32", bytes: 4, min: 0, max: 0xffff_ffff },
  write: (writer, value) => writer.u32(inRange(value, 0, 0xffff_ffff)),
  read: (reader) => reader.u32(),
};

/** A signed 32-bit integer. */
export const i32: Field<number> = {
  shape: { kind: "integer", notation: "i32", bytes: 4, min: -0x8000_0000, max: 0x7fff_ffff },
  write: (writer, value) => writer.i32(inRange(value, -0x8000_0000, 0x7fff_ffff)),
  read: (reader) => reader.i32(),
};

/** A signed 64-bit integer within ±(2^53 − 1); reading refuses more. */
export const i64: Field<number> = {
  shape: {
    kind: "integer",
    notation: "i64",
    bytes: 8,
    min: Number.MIN_SAFE_INTEGER,
    max: Number.MAX_SAFE_INTEGER,
  },
  write: (writer, value) =>
    writer.i64(inRange(value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)),
  read: (reader) => reader.i64(),
};

/** An unsigned counter (offset, epoch, sequence) of 64 bits, 0 … 2^53 − 1; reading refuses more. */
export const counter: Field<number> = {
  shape: { kind: "integer", notation: "u53", bytes: 8, min: 0, max: Number.MAX_SAFE_INTEGER },
  write: (writer, value) => writer.i64(inRange(value, 0, Number.MAX_SAFE_INTEGER)),
  read: readCounter,
};

/**
 * A span, a time or an amount of 64 bits of which users choose the size: brought to ±(2^53 − 1) on
 * reading where it is beyond, because "practically for ever" must not end a connection. A strict reader
 * refuses it.
 */
export const amount: Field<number> = {
  shape: i64.shape,
  write: (writer, value, version) => i64.write(writer, value, version),
  read: (reader) => (reader.strict ? reader.i64() : reader.i64Saturated()),
};

/** All of a signed 64-bit integer. */
export const long: Field<bigint> = {
  shape: { kind: "long" },
  write: (writer, value) => writer.i64Big(value),
  read: (reader) => reader.i64Big(),
};

/** A 64-bit IEEE 754 number. */
export const f64: Field<number> = {
  shape: { kind: "float", bytes: 8 },
  write: (writer, value) => writer.f64(value),
  read: (reader) => reader.f64(),
};

/** A boolean of a CORE packet: written ff or 00; any byte but 0 reads as true. */
export const boolean: Field<boolean> = booleanField(0xff);

/** A boolean of message headers and of our own formats: written 01 or 00; any byte but 0 reads as true. */
export const flag: Field<boolean> = booleanField(0x01);

/** A SimpleString (UTF-16LE) of at most `charactersMax` units. */
export function simpleString(charactersMax: number): Field<string> {
  return {
    shape: { kind: "string", form: "S", charactersMax },
    write: (writer, value) => writeSimpleString(writer, withinLimit(value, charactersMax)),
    read: (reader) => readSimpleString(reader, charactersMax),
  };
}

/** A String (three forms) of at most `charactersMax` units. */
export function string(charactersMax: number): Field<string> {
  return {
    shape: { kind: "string", form: "Str", charactersMax },
    write: (writer, value) => writeString(writer, withinLimit(value, charactersMax)),
    read: (reader) => readString(reader, charactersMax),
  };
}

/** i32 length and that many bytes, at most `bytesMax`. Reading gives a view that shares the input. */
export function blob(bytesMax: number): Field<Uint8Array> {
  return {
    shape: { kind: "blob", bytesMax },
    write(writer, value) {
      if (!(value instanceof Uint8Array)) {
        throw new TypeError(`cannot write bytes: found ${typeof value}, expected a Uint8Array`);
      }
      writer.u32(inRange(value.length, 0, bytesMax));
      writer.raw(value);
    },
    read: (reader) => reader.slice(reader.length(bytesMax, 1, "bytes"), "bytes"),
  };
}

/** Exactly `count` bytes. Reading gives a view that shares the input. */
export function bytes(count: number): Field<Uint8Array> {
  return {
    shape: { kind: "bytes", count },
    write(writer, value) {
      inRange(value.length, count, count);
      writer.raw(value);
    },
    read: (reader) => reader.slice(count, "bytes"),
  };
}

/** A presence byte, written 01, then the value; `null` is the byte 00. */
export function nullable<T>(inner: Field<T>): Field<T | null> {
  return nullableField(inner, 0x01);
}

/** As {@link nullable}, but present is written ff, as CORE does for boolean and integer attributes. */
export function optional<T>(inner: Field<T>): Field<T | null> {
  return nullableField(inner, 0xff);
}

/** i32 count and that many items, at most `countMax`. */
export function list<T>(item: Field<T>, countMax: number): Field<readonly T[]> {
  return {
    shape: { kind: "list", item: item.shape, countMax },
    write(writer, value, version) {
      writer.u32(inRange(value.length, 0, countMax));
      for (const one of value) item.write(writer, one, version);
    },
    read(reader, version) {
      const count = reader.length(countMax, Math.max(1, bytesMin(item.shape, version)), "list");
      const items: T[] = [];
      for (let index = 0; index < count; index += 1) items.push(item.read(reader, version));
      return items;
    },
  };
}

/**
 * A field that exists from `version` on. Below it nothing is written and `missing` is read; from it on
 * `missing` is also read where an older peer ended its packet before the field.
 */
export function since<T>(version: number, inner: Field<T>, missing: T): Field<T> {
  return {
    shape: { kind: "since", version, inner: inner.shape, missing },
    write(writer, value, current) {
      if (current >= version) inner.write(writer, value, current);
    },
    read: (reader, current) =>
      current >= version && reader.remaining > 0 ? inner.read(reader, current) : missing,
  };
}

/** A field that is always written, but may be missing at the end of what is read. */
export function tail<T>(inner: Field<T>, missing: T): Field<T> {
  return {
    shape: { kind: "tail", inner: inner.shape, missing },
    write: (writer, value, version) => inner.write(writer, value, version),
    read: (reader, version) => (reader.remaining > 0 ? inner.read(reader, version) : missing),
  };
}

/** A last field that is written only where it has a value, without a presence byte. */
export function maybe<T>(inner: Field<T>): Field<T | null> {
  return {
    shape: { kind: "maybe", inner: inner.shape },
    write(writer, value, version) {
      if (value !== null) inner.write(writer, value, version);
    },
    read: (reader, version) => (reader.remaining > 0 ? inner.read(reader, version) : null),
  };
}

/**
 * All bytes up to what `after` takes at the end of the frame, opaque. `after` must be of fixed size at
 * each version. Reading gives a view that shares the input.
 */
export function rest(
  notation: string,
  after?: (version: number) => number,
  afterShape?: Shape,
): Field<Uint8Array> {
  return {
    shape: { kind: "rest", notation, after: afterShape },
    write: (writer, value) => writer.raw(value),
    read(reader, version) {
      const trailerBytes = after === undefined ? 0 : after(version);
      if (reader.remaining < trailerBytes) {
        throw new ProtocolError(
          "EVH_PROTOCOL",
          `cannot read ${notation} at byte ${reader.offset}: found ${reader.remaining} bytes, expected at least ${trailerBytes}`,
        );
      }
      return reader.slice(reader.remaining - trailerBytes, notation);
    },
  };
}

function booleanField(written: number): Field<boolean> {
  return {
    shape: { kind: "boolean", written },
    write: (writer, value) => writer.u8(value ? written : 0),
    read: (reader) => readPresence(reader, written),
  };
}

function nullableField<T>(inner: Field<T>, written: number): Field<T | null> {
  return {
    shape: { kind: "nullable", written, inner: inner.shape },
    write(writer: ByteWriter, value: T | null, version: number) {
      if (value === null) {
        writer.u8(0);
        return;
      }
      writer.u8(written);
      inner.write(writer, value, version);
    },
    read: (reader, version) => (readPresence(reader, written) ? inner.read(reader, version) : null),
  };
}

function readPresence(reader: ByteReader, written: number): boolean {
  const found = reader.u8();
  if (reader.strict && found !== 0 && found !== written) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read boolean at byte ${reader.offset - 1}: found ${found}, expected 0 or ${written}`,
    );
  }
  return found !== 0;
}

function readCounter(reader: ByteReader): number {
  const start = reader.offset;
  const value = reader.i64();
  if (value < 0) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `cannot read counter at byte ${start}: found ${value}, expected 0 to 2^53 - 1`,
    );
  }
  return value;
}

function inRange(value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`cannot write ${value}: expected an integer from ${min} to ${max}`);
  }
  return value;
}

/** Of what is no text the length is none either, and would end up in the frame's. */
function withinLimit(text: string, charactersMax: number): string {
  if (typeof text !== "string") {
    throw new TypeError(`cannot write text: found ${typeof text}, expected a string`);
  }
  if (text.length > charactersMax) {
    throw new RangeError(
      `cannot write text: found ${text.length} characters, the limit is ${charactersMax}`,
    );
  }
  return text;
}
