import { Approximate, type Expression, type SelectorValue } from "./expression.ts";

/** A text, a truth value or a small whole number; equal ones are one key of a map. */
export type EqualityKey = string | boolean | number;

/** A selector can only be true for a message in which `name` has one of `keys`. */
export interface Equality {
  readonly name: string;
  readonly keys: readonly EqualityKey[];
}

/** Below this a float, a double and a long hold every whole number; so equal ones have equal keys. */
const exactMax = 2 ** 24;

/**
 * The equalities of which a selector demands each: `a = 'x' AND b IN ('y', 'z') AND c > 1` those of `a` and
 * `b`. Empty when it can be true without any.
 */
export function equalitiesOf(expression: Expression): readonly Equality[] {
  if (expression.kind === "and") return expression.operands.flatMap(equalitiesOf);
  const one = equalityOf(expression);
  return one === undefined ? [] : [one];
}

/** The key under which a message's value is to be looked for; `undefined` when no key is like it. */
export function equalityKey(value: SelectorValue): EqualityKey | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "number":
      return value;
    case "bigint":
      return Number(value);
    case "object":
      return value.value;
    default:
      return undefined;
  }
}

function equalityOf(expression: Expression): Equality | undefined {
  switch (expression.kind) {
    case "comparison": {
      const { operator, left, right, converts } = expression;
      if (operator !== "=" || converts) return undefined;
      return equality(left, right) ?? equality(right, left);
    }
    case "in":
      if (expression.negated) return undefined;
      return { name: expression.name, keys: [...expression.choices] };
    case "or":
      return unionOf(expression.operands.map(equalityOf));
    case "identifier":
      return { name: expression.name, keys: [true] };
    default:
      return undefined;
  }
}

function equality(left: Expression, right: Expression): Equality | undefined {
  if (left.kind !== "identifier" || right.kind !== "literal") return undefined;
  const { value } = right;
  if (value instanceof Approximate) return undefined;
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (isNumber && (value > exactMax || value < -exactMax)) return undefined;
  return { name: left.name, keys: [typeof value === "bigint" ? Number(value) : value] };
}

/** Alternatives of one name are all its keys; of several names, or with another condition, there are none. */
function unionOf(alternatives: readonly (Equality | undefined)[]): Equality | undefined {
  const keys = new Set<EqualityKey>();
  const name = alternatives[0]?.name;
  if (name === undefined) return undefined;
  for (const one of alternatives) {
    if (one?.name !== name) return undefined;
    for (const key of one.keys) keys.add(key);
  }
  return { name, keys: [...keys] };
}
