import { ProtocolError } from "@everhold/base";
import { i64At, type ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { Field } from "./field.ts";
import { limits } from "./limits.ts";
import { readRepeatedString } from "./repeated-text.ts";
import { readSimpleString, simpleStringBytes, writeSimpleString } from "./text-codec.ts";

/** The tag bytes of typed values. Source: Artemis, `DataConstants`. */
export const valueTags = {
  null: 0,
  boolean: 2,
  byte: 3,
  bytes: 4,
  short: 5,
  int: 6,
  long: 7,
  float: 8,
  double: 9,
  string: 10,
  char: 11,
} as const;

/**
 * A value with the type it has on the wire. `long` is a number within ±(2^53 − 1), else a bigint;
 * `char` is a string of one UTF-16 unit; `bytes` shares the bytes that were read.
 */
export type TypedValue =
  | { readonly type: "null"; readonly value: null }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "byte" | "short" | "int" | "float" | "double"; readonly value: number }
  | { readonly type: "long"; readonly value: number | bigint }
  | { readonly type: "bytes"; readonly value: Uint8Array }
  | { readonly type: "string" | "char"; readonly value: string };

/** Properties by name. Order has no meaning. */
export type TypedProperties = ReadonlyMap<string, TypedValue>;

/** TypedProperties: presence byte, i32 count, entries of S key, u8 tag, value. A repeated key: last wins. */
export const typedProperties: Field<TypedProperties> = {
  shape: { kind: "properties" },
  write: (writer, value) => writeProperties(writer, value),
  read: (reader) => readProperties(reader),
};

/** The fewest bytes of one property: an empty key and the null value. */
export const propertyBytesMin = 5;

/** Appends TypedProperties; an empty map is the single byte 00. @throws RangeError for a value outside its type */
export function writeProperties(writer: ByteWriter, properties: TypedProperties): void {
  if (properties.size === 0) {
    writer.u8(0);
    return;
  }
  writer.u8(1);
  writer.u32(properties.size);
  for (const [name, value] of properties) {
    writeSimpleString(writer, name);
    writer.u8(valueTags[value.type]);
    if (value.type === "string") writeSimpleString(writer, value.value);
    else writeTagged(writer, value, 0x01);
  }
}

/** Reads TypedProperties. @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
export function readProperties(reader: ByteReader): Map<string, TypedValue> {
  const properties = new Map<string, TypedValue>();
  const present = reader.u8();
  if (present === 0) return properties;
  const count = reader.length(limits.propertyCountMax, propertyBytesMin, "properties");
  for (let index = 0; index < count; index += 1) {
    const name = readRepeatedString(reader, limits.valueBytesMax / 2);
    const tag = reader.u8();
    properties.set(
      name,
      tag === valueTags.string
        ? { type: "string", value: readSimpleString(reader, limits.valueBytesMax / 2) }
        : readTagged(reader, tag),
    );
  }
  return properties;
}

/** How many bytes `properties` take. */
export function propertiesBytes(properties: TypedProperties): number {
  if (properties.size === 0) return 1;
  let sum = 5;
  for (const [name, value] of properties) {
    sum += simpleStringBytes(name) + 1 + valueBytes(value);
  }
  return sum;
}

/**
 * Appends the value's bytes after its tag, for every type but string, whose form depends on the place.
 * `trueByte` is 01 in properties and ff in stream bodies. @throws RangeError
 */
export function writeTagged(writer: ByteWriter, typed: TypedValue, trueByte: number): void {
  switch (typed.type) {
    case "null":
      return;
    case "boolean":
      writer.u8(typed.value ? trueByte : 0);
      return;
    case "byte":
      writer.i8(within(typed.value, 0x80, "byte"));
      return;
    case "short":
      writer.i16(within(typed.value, 0x8000, "short"));
      return;
    case "int":
      writer.i32(within(typed.value, 0x8000_0000, "int"));
      return;
    case "long":
      writeLong(writer, typed.value);
      return;
    case "float":
      writer.f32(typed.value);
      return;
    case "double":
      writer.f64(typed.value);
      return;
    case "bytes":
      writer.u32(typed.value.length);
      writer.raw(typed.value);
      return;
    case "char":
      if (typed.value.length !== 1) {
        throw new RangeError(
          `cannot write char: found ${typed.value.length} UTF-16 units, expected 1`,
        );
      }
      writer.u16(typed.value.charCodeAt(0));
      return;
    case "string":
      throw new RangeError(
        "cannot write string: its form depends on the place, which the caller knows",
      );
  }
}

/** Reads the value after `tag`, for every tag but string's. @throws ProtocolError EVH_PROTOCOL */
export function readTagged(reader: ByteReader, tag: number): TypedValue {
  switch (tag) {
    case valueTags.null:
      return { type: "null", value: null };
    case valueTags.boolean:
      return { type: "boolean", value: reader.u8() !== 0 };
    case valueTags.byte:
      return { type: "byte", value: reader.i8() };
    case valueTags.bytes:
      return {
        type: "bytes",
        value: reader.slice(reader.length(limits.valueBytesMax, 1, "byte[]"), "byte[]"),
      };
    case valueTags.short:
      return { type: "short", value: reader.i16() };
    case valueTags.int:
      return { type: "int", value: reader.i32() };
    case valueTags.long:
      return { type: "long", value: readLong(reader) };
    case valueTags.float:
      return { type: "float", value: reader.f32() };
    case valueTags.double:
      return { type: "double", value: reader.f64() };
    case valueTags.char:
      return { type: "char", value: String.fromCharCode(reader.u16()) };
    default:
      throw new ProtocolError(
        "EVH_PROTOCOL",
        `cannot read a typed value at byte ${reader.offset - 1}: found tag ${tag}, expected 0 or 2 to 11`,
      );
  }
}

/** A number where it is exact, which is the fast and the usual case, else a bigint. */
function readLong(reader: ByteReader): number | bigint {
  const start = reader.take(8, "long");
  const value = i64At(reader.view, start);
  return Number.isSafeInteger(value) ? value : reader.view.getBigInt64(start);
}

function writeLong(writer: ByteWriter, value: number | bigint): void {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value))
      throw new RangeError(
        `cannot write long: found ${value}, expected a safe integer or a bigint`,
      );
    writer.i64(value);
    return;
  }
  if (BigInt.asIntN(64, value) !== value)
    throw new RangeError(`cannot write long: found ${value}, expected 64 bits`);
  writer.i64Big(value);
}

function valueBytes(typed: TypedValue): number {
  switch (typed.type) {
    case "null":
      return 0;
    case "boolean":
    case "byte":
      return 1;
    case "short":
    case "char":
      return 2;
    case "int":
    case "float":
      return 4;
    case "long":
    case "double":
      return 8;
    case "bytes":
      return 4 + typed.value.length;
    case "string":
      return simpleStringBytes(typed.value);
  }
}

function within(value: number, end: number, type: string): number {
  if (!Number.isInteger(value) || value < -end || value >= end) {
    throw new RangeError(`cannot write ${type}: found ${value}, expected ${-end} to ${end - 1}`);
  }
  return value;
}
