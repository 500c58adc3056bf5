/**
 * What a selector is made of. The parser builds it, `evaluate` walks it.
 *
 * Exact numbers (Java's byte to long) are `bigint`, approximate ones (float, double) are `number`, so
 * that the type of a value is never in doubt. `undefined` is NULL, and as a condition UNKNOWN.
 */
export type SelectorValue = string | boolean | bigint | number | typeof opaque | undefined;

/** A value that is there but of a type that selectors do not know (byte arrays): it equals nothing. */
export const opaque = Symbol("opaque");

/** Operators that compare two values. */
export type ComparisonOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** Operators that compute with two numbers. */
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";

/** One node of a selector's tree. */
export type Expression =
  | { readonly kind: "literal"; readonly value: string | boolean | bigint | number }
  | { readonly kind: "identifier"; readonly name: string }
  | { readonly kind: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "not"; readonly operand: Expression }
  | {
      readonly kind: "comparison";
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "arithmetic";
      readonly operator: ArithmeticOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "negate"; readonly operand: Expression }
  | {
      readonly kind: "between";
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: "in";
      readonly name: string;
      readonly choices: ReadonlySet<string>;
      readonly negated: boolean;
    }
  | {
      readonly kind: "like";
      readonly name: string;
      readonly pattern: LikePattern;
      readonly negated: boolean;
    }
  | { readonly kind: "isNull"; readonly name: string; readonly negated: boolean };

/** One position of a LIKE pattern: a character, exactly one (`_`), or any number of any (`%`). */
export type LikePart = { readonly literal: string } | "one" | "many";

/** A LIKE pattern: the texts between its `%` where there is no `_`, else every position of it. */
export type LikePattern =
  | { readonly texts: readonly string[] }
  | { readonly parts: readonly LikePart[] };
