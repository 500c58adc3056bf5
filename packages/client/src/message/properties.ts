import { EverholdError } from "@everhold/base";
import type { TypedProperties, TypedValue } from "@everhold/wire";

/**
 * A value of an application's property. A JavaScript number says less than a Java one, so: a whole
 * number of 32 bits is an int, any other safe integer a long, a fraction a double, a bigint a long.
 * {@link typed} asks for another type. Selectors and Java readers depend on it.
 */
export type PropertyValue = string | boolean | number | bigint | Uint8Array | null | TypedProperty;

/** A property with its type said; made by {@link typed}. */
export type TypedProperty =
  | { readonly type: "byte" | "short" | "int" | "float" | "double"; readonly value: number }
  | { readonly type: "long"; readonly value: number | bigint }
  | { readonly type: "char"; readonly value: string };

/** Properties by name, as the application writes them. */
export type Properties = Readonly<Record<string, PropertyValue>>;

/** A property as the application reads it: the value without its type. A long beyond 2^53 is a bigint. */
export type ReceivedValue = string | boolean | number | bigint | Uint8Array | null;

/** Makes properties of the types that a plain value does not name. */
export const typed = {
  /** −128 … 127 */
  byte: (value: number): TypedProperty => ({ type: "byte", value }),
  /** −32 768 … 32 767 */
  short: (value: number): TypedProperty => ({ type: "short", value }),
  /** 32 bits */
  int: (value: number): TypedProperty => ({ type: "int", value }),
  /** 64 bits */
  long: (value: number | bigint): TypedProperty => ({ type: "long", value }),
  /** 32 bits IEEE 754 */
  float: (value: number): TypedProperty => ({ type: "float", value }),
  /** 64 bits IEEE 754, whole numbers too */
  double: (value: number): TypedProperty => ({ type: "double", value }),
  /** One UTF-16 unit */
  char: (value: string): TypedProperty => ({ type: "char", value }),
} as const;

/**
 * The value with the type that it gets on the wire.
 *
 * @throws EverholdError EVH_MESSAGE_FORMAT naming the property
 */
export function toTypedValue(name: string, value: PropertyValue): TypedValue {
  if (value === null) return { type: "null", value };
  switch (typeof value) {
    case "string":
      return { type: "string", value };
    case "boolean":
      return { type: "boolean", value };
    case "number":
      return numberToTyped(value);
    case "bigint":
      return checkLong(name, value);
    case "object":
      return value instanceof Uint8Array ? { type: "bytes", value } : checkTyped(name, value);
    default:
      throw formatError(name, `found a ${typeof value}`);
  }
}

/** The value as the application sees it. */
export function fromTypedValue(value: TypedValue): ReceivedValue {
  return value.value;
}

/** Properties as the application sees them, in a fresh object without those named in `hidden`. */
export function fromTypedProperties(
  properties: TypedProperties,
  hidden?: ReadonlySet<string>,
): Record<string, ReceivedValue> {
  // Without a prototype: a property named "constructor" is one that was sent.
  const result: Record<string, ReceivedValue> = { __proto__: null };
  for (const [name, value] of properties) {
    if (hidden?.has(name) !== true) result[name] = fromTypedValue(value);
  }
  return result;
}

/**
 * Properties as an application writes them, so that sending them gives each the type it had, in a fresh
 * object without those named in `hidden`.
 */
export function withTypes(
  properties: TypedProperties,
  hidden?: ReadonlySet<string>,
): Record<string, PropertyValue> {
  const result: Record<string, PropertyValue> = { __proto__: null };
  for (const [name, value] of properties) {
    if (hidden?.has(name) !== true) result[name] = withType(value);
  }
  return result;
}

/** A value as an application writes it, so that sending it gives it the type it had. */
export function withType(typedValue: TypedValue): PropertyValue {
  switch (typedValue.type) {
    case "null":
    case "boolean":
    case "string":
    case "bytes":
      return typedValue.value;
    case "char":
      return typed.char(typedValue.value);
    default:
      return typedValue;
  }
}

/** A map with the types that its values get on the wire. @throws EverholdError EVH_MESSAGE_FORMAT */
export function toTypedProperties(values: Properties): Map<string, TypedValue> {
  const result = new Map<string, TypedValue>();
  for (const name of Object.keys(values)) {
    const value = values[name];
    if (value !== undefined) result.set(name, toTypedValue(name, value));
  }
  return result;
}

function numberToTyped(value: number): TypedValue {
  // −0 as an int would lose its sign.
  if ((value | 0) === value && !Object.is(value, -0)) return { type: "int", value };
  if (Number.isSafeInteger(value) && value !== 0) return { type: "long", value };
  return { type: "double", value };
}

function checkTyped(name: string, property: TypedProperty): TypedValue {
  switch (property.type) {
    case "byte":
      return { type: "byte", value: checkInteger(name, property.value, 8) };
    case "short":
      return { type: "short", value: checkInteger(name, property.value, 16) };
    case "int":
      return { type: "int", value: checkInteger(name, property.value, 32) };
    case "long":
      return checkLong(name, property.value);
    case "float":
    case "double":
      if (typeof property.value === "number") return { type: property.type, value: property.value };
      throw formatError(name, `found a ${property.type} that is no number`);
    case "char":
      if (property.value.length === 1) return { type: "char", value: property.value };
      throw formatError(name, `found a char of ${property.value.length} units, expected one`);
    default:
      throw formatError(name, "found an object");
  }
}

function checkLong(name: string, value: number | bigint): TypedValue {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw formatError(name, `found the long ${value}, expected a safe integer or a bigint`);
  }
  if (typeof value === "bigint" && BigInt.asIntN(64, value) !== value) {
    throw formatError(name, `found the long ${value}, expected at most 64 bits`);
  }
  return { type: "long", value };
}

function checkInteger(name: string, value: number, bits: number): number {
  const end = 2 ** (bits - 1);
  if (Number.isInteger(value) && value >= -end && value < end) return value;
  throw formatError(name, `found ${value}, expected a whole number of ${bits} bits`);
}

function formatError(name: string, found: string): EverholdError {
  return new EverholdError(
    "EVH_MESSAGE_FORMAT",
    `Cannot write the property "${name}": ${found}; allowed are strings, booleans, numbers, bigints, ` +
      "Uint8Array, null and typed.*()",
  );
}
