import { unreachable } from "@everhold/base";

import {
  opaque,
  type ArithmeticOperator,
  type ComparisonOperator,
  type Expression,
  type LikePart,
  type LikePattern,
  type SelectorValue,
} from "./expression.ts";

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
    case "and": {
      const left = truth(evaluate(expression.left, source));
      if (left === false) return false;
      const right = truth(evaluate(expression.right, source));
      if (right === false) return false;
      return left === undefined || right === undefined ? undefined : true;
    }
    case "or": {
      const left = truth(evaluate(expression.left, source));
      if (left === true) return true;
      const right = truth(evaluate(expression.right, source));
      if (right === true) return true;
      return left === undefined || right === undefined ? undefined : false;
    }
    case "not": {
      const operand = truth(evaluate(expression.operand, source));
      return operand === undefined ? undefined : !operand;
    }
    case "comparison":
      return compare(
        expression.operator,
        evaluate(expression.left, source),
        evaluate(expression.right, source),
      );
    case "arithmetic":
      return compute(
        expression.operator,
        evaluate(expression.left, source),
        evaluate(expression.right, source),
      );
    case "negate": {
      const operand = evaluate(expression.operand, source);
      if (typeof operand === "bigint") return BigInt.asIntN(64, -operand);
      return typeof operand === "number" ? -operand : undefined;
    }
    case "between": {
      const operand = evaluate(expression.operand, source);
      const low = compare(">=", operand, evaluate(expression.low, source));
      const high = compare("<=", operand, evaluate(expression.high, source));
      const inside =
        low === false || high === false
          ? false
          : low === undefined || high === undefined
            ? undefined
            : true;
      return negateIf(expression.negated, inside);
    }
    case "in": {
      const value = source.valueOf(expression.name);
      if (value === undefined) return undefined;
      const found = typeof value === "string" && expression.choices.has(value);
      return negateIf(expression.negated, found);
    }
    case "like": {
      const value = source.valueOf(expression.name);
      if (value === undefined) return undefined;
      const found = typeof value === "string" && matchesPattern(value, expression.pattern);
      return negateIf(expression.negated, found);
    }
    case "isNull":
      return (source.valueOf(expression.name) === undefined) !== expression.negated;
    default:
      return unreachable(expression, "a selector has a node of an unknown kind");
  }
}

/** A property that is not boolean says nothing as a condition. */
function truth(value: SelectorValue): boolean | undefined {
  return typeof value === "boolean" ? value : undefined;
}

function negateIf(negated: boolean, value: boolean | undefined): boolean | undefined {
  return value === undefined ? undefined : value !== negated;
}

/** Anything with NULL is UNKNOWN; types that do not go together compare as false, whatever is asked. */
function compare(
  operator: ComparisonOperator,
  left: SelectorValue,
  right: SelectorValue,
): boolean | undefined {
  if (left === undefined || right === undefined) return undefined;
  if (left === opaque || right === opaque) return false;
  if (typeof left === "string" || typeof left === "boolean") {
    if (typeof left !== typeof right) return false;
    if (operator === "=") return left === right;
    return operator === "<>" && left !== right;
  }
  if (typeof right === "string" || typeof right === "boolean") return false;
  switch (operator) {
    case "=":
      return !(left < right) && !(left > right) && left === left && right === right;
    case "<>":
      return left < right || left > right || Number.isNaN(left) || Number.isNaN(right);
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
    default:
      return unreachable(operator, "a selector has an unknown comparison");
  }
}

/** Java's promotion: two exact numbers give an exact one (64 bits, wrapping), else floating point. */
function compute(
  operator: ArithmeticOperator,
  left: SelectorValue,
  right: SelectorValue,
): SelectorValue {
  if (typeof left === "bigint" && typeof right === "bigint") {
    if (operator === "/" || operator === "%") {
      // As in Artemis (`ArithmeticExpression`): 5 / 2 is 2.5.
      return right === 0n ? undefined : computeApproximate(operator, Number(left), Number(right));
    }
    return BigInt.asIntN(64, computeExact(operator, left, right));
  }
  if (typeof left !== "bigint" && typeof left !== "number") return undefined;
  if (typeof right !== "bigint" && typeof right !== "number") return undefined;
  return computeApproximate(operator, Number(left), Number(right));
}

function computeExact(
  operator: Exclude<ArithmeticOperator, "/" | "%">,
  left: bigint,
  right: bigint,
): bigint {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    default:
      return unreachable(operator, "a selector has an unknown operator");
  }
}

function computeApproximate(operator: ArithmeticOperator, left: number, right: number): number {
  switch (operator) {
    case "+":
      return left + right;
    case "-":
      return left - right;
    case "*":
      return left * right;
    case "/":
      return left / right;
    case "%":
      return left % right;
    default:
      return unreachable(operator, "a selector has an unknown operator");
  }
}

/** Costs no more than a few passes over the value: patterns come from users, values may be megabytes. */
function matchesPattern(value: string, pattern: LikePattern): boolean {
  return "texts" in pattern
    ? matchesTexts(value, pattern.texts)
    : matchesParts(value, pattern.parts);
}

/** The first text begins the value, the last one ends it, the others follow each other in between. */
function matchesTexts(value: string, texts: readonly string[]): boolean {
  const first = texts[0] ?? "";
  if (texts.length < 2) return value === first;
  const last = texts.at(-1) ?? "";
  const end = value.length - last.length;
  let at = first.length;
  if (end < at || !value.startsWith(first) || !value.endsWith(last)) return false;
  for (const text of texts.slice(1, -1)) {
    const found = value.indexOf(text, at);
    if (found < 0 || found + text.length > end) return false;
    at = found + text.length;
  }
  return true;
}

/**
 * Greedy matching with one point to come back to, so that no pattern takes more than the product of
 * both lengths: a regular expression made from a user's pattern could take for ever.
 */
function matchesParts(value: string, pattern: readonly LikePart[]): boolean {
  const characters = [...value];
  let at = 0;
  let part = 0;
  let manyPart = -1;
  let manyAt = 0;
  while (at < characters.length) {
    const wanted = pattern[part];
    if (wanted === "many") {
      manyPart = part;
      manyAt = at;
      part += 1;
    } else if (wanted !== undefined && (wanted === "one" || wanted.literal === characters[at])) {
      part += 1;
      at += 1;
    } else if (manyPart >= 0) {
      manyAt += 1;
      at = manyAt;
      part = manyPart + 1;
    } else return false;
  }
  while (pattern[part] === "many") part += 1;
  return part === pattern.length;
}
