import { unreachable } from "@everhold/base";

import {
  Approximate,
  opaque,
  type ComparisonOperator,
  type Expression,
  type SelectorValue,
} from "./expression.ts";
import { matchesPattern } from "./like-pattern.ts";
import {
  compareNumbers,
  computeNumbers,
  exactNumber,
  isSelectorNumber,
  negateNumber,
  type SelectorNumber,
} from "./numbers.ts";

/** Gives the value of an identifier; `undefined` where the message has none. */
export interface SelectorSource {
  valueOf(name: string): SelectorValue;
}

/**
 * Evaluates a selector against one message. As a condition the result is true, false, or `undefined`
 * for UNKNOWN; only `true` selects the message.
 * Source: Jakarta Messaging 3.1, section 3.8.1.2 (three-valued logic) and 3.8.1.1 (mixed types).
 */
export function evaluate(expression: Expression, source: SelectorSource): SelectorValue {
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "identifier":
      return source.valueOf(expression.name);
    case "and":
      return evaluateChain(expression.operands, false, source);
    case "or":
      return evaluateChain(expression.operands, true, source);
    case "not": {
      const operand = truth(evaluate(expression.operand, source));
      return operand === undefined ? undefined : !operand;
    }
    case "comparison":
      return compare(
        expression.operator,
        evaluate(expression.left, source),
        evaluate(expression.right, source),
        expression.converts,
      );
    case "arithmetic":
      return compute(expression, source);
    case "negate": {
      const operand = numberOf(evaluate(expression.operand, source), expression.converts);
      return operand === undefined ? undefined : negateNumber(operand);
    }
    case "between":
      return isBetween(expression, source);
    case "in": {
      const value = source.valueOf(expression.name);
      if (value === undefined) return undefined;
      const found = typeof value === "string" && expression.choices.has(value);
      return found !== expression.negated;
    }
    case "like": {
      const value = source.valueOf(expression.name);
      if (value === undefined) return undefined;
      const found = typeof value === "string" && matchesPattern(value, expression.pattern);
      return found !== expression.negated;
    }
    case "isNull":
      return (source.valueOf(expression.name) === undefined) !== expression.negated;
    default:
      return unreachable(expression, "a selector has a node of an unknown kind");
  }
}

/** What `decisive` decides alone: false an AND, true an OR. Else UNKNOWN if one is. */
function evaluateChain(
  operands: readonly Expression[],
  decisive: boolean,
  source: SelectorSource,
): boolean | undefined {
  let isKnown = true;
  for (const operand of operands) {
    const value = truth(evaluate(operand, source));
    if (value === decisive) return decisive;
    if (value === undefined) isKnown = false;
  }
  return isKnown ? !decisive : undefined;
}

/** A name alone asks whether it is TRUE: of another type it is not. */
function truth(value: SelectorValue): boolean | undefined {
  return value === undefined ? undefined : value === true;
}

/** Anything with NULL is UNKNOWN; types that do not go together compare as false, whatever is asked. */
function compare(
  operator: ComparisonOperator,
  left: SelectorValue,
  right: SelectorValue,
  converts: boolean,
): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  if (left === opaque || right === opaque) return false;
  if (isSelectorNumber(left) && isSelectorNumber(right)) {
    return compareNumbers(operator, left, right);
  }
  if (typeof left !== typeof right) {
    return converts && compareConverted(operator, left, right);
  }
  if (operator === "=") return left === right;
  return operator === "<>" && left !== right;
}

/** Of two different types, one of which is a text, which is read as the other one. */
function compareConverted(
  operator: ComparisonOperator,
  left: SelectorValue,
  right: SelectorValue,
): boolean {
  if (typeof left === "string") {
    const converted = convert(left, right);
    return converted !== undefined && compare(operator, converted, right, false) === true;
  }
  if (typeof right !== "string") return false;
  const converted = convert(right, left);
  return converted !== undefined && compare(operator, left, converted, false) === true;
}

function convert(text: string, like: SelectorValue): SelectorValue {
  return typeof like === "boolean" ? text.toLowerCase() === "true" : numberIn(text);
}

/** The number that a text is, as Java reads it; `undefined` for none. */
function numberIn(text: string): SelectorNumber | undefined {
  if (/^[+-]?\d{1,19}$/.test(text)) {
    const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
    return BigInt.asIntN(64, value) === value ? exactNumber(value) : undefined;
  }
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return undefined;
  return new Approximate(Number(text), false);
}

function numberOf(value: SelectorValue, converts: boolean): SelectorNumber | undefined {
  if (isSelectorNumber(value)) return value;
  return converts && typeof value === "string" ? numberIn(value) : undefined;
}

function compute(
  { first, steps, converts }: Extract<Expression, { kind: "arithmetic" }>,
  source: SelectorSource,
): SelectorNumber | undefined {
  let value = numberOf(evaluate(first, source), converts);
  for (const { operator, operand } of steps) {
    if (value === undefined) return undefined;
    const right = numberOf(evaluate(operand, source), converts);
    if (right === undefined) return undefined;
    value = computeNumbers(operator, value, right);
  }
  return value;
}

/**
 * `a BETWEEN b AND c` is `a >= b AND a <= c`, `a NOT BETWEEN b AND c` is `a < b OR a > c`; which is not its
 * contrary for what is no number.
 */
function isBetween(
  expression: Extract<Expression, { kind: "between" }>,
  source: SelectorSource,
): boolean | undefined {
  const { negated, converts } = expression;
  const operand = evaluate(expression.operand, source);
  const low = evaluate(expression.low, source);
  const high = evaluate(expression.high, source);
  const first = compare(negated ? "<" : ">=", operand, low, converts);
  if (first === negated) return negated;
  const second = compare(negated ? ">" : "<=", operand, high, converts);
  if (second === negated) return negated;
  return first === undefined || second === undefined ? undefined : !negated;
}
