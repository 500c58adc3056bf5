import assert from "node:assert/strict";
import { test } from "node:test";

import type { TypedValue } from "@everhold/wire";
import fc from "fast-check";

import { messageOf } from "../testing/test-client.test-support.ts";
import { evaluate } from "./evaluate.ts";
import { MessageSource } from "./message-source.ts";
import { parseSelector } from "./parser.ts";

/** A value with Java's name of its type. */
type Value =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "int" | "long"; readonly value: bigint }
  | { readonly type: "float" | "double"; readonly value: number };

type Verdict = "true" | "false" | "unknown";

/** A selector together with what the specification says of it, told without looking at the other side. */
interface Sample {
  readonly text: string;
  readonly of: (message: ReadonlyMap<string, Value>) => Verdict;
}

interface Operand {
  readonly text: string;
  readonly of: (message: ReadonlyMap<string, Value>) => Value | undefined;
}

const names = ["a", "b", "c", "d"] as const;
const smallTexts = fc.string({ unit: fc.constantFrom("x", "y", "%", "_", "'"), maxLength: 3 });
const ints = fc.oneof(
  fc.bigInt({ min: -4n, max: 4n }),
  fc.constantFrom(0x7fff_ffffn, -0x8000_0000n, 16_777_217n),
);
const longs = fc.oneof(
  fc.bigInt({ min: -4n, max: 4n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 2n ** 53n + 2n ** 29n + 1n),
);
const fractions = fc.constantFrom(0, 0.5, -0.5, 0.1, 1, 2, 3, 16_777_216, 2 ** 53, 1e10);

const values: fc.Arbitrary<Value> = fc.oneof(
  smallTexts.map((value) => ({ type: "string" as const, value })),
  fc.boolean().map((value) => ({ type: "boolean" as const, value })),
  ints.map((value) => ({ type: "int" as const, value })),
  longs.map((value) => ({ type: "long" as const, value })),
  fractions.map((value) => ({ type: "float" as const, value: Math.fround(value) })),
  fractions.map((value) => ({ type: "double" as const, value })),
);

const messages = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...names), values), { selector: ([name]) => name })
  .map((entries) => new Map<string, Value>(entries));

function literal(value: Value): string {
  switch (value.type) {
    case "string":
      return quote(value.value);
    case "boolean":
      return value.value ? "TRUE" : "false";
    case "int":
      return String(value.value);
    case "long":
      return `${value.value}L`;
    case "float":
      return `${exponent(value.value)}f`;
    case "double":
      return exponent(value.value);
  }
}

function exponent(value: number): string {
  return value.toExponential();
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const numbersOnly = values.filter(({ type }) => type !== "string" && type !== "boolean");

/** A number or a name, and what is computed from such. */
const numeric: fc.Memo<Operand> = fc.memo((depth) => {
  const leaves = fc.oneof(
    fc.constantFrom(...names).map((name) => ({
      text: name as string,
      of: (message: ReadonlyMap<string, Value>) => message.get(name),
    })),
    numbersOnly.map((value) => ({ text: literal(value), of: () => value })),
  );
  if (depth <= 1) return leaves;
  return fc.oneof(
    leaves,
    fc
      .tuple(numeric(depth - 1), fc.constantFrom("+", "-", "*", "/"), numeric(depth - 1))
      .map(([left, operator, right]) => ({
        text: `(${left.text} ${operator} ${right.text})`,
        of: (message: ReadonlyMap<string, Value>) =>
          computed(operator, left.of(message), right.of(message)),
      })),
    numeric(depth - 1).map((operand) => ({
      text: `(- ${operand.text})`,
      of: (message: ReadonlyMap<string, Value>) =>
        computed("-", { type: "int", value: 0n }, operand.of(message)),
    })),
  );
});

const anyOperand = fc.oneof(
  numeric(2),
  values.map((value) => ({ text: literal(value), of: () => value })),
);

const simple: fc.Arbitrary<Sample> = fc.oneof(
  fc
    .tuple(anyOperand, fc.constantFrom("=", "<>"), anyOperand)
    .map(([left, operator, right]) => compared(left, operator, right)),
  fc
    .tuple(numeric(2), fc.constantFrom("<", "<=", ">", ">="), numeric(2))
    .map(([left, operator, right]) => compared(left, operator, right)),
  fc
    .tuple(numeric(2), fc.boolean(), numeric(2), numeric(2))
    .map(([operand, negated, low, high]) => ({
      text: `${operand.text} ${negated ? "NOT " : ""}BETWEEN ${low.text} AND ${high.text}`,
      of: (message: ReadonlyMap<string, Value>) => {
        const first = compared(operand, negated ? "<" : ">=", low).of(message);
        const second = compared(operand, negated ? ">" : "<=", high).of(message);
        return negated ? or(first, second) : and(first, second);
      },
    })),
  fc
    .tuple(fc.constantFrom(...names), fc.boolean(), fc.array(smallTexts, { minLength: 1 }))
    .map(([name, negated, choices]) => ({
      text: `${name} ${negated ? "NOT " : ""}IN (${choices.map(quote).join(", ")})`,
      of: (message: ReadonlyMap<string, Value>) => {
        const value = message.get(name);
        if (value === undefined) return "unknown";
        const found = choices.some((choice) => choice === value.value);
        return found === negated ? "false" : "true";
      },
    })),
  fc.tuple(fc.constantFrom(...names), fc.boolean(), smallTexts).map(([name, negated, pattern]) => ({
    text: `${name} ${negated ? "NOT " : ""}LIKE ${quote(pattern)}`,
    of: (message: ReadonlyMap<string, Value>) => {
      const value = message.get(name);
      if (value === undefined) return "unknown";
      const found = value.type === "string" && isLike([...value.value], [...pattern]);
      return found === negated ? "false" : "true";
    },
  })),
  fc.tuple(fc.constantFrom(...names), fc.boolean()).map(([name, negated]) => ({
    text: `${name} IS ${negated ? "NOT " : ""}NULL`,
    of: (message: ReadonlyMap<string, Value>) => (message.has(name) === negated ? "true" : "false"),
  })),
  fc.constantFrom(...names).map((name) => ({
    text: name,
    of: (message: ReadonlyMap<string, Value>) => {
      const value = message.get(name);
      if (value === undefined) return "unknown";
      return value.value === true ? "true" : "false";
    },
  })),
);

const samples: fc.Memo<Sample> = fc.memo((depth) => {
  if (depth <= 1) return simple;
  return fc.oneof(
    simple,
    samples(depth - 1).map((operand) => ({
      text: `NOT ${operand.text.includes(" AND ") || operand.text.includes(" OR ") ? `(${operand.text})` : operand.text}`,
      of: (message: ReadonlyMap<string, Value>) => not(operand.of(message)),
    })),
    fc.tuple(samples(depth - 1), samples(depth - 1)).map(([left, right]) => ({
      text: `(${left.text}) AND (${right.text})`,
      of: (message: ReadonlyMap<string, Value>) => and(left.of(message), right.of(message)),
    })),
    fc.tuple(samples(depth - 1), samples(depth - 1)).map(([left, right]) => ({
      text: `(${left.text}) OR (${right.text})`,
      of: (message: ReadonlyMap<string, Value>) => or(left.of(message), right.of(message)),
    })),
  );
});

function not(one: Verdict): Verdict {
  if (one === "unknown") return one;
  return one === "true" ? "false" : "true";
}

function and(one: Verdict, other: Verdict): Verdict {
  if (one === "false" || other === "false") return "false";
  return one === "unknown" || other === "unknown" ? "unknown" : "true";
}

function or(one: Verdict, other: Verdict): Verdict {
  return not(and(not(one), not(other)));
}

function isLike(text: readonly string[], pattern: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first !== "%") {
    return text.length > 0 && (first === "_" || first === text[0]) && isLike(text.slice(1), rest);
  }
  return text.length === 0
    ? isLike(text, rest)
    : isLike(text, rest) || isLike(text.slice(1), pattern);
}

/** Java's binary numeric promotion: the wider type of both. */
function promoted(left: Value, right: Value): "int" | "long" | "float" | "double" {
  for (const type of ["double", "float", "long"] as const) {
    if (left.type === type || right.type === type) return type;
  }
  return "int";
}

function isNumeric(value: Value): boolean {
  return value.type !== "string" && value.type !== "boolean";
}

/** Values of the promoted type; a float is found among its neighbours, so that it is rounded once. */
function inType(value: Value, type: "int" | "long" | "float" | "double"): bigint | number {
  if (type === "int" || type === "long") return typeof value.value === "bigint" ? value.value : 0n;
  if (typeof value.value !== "bigint") return typeof value.value === "number" ? value.value : 0;
  if (type === "double") return Number(value.value);
  return nearestFloat(value.value);
}

function nearestFloat(value: bigint): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, Number(value));
  const bits = view.getInt32(0);
  const distance = (candidate: number): bigint => {
    const difference = BigInt(candidate) - value;
    return difference < 0n ? -difference : difference;
  };
  let best = view.getFloat32(0);
  for (const neighbour of [bits - 1, bits + 1]) {
    view.setInt32(0, neighbour);
    const candidate = view.getFloat32(0);
    if (!Number.isInteger(candidate)) continue;
    if (distance(candidate) < distance(best)) best = candidate;
  }
  return best;
}

function computed(
  operator: string,
  left: Value | undefined,
  right: Value | undefined,
): Value | undefined {
  if (left === undefined || right === undefined) return undefined;
  if (!isNumeric(left) || !isNumeric(right)) return undefined;
  const type = promoted(left, right);
  const one = inType(left, type);
  const other = inType(right, type);
  if (typeof one === "bigint" && typeof other === "bigint" && (type === "int" || type === "long")) {
    if (operator === "/" && other === 0n) return undefined;
    const exact =
      operator === "+"
        ? one + other
        : operator === "-"
          ? one - other
          : operator === "*"
            ? one * other
            : one / other;
    return { type, value: BigInt.asIntN(type === "int" ? 32 : 64, exact) };
  }
  const a = Number(one);
  const b = Number(other);
  const result =
    operator === "+" ? a + b : operator === "-" ? a - b : operator === "*" ? a * b : a / b;
  return type === "float"
    ? { type, value: Math.fround(result) }
    : { type: "double", value: result };
}

function compared(left: Operand, operator: string, right: Operand): Sample {
  return {
    text: `${left.text} ${operator} ${right.text}`,
    of: (message) => {
      const one = left.of(message);
      const other = right.of(message);
      if (one === undefined || other === undefined) return "unknown";
      let holds: boolean;
      if (isNumeric(one) && isNumeric(other)) {
        const type = promoted(one, other);
        const a = inType(one, type);
        const b = inType(other, type);
        const order = a < b ? "<" : a > b ? ">" : Number.isNaN(a) || Number.isNaN(b) ? "?" : "=";
        holds = operator === "<>" ? order !== "=" : operator.includes(order);
      } else if (one.type !== other.type) holds = false;
      else
        holds =
          operator === "="
            ? one.value === other.value
            : operator === "<>" && one.value !== other.value;
      return holds ? "true" : "false";
    },
  };
}

function typed(value: Value): TypedValue {
  switch (value.type) {
    case "string":
      return { type: "string", value: value.value };
    case "boolean":
      return { type: "boolean", value: value.value };
    case "int":
      return { type: "int", value: Number(value.value) };
    case "long":
      return { type: "long", value: value.value };
    case "float":
    case "double":
      return { type: value.type, value: value.value };
  }
}

test("every selector says of every message what the specification says", () => {
  const source = new MessageSource();
  fc.assert(
    fc.property(samples(4), fc.array(messages, { minLength: 1, maxLength: 4 }), (sample, many) => {
      const expression = parseSelector(sample.text);
      for (const message of many) {
        const properties: Record<string, TypedValue> = {};
        for (const [name, value] of message) properties[name] = typed(value);
        const bytes = messageOf("a", { properties });
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const value = evaluate(expression, source.reset(bytes, view, 0, bytes.length));
        // A name alone evaluates to its value, which selects as TRUE only.
        const found = value === undefined ? "unknown" : value === true ? "true" : "false";
        assert.equal(found, sample.of(message), sample.text);
      }
    }),
    { numRuns: 3000 },
  );
});
