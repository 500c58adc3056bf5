import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import type {
  ArithmeticOperator,
  ComparisonOperator,
  Expression,
  LikePart,
  LikePattern,
} from "./expression.ts";
import { selectorError, tokenize, type Token, type TokenKind } from "./lexer.ts";

/**
 * Reads a selector. Precedence from lowest: OR, AND, NOT, comparison, + −, * /, unary + −.
 * Source: Jakarta Messaging 3.1, section 3.8.1.1. Unlike ActiveMQ's parser, NOT binds looser than a
 * comparison (`NOT a = 1` is `NOT (a = 1)`), as the specification says.
 *
 * @throws EverholdError EVH_INVALID_FILTER naming the place; also above `limits.filterCharsMax`
 */
export function parseSelector(text: string): Expression {
  if (text.length > limits.filterCharsMax) {
    throw new EverholdError(
      "EVH_INVALID_FILTER",
      `the filter has ${text.length} characters, at most ${limits.filterCharsMax} are allowed`,
    );
  }
  return new Parser(text).parse();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  parse(): Expression {
    const expression = this.#condition();
    if (this.#peek().kind !== "end") throw this.#error("an operator or the end");
    return expression;
  }

  /** A value where only true, false and unknown make sense. */
  #condition(): Expression {
    const first = this.#peek();
    return this.#asCondition(this.#or(), first);
  }

  #or(): Expression {
    this.#enter();
    let first = this.#peek();
    let left = this.#and();
    while (this.#acceptKeyword("OR")) {
      left = this.#asCondition(left, first);
      first = this.#peek();
      left = { kind: "or", left, right: this.#asCondition(this.#and(), first) };
    }
    this.#depth -= 1;
    return left;
  }

  #and(): Expression {
    let first = this.#peek();
    let left = this.#not();
    while (this.#acceptKeyword("AND")) {
      left = this.#asCondition(left, first);
      first = this.#peek();
      left = { kind: "and", left, right: this.#asCondition(this.#not(), first) };
    }
    return left;
  }

  #not(): Expression {
    if (!this.#acceptKeyword("NOT")) return this.#comparison();
    this.#enter();
    const first = this.#peek();
    const operand = this.#asCondition(this.#not(), first);
    this.#depth -= 1;
    return { kind: "not", operand };
  }

  #comparison(): Expression {
    const first = this.#peek();
    let left = this.#sum();
    for (;;) {
      const operator = this.#peek();
      if (operator.kind === "symbol" && isComparison(operator.text)) {
        this.#index += 1;
        const right = this.#sum();
        if (operator.text !== "=" && operator.text !== "<>") {
          this.#checkOrdered(operator, "= or <>", left, right);
        }
        left = { kind: "comparison", operator: operator.text, left, right };
        continue;
      }
      if (operator.kind !== "keyword") return left;
      const next = this.#predicate(left, first);
      if (next === undefined) return left;
      left = next;
    }
  }

  /** BETWEEN, IN, LIKE and IS after their left side; `undefined` when something else follows. */
  #predicate(left: Expression, first: Token): Expression | undefined {
    if (this.#acceptKeyword("IS")) {
      const negated = this.#acceptKeyword("NOT");
      this.#expectKeyword("NULL");
      return { kind: "isNull", name: this.#nameOf(left, first), negated };
    }
    const following = this.#tokens[this.#index + 1];
    const negated = this.#peek().text === "NOT" && following?.kind === "keyword";
    if (negated) this.#index += 1;
    const keyword = this.#peek();
    if (this.#acceptKeyword("BETWEEN")) {
      const low = this.#sum();
      this.#expectKeyword("AND");
      const high = this.#sum();
      this.#checkOrdered(keyword, "=, IN or LIKE", left, low, high);
      return { kind: "between", operand: left, low, high, negated };
    }
    if (this.#acceptKeyword("IN")) {
      return { kind: "in", name: this.#nameOf(left, first), choices: this.#choices(), negated };
    }
    if (this.#acceptKeyword("LIKE")) {
      return { kind: "like", name: this.#nameOf(left, first), pattern: this.#pattern(), negated };
    }
    if (negated) throw this.#error("BETWEEN, IN or LIKE");
    return undefined;
  }

  /** Only numbers have an order: with a text or a truth value the selector would never match. As in Artemis. */
  #checkOrdered(operator: Token, expected: string, ...operands: readonly Expression[]): void {
    const isOrdered = operands.every(
      (operand) =>
        operand.kind !== "literal" ||
        typeof operand.value === "number" ||
        typeof operand.value === "bigint",
    );
    if (!isOrdered) throw selectorError(this.#text, operator, expected);
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      const operator = this.#acceptArithmetic("+", "-");
      if (operator === undefined) return left;
      left = { kind: "arithmetic", operator, left, right: this.#product() };
    }
  }

  #product(): Expression {
    let left = this.#unary();
    for (;;) {
      const operator = this.#acceptArithmetic("*", "/", "%");
      if (operator === undefined) return left;
      left = { kind: "arithmetic", operator, left, right: this.#unary() };
    }
  }

  #unary(): Expression {
    const operator = this.#acceptArithmetic("+", "-");
    if (operator === undefined) return this.#primary();
    this.#enter();
    const operand = this.#unary();
    this.#depth -= 1;
    if (operator === "+") return operand;
    if (operand.kind !== "literal") return { kind: "negate", operand };
    // A literal takes its sign here, so that Long.MIN_VALUE can be written.
    if (typeof operand.value === "bigint") return { kind: "literal", value: -operand.value };
    if (typeof operand.value === "number") return { kind: "literal", value: -operand.value };
    return { kind: "negate", operand };
  }

  #primary(): Expression {
    const token = this.#next();
    switch (token.kind) {
      case "identifier":
        return { kind: "identifier", name: token.text };
      case "string":
        return { kind: "literal", value: token.text };
      case "exact":
        return { kind: "literal", value: this.#exact(token) };
      case "approximate":
        return { kind: "literal", value: Number(token.text.replace(/[fFdD]$/, "")) };
      case "keyword":
        if (token.text === "TRUE") return { kind: "literal", value: true };
        if (token.text === "FALSE") return { kind: "literal", value: false };
        break;
      case "symbol":
        if (token.text === "(") {
          const inner = this.#or();
          this.#expectSymbol(")");
          return inner;
        }
        break;
      case "end":
        break;
    }
    throw selectorError(this.#text, token, "a name, a literal or a parenthesis");
  }

  #exact(token: Token): bigint {
    const digits = token.text.replace(/[lL]$/, "");
    const octal = /^0[0-7]+$/.test(digits);
    if (!octal && /^0\d/.test(digits)) {
      throw selectorError(this.#text, token, "an octal number without the digits 8 and 9");
    }
    const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
    // 2^63 itself is let through, for it may be about to be negated.
    if (value > 0x8000_0000_0000_0000n) {
      throw selectorError(this.#text, token, "a number that fits into 64 bits");
    }
    return value;
  }

  #choices(): ReadonlySet<string> {
    const choices = new Set<string>();
    this.#expectSymbol("(");
    do {
      choices.add(this.#expect("string", "a string").text);
    } while (this.#acceptSymbol(","));
    this.#expectSymbol(")");
    return choices;
  }

  #pattern(): LikePattern {
    const pattern = this.#expect("string", "a pattern in quotes");
    let escape: string | undefined;
    if (this.#acceptKeyword("ESCAPE")) {
      const token = this.#expect("string", "one character in quotes");
      if ([...token.text].length !== 1) {
        throw selectorError(this.#text, token, "one character in quotes");
      }
      escape = token.text;
    }
    const parts: LikePart[] = [];
    let escaped = false;
    for (const character of pattern.text) {
      if (!escaped && character === escape) escaped = true;
      else {
        if (escaped || (character !== "%" && character !== "_")) parts.push({ literal: character });
        else if (character === "_") parts.push("one");
        else if (parts.at(-1) !== "many") parts.push("many");
        escaped = false;
      }
    }
    if (escaped) throw selectorError(this.#text, pattern, "a character after the escape character");
    if (!parts.includes("one")) return { texts: textsBetween(parts) };
    if (parts.length > limits.likePositionsMax) {
      const expected = `at most ${limits.likePositionsMax} characters in a pattern with "_"`;
      throw selectorError(this.#text, pattern, expected);
    }
    return { parts };
  }

  #nameOf(expression: Expression, token: Token): string {
    if (expression.kind === "identifier") return expression.name;
    throw selectorError(this.#text, token, "a property's name");
  }

  #asCondition(expression: Expression, token: Token): Expression {
    const isValue =
      expression.kind === "arithmetic" ||
      expression.kind === "negate" ||
      (expression.kind === "literal" && typeof expression.value !== "boolean");
    if (isValue) throw selectorError(this.#text, token, "a condition, not a value,");
    return expression;
  }

  /** Nesting is bounded, because each level is a call on our own stack. */
  #enter(): void {
    this.#depth += 1;
    if (this.#depth > limits.filterDepthMax) {
      throw this.#error(`at most ${limits.filterDepthMax} levels of nesting`);
    }
  }

  #peek(): Token {
    return this.#tokens[this.#index] ?? { kind: "end", text: "the end", offset: this.#text.length };
  }

  #next(): Token {
    const token = this.#peek();
    this.#index += 1;
    return token;
  }

  #acceptKeyword(keyword: string): boolean {
    const token = this.#peek();
    const found = token.kind === "keyword" && token.text === keyword;
    if (found) this.#index += 1;
    return found;
  }

  #acceptSymbol(text: string): boolean {
    const token = this.#peek();
    const found = token.kind === "symbol" && token.text === text;
    if (found) this.#index += 1;
    return found;
  }

  #acceptArithmetic<T extends ArithmeticOperator>(...operators: readonly T[]): T | undefined {
    return operators.find((operator) => this.#acceptSymbol(operator));
  }

  #expect(kind: TokenKind, expected: string): Token {
    if (this.#peek().kind !== kind) throw this.#error(expected);
    return this.#next();
  }

  #expectKeyword(keyword: string): void {
    if (!this.#acceptKeyword(keyword)) throw this.#error(keyword);
  }

  #expectSymbol(text: string): void {
    if (!this.#acceptSymbol(text)) throw this.#error(`"${text}"`);
  }

  #error(expected: string): EverholdError {
    return selectorError(this.#text, this.#peek(), expected);
  }
}

/** The literal texts before, between and behind the `%` of a pattern. */
function textsBetween(parts: readonly LikePart[]): readonly string[] {
  const texts: string[] = [];
  let text = "";
  for (const part of parts) {
    if (typeof part === "object") text += part.literal;
    else {
      texts.push(text);
      text = "";
    }
  }
  texts.push(text);
  return texts;
}

function isComparison(text: string): text is ComparisonOperator {
  return (
    text === "=" || text === "<>" || text === "<" || text === "<=" || text === ">" || text === ">="
  );
}
