import { unreachable } from "@everhold/base";

import {
  Approximate,
  type ArithmeticOperator,
  type ComparisonOperator,
  type SelectorValue,
} from "./expression.ts";

/** A number as selectors know it: an int, a long, a float or a double. */
export type SelectorNumber = number | bigint | Approximate;

/** Whether a value is one to compute with. */
export function isSelectorNumber(value: SelectorValue): value is SelectorNumber {
  return typeof value === "number" || typeof value === "bigint" || value instanceof Approximate;
}

/**
 * Compares two numbers as Java does: with a double as doubles, else with a float as floats, else exactly.
 * Source: Jakarta Messaging 3.1, section 3.8.1.1; Java Language Specification 5.6.
 */
export function compareNumbers(
  operator: ComparisonOperator,
  left: SelectorNumber,
  right: SelectorNumber,
): boolean {
  if (left instanceof Approximate || right instanceof Approximate) {
    const isFloat = isInFloat(left, right);
    return holds(operator, approximate(left, isFloat), approximate(right, isFloat));
  }
  return holds(operator, left, right);
}

/**
 * Computes with two numbers as Java does: int with int wraps at 32 bits, with a long at 64, a whole number
 * divided by a whole number is whole. `undefined` for a division of whole numbers by zero, at which Java
 * fails. Source: Jakarta Messaging 3.1, section 3.8.1.1; Java Language Specification 15.17 and 15.18.
 */
export function computeNumbers(
  operator: ArithmeticOperator,
  left: SelectorNumber,
  right: SelectorNumber,
): SelectorNumber | undefined {
  if (left instanceof Approximate || right instanceof Approximate) {
    const isFloat = isInFloat(left, right);
    const value = computeApproximate(
      operator,
      approximate(left, isFloat),
      approximate(right, isFloat),
    );
    // Rounding a double's result once more gives the float's: it has more than twice the digits.
    return new Approximate(isFloat ? Math.fround(value) : value, isFloat);
  }
  if (typeof left === "number" && typeof right === "number") {
    return computeInts(operator, left, right);
  }
  return computeLongs(operator, BigInt(left), BigInt(right));
}

/** Changes the sign; the smallest int and the smallest long stay as they are, as in Java. */
export function negateNumber(operand: SelectorNumber): SelectorNumber {
  if (typeof operand === "number") return -operand | 0;
  if (typeof operand === "bigint") return BigInt.asIntN(64, -operand);
  return new Approximate(-operand.value, operand.isFloat);
}

/** The whole number of Java that `value` is without a suffix: an int where it fits, else a long. */
export function exactNumber(value: bigint): number | bigint {
  return BigInt.asIntN(32, value) === value ? Number(value) : value;
}

function isInFloat(left: SelectorNumber, right: SelectorNumber): boolean {
  if (left instanceof Approximate && !left.isFloat) return false;
  return !(right instanceof Approximate) || right.isFloat;
}

function approximate(value: SelectorNumber, isFloat: boolean): number {
  if (value instanceof Approximate) return value.value;
  if (typeof value === "number") return isFloat ? Math.fround(value) : value;
  return isFloat ? floatOf(value) : Number(value);
}

/** Rounds a long to a float once: to a double first and then to a float could round twice. */
function floatOf(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 0x20_0000_0000_0000n) return Math.fround(Number(value));
  // The digits that a double cannot hold only decide whether it lies above the middle of two floats.
  const lost = (magnitude & 0x7ffn) === 0n ? 0n : 1n;
  const rounded = Math.fround(Number((magnitude >> 11n) | lost)) * 0x800;
  return value < 0n ? -rounded : rounded;
}

/** With a not-a-number only `<>` holds. */
function holds(
  operator: ComparisonOperator,
  left: number | bigint,
  right: number | bigint,
): boolean {
  switch (operator) {
    case "=":
      return left <= right && left >= right;
    case "<>":
      return !(left <= right && left >= right);
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

function computeInts(
  operator: ArithmeticOperator,
  left: number,
  right: number,
): number | undefined {
  switch (operator) {
    case "+":
      return (left + right) | 0;
    case "-":
      return (left - right) | 0;
    case "*":
      return Math.imul(left, right);
    case "/":
      return right === 0 ? undefined : (left / right) | 0;
    case "%":
      return right === 0 ? undefined : (left % right) | 0;
    default:
      return unreachable(operator, "a selector has an unknown operator");
  }
}

function computeLongs(
  operator: ArithmeticOperator,
  left: bigint,
  right: bigint,
): bigint | undefined {
  switch (operator) {
    case "+":
      return BigInt.asIntN(64, left + right);
    case "-":
      return BigInt.asIntN(64, left - right);
    case "*":
      return BigInt.asIntN(64, left * right);
    case "/":
      return right === 0n ? undefined : BigInt.asIntN(64, left / right);
    case "%":
      return right === 0n ? undefined : left % right;
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
