import type { Field, NamedShape, Shape } from "@everhold/wire";
import fc from "fast-check";
import type { MultiPart, MultiResult } from "../protocol/multi.ts";
import * as records from "../protocol/records.ts";

/** Any value of `field` that writing and reading keeps as it is. */
export function valueOf<T>(field: Field<T>): fc.Arbitrary<T> {
  // The shape describes exactly the values of T; a type cannot say so.
  return valueOfShape(field.shape) as fc.Arbitrary<T>;
}

/** Any text that UTF-8 can say. */
const text = fc.string({ unit: "grapheme", maxLength: 20 });

function valueOfShape(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case "integer":
      return shape.min === Number.MIN_SAFE_INTEGER
        ? fc.maxSafeInteger()
        : fc.integer({ min: shape.min, max: shape.max });
    case "long":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    case "boolean":
      return fc.boolean();
    case "list":
      return fc.array(valueOfShape(shape.item), { maxLength: 4 });
    case "struct":
      return structValue(shape.fields);
    case "tail":
      return valueOfShape(shape.inner);
    case "foreign":
      return foreignValue(shape.notation);
    default:
      throw new Error(`no record has ${shape.kind}`);
  }
}

function structValue(fields: readonly NamedShape[]): fc.Arbitrary<unknown> {
  return fc.record(
    Object.fromEntries(fields.map(({ name, shape }) => [name, valueOfShape(shape)])),
    { noNullPrototype: true },
  );
}

function foreignValue(notation: string): fc.Arbitrary<unknown> {
  switch (notation) {
    case "ustring":
      return text;
    case "ustring?":
      return fc.option(text);
    case "buffer":
      return fc.option(fc.uint8Array({ maxLength: 40 }));
    case "multi":
      return fc.array(multiPart, { maxLength: 5 });
    case "multi results":
      return fc.array(multiResult, { maxLength: 5 });
    default:
      throw new Error(`no arbitrary is known for ${notation}`);
  }
}

const multiPart: fc.Arbitrary<MultiPart> = fc.oneof(
  tagged("create", records.createRequest),
  tagged("create2", records.createRequest),
  tagged("createContainer", records.createRequest),
  tagged("createTtl", records.createTtlRequest),
  tagged("setData", records.setDataRequest),
  tagged("delete", records.pathAndVersion),
  tagged("check", records.pathAndVersion),
  tagged("getData", records.pathAndWatch),
  tagged("getChildren", records.pathAndWatch),
);

const multiResult: fc.Arbitrary<MultiResult> = fc.oneof(
  tagged("create", records.pathOnly),
  tagged("create2", records.pathAndStat),
  tagged("setData", records.statOnly),
  fc.constantFrom<MultiResult>({ kind: "delete" }, { kind: "check" }),
  tagged("getData", records.dataAndStat),
  tagged("getChildren", records.childrenOnly),
  tagged("error", records.errorCodeOnly),
);

function tagged<Kind extends string, T extends object>(
  kind: Kind,
  field: Field<T>,
): fc.Arbitrary<{ readonly kind: Kind } & T> {
  return valueOf(field).map((value) => ({ kind, ...value }));
}
