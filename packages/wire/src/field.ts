import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

/**
 * One kind of value on the wire or on disk, defined once: how to write it, how to read it, and a
 * {@link Shape} that says the same as data, from which sizes, documents, fingerprints and test values
 * are made. `version` is the protocol version that gates optional tails; own formats may leave it 0.
 */
export interface Field<T> {
  readonly shape: Shape;
  /** @throws RangeError when `value` does not fit the field */
  write(writer: ByteWriter, value: T, version: number): void;
  /** @throws ProtocolError EVH_PROTOCOL, EVH_FRAME_TOO_LARGE */
  read(reader: ByteReader, version: number): T;
}

/** The fields of a struct, in the order in which they are written. */
export type FieldTable = Readonly<Record<string, Field<unknown>>>;

/** The TypeScript type of a field's, a struct's or a table's value. */
export type ValueOf<F> =
  F extends Field<infer T>
    ? T
    : F extends FieldTable
      ? { [Name in keyof F]: F[Name] extends Field<infer T> ? T : never }
      : never;

/** What a field looks like, as data. */
export type Shape =
  | {
      readonly kind: "integer";
      readonly notation: string;
      readonly bytes: number;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: "long" }
  | { readonly kind: "float"; readonly bytes: 4 | 8 }
  | { readonly kind: "boolean"; readonly written: number }
  | { readonly kind: "string"; readonly form: "S" | "Str"; readonly charactersMax: number }
  | { readonly kind: "blob"; readonly bytesMax: number }
  | { readonly kind: "bytes"; readonly count: number }
  | { readonly kind: "rest"; readonly notation: string; readonly after: Shape | undefined }
  | { readonly kind: "nullable"; readonly written: number; readonly inner: Shape }
  | { readonly kind: "list"; readonly item: Shape; readonly countMax: number }
  | { readonly kind: "struct"; readonly fields: readonly NamedShape[] }
  | {
      readonly kind: "since";
      readonly version: number;
      readonly inner: Shape;
      readonly missing: unknown;
    }
  | { readonly kind: "tail"; readonly inner: Shape; readonly missing: unknown }
  | { readonly kind: "maybe"; readonly inner: Shape }
  | {
      readonly kind: "when";
      readonly flag: string;
      readonly equals: boolean;
      readonly inner: Shape;
    }
  | { readonly kind: "properties" }
  | { readonly kind: "parameters" }
  /** A value in the way of another protocol, which says itself how it is read. */
  | { readonly kind: "foreign"; readonly notation: string; readonly bytesMin: number };

/** A field of a struct. */
export interface NamedShape {
  readonly name: string;
  readonly shape: Shape;
}

/** The fewest bytes a value of `shape` takes at `version`. */
export function bytesMin(shape: Shape, version: number): number {
  switch (shape.kind) {
    case "integer":
    case "float":
      return shape.bytes;
    case "long":
      return 8;
    case "boolean":
    case "nullable":
    case "properties":
      return 1;
    case "string":
    case "blob":
    case "list":
    case "parameters":
      return 4;
    case "foreign":
      return shape.bytesMin;
    case "bytes":
      return shape.count;
    case "struct":
      return shape.fields.reduce((sum, field) => sum + bytesMin(field.shape, version), 0);
    case "since":
    case "rest":
    case "tail":
    case "maybe":
    case "when":
      return 0;
  }
}

/** The most bytes a value of `shape` takes at `version`; `Infinity` where only the frame limits it. */
export function bytesMax(shape: Shape, version: number): number {
  switch (shape.kind) {
    case "integer":
    case "float":
      return shape.bytes;
    case "long":
      return 8;
    case "boolean":
      return 1;
    case "string":
      return stringBytesMax(shape.form, shape.charactersMax);
    case "blob":
      return 4 + shape.bytesMax;
    case "bytes":
      return shape.count;
    case "rest":
    case "properties":
    case "parameters":
    case "foreign":
      return Infinity;
    case "nullable":
      return 1 + bytesMax(shape.inner, version);
    case "list":
      return 4 + shape.countMax * bytesMax(shape.item, version);
    case "struct":
      return shape.fields.reduce((sum, field) => sum + bytesMax(field.shape, version), 0);
    case "since":
      return version >= shape.version ? bytesMax(shape.inner, version) : 0;
    case "tail":
    case "maybe":
    case "when":
      return bytesMax(shape.inner, version);
  }
}

/** A shape in the notation of PROTOCOL.md, limits included; equal text means equal bytes. */
export function notationOf(shape: Shape): string {
  switch (shape.kind) {
    case "integer":
      return shape.notation;
    case "long":
      return "i64 (all 64 bits)";
    case "float":
      return shape.bytes === 4 ? "f32" : "f64";
    case "boolean":
      return shape.written === 1 ? "flag" : "bool";
    case "string":
      return `${shape.form}(${shape.charactersMax})`;
    case "blob":
      return `i32 n, n bytes (${shape.bytesMax})`;
    case "bytes":
      return `${shape.count} bytes`;
    case "rest":
    case "foreign":
      return shape.notation;
    case "nullable":
      return `${notationOf(shape.inner)}${shape.written === 1 ? "?" : "? (ff)"}`;
    case "list":
      return `i32 n, n × (${notationOf(shape.item)}) (${shape.countMax})`;
    case "struct":
      return `{${shape.fields.map((field) => `${field.name}: ${notationOf(field.shape)}`).join(", ")}}`;
    case "since":
      return `${notationOf(shape.inner)} since ${shape.version}, else ${String(shape.missing)}`;
    case "tail":
      return `${notationOf(shape.inner)}, may be missing at the end`;
    case "maybe":
      return `${notationOf(shape.inner)} or nothing`;
    case "when":
      return `${notationOf(shape.inner)} if ${shape.equals ? "" : "not "}${shape.flag}`;
    case "properties":
      return "TP";
    case "parameters":
      return "TC parameters";
  }
}

function stringBytesMax(form: "S" | "Str", charactersMax: number): number {
  if (form === "S") return 4 + 2 * charactersMax;
  if (charactersMax < 9) return 4 + 2 * charactersMax;
  // Three bytes a character as UTF up to 4094 characters, two and a second length beyond.
  const utf = 6 + 3 * Math.min(charactersMax, 4094);
  return charactersMax < 4095 ? utf : Math.max(utf, 8 + 2 * charactersMax);
}
