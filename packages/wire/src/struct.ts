import { EverholdError, ProtocolError } from "@everhold/base";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { Field, FieldTable, Shape, ValueOf } from "./field.ts";

/** Named fields one after the other. A struct is a field itself, so structs nest. */
export interface Struct<T extends FieldTable> extends Field<ValueOf<T>> {
  readonly fields: T;
}

/** A struct of the given fields, in the order in which they are listed. */
export function struct<const T extends FieldTable>(fields: T): Struct<T> {
  const entries = Object.entries(fields);
  return {
    fields,
    shape: {
      kind: "struct",
      fields: entries.map(([name, field]) => ({ name, shape: field.shape })),
    },
    write(writer, value, version) {
      const values: Readonly<Record<string, unknown>> = value;
      for (const [name, field] of entries) {
        const { shape } = field;
        if (shape.kind === "when" && !isWanted(shape, values, name)) continue;
        field.write(writer, values[name], version);
      }
    },
    read(reader, version) {
      const values: Record<string, unknown> = {};
      for (const [name, field] of entries) {
        const { shape } = field;
        if (shape.kind === "when" && values[shape.flag] !== shape.equals) values[name] = null;
        else values[name] = readNamed(name, field, reader, version);
      }
      // The one cast that the table needs: each name was read by the field of that name.
      return values as ValueOf<T>;
    },
  };
}

/** A field that exists only when the boolean field `flag`, earlier in the same struct, equals `equals`. */
export function when<T>(flag: string, equals: boolean, inner: Field<T>): Field<T | null> {
  return {
    shape: { kind: "when", flag, equals, inner: inner.shape },
    write(writer, value, version) {
      if (value !== null) inner.write(writer, value, version);
    },
    read: (reader, version) => inner.read(reader, version),
  };
}

/** Appends `value` to `writer`. For our own formats, which have no versions inside a struct. */
export function writeValue<T>(field: Field<T>, writer: ByteWriter, value: T): void {
  field.write(writer, value, 0);
}

/**
 * Reads one value that fills the reader's range; a strict reader refuses anything after it.
 * @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE
 */
export function readValue<T>(field: Field<T>, reader: ByteReader, what: string): T {
  const value = field.read(reader, 0);
  reader.finish(what);
  return value;
}

/** `error` with the place where it happened put before its message. */
export function within(place: string, error: unknown): unknown {
  if (!EverholdError.is(error)) return error;
  return new ProtocolError(error.code, `${place}: ${error.message}`);
}

function readNamed(
  name: string,
  field: Field<unknown>,
  reader: ByteReader,
  version: number,
): unknown {
  try {
    return field.read(reader, version);
  } catch (error) {
    throw within(name, error);
  }
}

function isWanted(
  shape: Shape & { kind: "when" },
  values: Readonly<Record<string, unknown>>,
  name: string,
): boolean {
  const wanted = values[shape.flag] === shape.equals;
  if (wanted !== (values[name] !== null)) {
    throw new RangeError(
      `cannot write ${name}: it must ${wanted ? "have a value" : "be null"} because ${shape.flag} is ${String(values[shape.flag])}`,
    );
  }
  return wanted;
}
