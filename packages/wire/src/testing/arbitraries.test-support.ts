import fc from "fast-check";
import type { Field, NamedShape, Shape } from "../field.ts";
import type { TypedValue } from "../typed-properties.ts";

/** Lengths around which a String changes its form, and one well beyond. */
const boundaryLengths = [0, 1, 8, 9, 10, 4094, 4095, 4096];

/** Any UTF-16 text, lone surrogates and NUL included, mostly short, now and then at a boundary. */
export function text(charactersMax: number): fc.Arbitrary<string> {
  const unit = fc.oneof(
    fc.integer({ min: 0x20, max: 0x7e }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xd83d, 0xde00, 0xffff),
  );
  const short = fc
    .array(unit, { maxLength: Math.min(charactersMax, 20) })
    .map((units) => String.fromCharCode(...units));
  const boundary = fc
    .tuple(unit, fc.constantFrom(...boundaryLengths.filter((length) => length <= charactersMax)))
    .map(([one, length]) => String.fromCharCode(one).repeat(length));
  return fc.oneof({ weight: 15, arbitrary: short }, { weight: 1, arbitrary: boundary });
}

/** Any typed value that writing and reading keeps as it is. */
export const typedValue: fc.Arbitrary<TypedValue> = fc.oneof(
  fc.constant<TypedValue>({ type: "null", value: null }),
  fc.boolean().map((value): TypedValue => ({ type: "boolean", value })),
  fc.integer({ min: -0x80, max: 0x7f }).map((value): TypedValue => ({ type: "byte", value })),
  fc.integer({ min: -0x8000, max: 0x7fff }).map((value): TypedValue => ({ type: "short", value })),
  fc.integer().map((value): TypedValue => ({ type: "int", value })),
  fc.maxSafeInteger().map((value): TypedValue => ({ type: "long", value })),
  fc
    .bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n })
    .map((value): TypedValue => ({ type: "long", value })),
  fc
    .bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) })
    .map((value): TypedValue => ({ type: "long", value })),
  fc.float().map((value): TypedValue => ({ type: "float", value })),
  fc.double().map((value): TypedValue => ({ type: "double", value })),
  fc.uint8Array({ maxLength: 20 }).map((value): TypedValue => ({ type: "bytes", value })),
  text(64).map((value): TypedValue => ({ type: "string", value })),
  fc
    .integer({ min: 0, max: 0xffff })
    .map((unit): TypedValue => ({ type: "char", value: String.fromCharCode(unit) })),
);

/** Any properties: a few, with distinct names. */
export const properties: fc.Arbitrary<ReadonlyMap<string, TypedValue>> = fc
  .array(fc.tuple(text(12), typedValue), { maxLength: 6 })
  .map((entries) => new Map(entries));

const connectorParameters = fc
  .array(
    fc.tuple(
      text(12),
      fc.oneof(
        fc.boolean().map((value) => ({ type: "boolean", value })),
        fc.integer().map((value) => ({ type: "int", value })),
        fc.maxSafeInteger().map((value) => ({ type: "long", value })),
        text(20).map((value) => ({ type: "string", value })),
      ),
    ),
    { maxLength: 4 },
  )
  .map((entries) => new Map(entries));

/** Any value of `field` that writing and reading at `version` keeps as it is. */
export function valueOf<T>(field: Field<T>, version: number): fc.Arbitrary<T> {
  // The shape describes exactly the values of T; a type cannot say so.
  return valueOfShape(field.shape, version) as fc.Arbitrary<T>;
}

function valueOfShape(shape: Shape, version: number): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case "integer":
      return fc.oneof(
        shape.min === Number.MIN_SAFE_INTEGER
          ? fc.maxSafeInteger()
          : fc.integer({ min: shape.min, max: shape.max }),
        fc.constantFrom(shape.min, shape.max, Math.max(shape.min, -1), 0, 1),
      );
    case "long":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "float":
      return shape.bytes === 4 ? fc.float() : fc.double();
    case "boolean":
      return fc.boolean();
    case "string":
      return text(shape.charactersMax);
    case "blob":
      return fc.uint8Array({ maxLength: Math.min(shape.bytesMax, 40) });
    case "bytes":
      return fc.uint8Array({ minLength: shape.count, maxLength: shape.count });
    case "rest":
      return fc.uint8Array({ minLength: 34, maxLength: 120 });
    case "nullable":
    case "maybe":
      return fc.option(valueOfShape(shape.inner, version));
    case "list":
      return fc.array(valueOfShape(shape.item, version), {
        maxLength: Math.min(shape.countMax, 4),
      });
    case "struct":
      return structValue(shape.fields, version);
    case "since":
      return version >= shape.version
        ? valueOfShape(shape.inner, version)
        : fc.constant(shape.missing);
    case "tail":
    case "when":
      return valueOfShape(shape.inner, version);
    case "properties":
      return properties;
    case "parameters":
      return connectorParameters;
    case "foreign":
      throw new Error(`no arbitrary is known for ${shape.notation}`);
  }
}

/** A value for each field; those under a flag that does not hold are null. */
function structValue(
  fields: readonly NamedShape[],
  version: number,
): fc.Arbitrary<Record<string, unknown>> {
  const values = fields.map((field) => valueOfShape(field.shape, version));
  return fc.tuple(...values).map((row) => {
    const value: Record<string, unknown> = {};
    fields.forEach(({ name, shape }, index) => {
      const holds = shape.kind !== "when" || value[shape.flag] === shape.equals;
      value[name] = holds ? row[index] : null;
    });
    return value;
  });
}
