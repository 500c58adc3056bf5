/**
 * What a selector computes with. `undefined` is NULL, and as a condition UNKNOWN.
 *
 * Java's types stay apart, for arithmetic and comparisons follow Java's promotion: byte, short and int
 * are a `number`, long is a `bigint`, float and double are {@link Approximate}.
 */
export type SelectorValue =
  | string
  | boolean
  | number
  | bigint
  | Approximate
  | typeof opaque
  | undefined;

/** A value that is there but of a type that selectors do not know (byte arrays): it equals nothing. */
export const opaque = Symbol("opaque");

/** A float or a double. */
export class Approximate {
  readonly value: number;
  readonly isFloat: boolean;

  constructor(value: number, isFloat: boolean) {
    this.value = value;
    this.isFloat = isFloat;
  }
}

/** Operators that compare two values. */
export type ComparisonOperator = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** Operators that compute with two numbers. */
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";

/** One step of a chain of operators of one precedence, which is evaluated from the left. */
export interface ArithmeticStep {
  readonly operator: ArithmeticOperator;
  readonly operand: Expression;
}

/**
 * One node of a selector's tree. Chains are lists and not nested pairs, so that the tree is no deeper than
 * the text has parentheses, NOTs and signs: evaluating it takes our own stack.
 */
export type Expression =
  | { readonly kind: "literal"; readonly value: string | boolean | number | bigint | Approximate }
  | { readonly kind: "identifier"; readonly name: string }
  | { readonly kind: "and" | "or"; readonly operands: readonly Expression[] }
  | { readonly kind: "not"; readonly operand: Expression }
  | {
      readonly kind: "comparison";
      readonly operator: ComparisonOperator;
      readonly left: Expression;
      readonly right: Expression;
      /** Whether texts are read as what they are compared with: `convert_string_expressions:`. */
      readonly converts: boolean;
    }
  | {
      readonly kind: "arithmetic";
      readonly first: Expression;
      readonly steps: readonly ArithmeticStep[];
      readonly converts: boolean;
    }
  | { readonly kind: "negate"; readonly operand: Expression; readonly converts: boolean }
  | {
      readonly kind: "between";
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
      readonly negated: boolean;
      readonly converts: boolean;
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
