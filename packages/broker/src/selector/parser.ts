import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import {
  Approximate,
  type ArithmeticOperator,
  type ArithmeticStep,
  type ComparisonOperator,
  type Expression,
} from "./expression.ts";
import { nameOfToken, tokenize, type Token, type TokenKind } from "./lexer.ts";
import { escapeCharacter, likePattern } from "./like-pattern.ts";
import { exactNumber, isSelectorNumber, negateNumber } from "./numbers.ts";
import { selectorError } from "./selector-error.ts";

/**
 * Reads a selector. Precedence from lowest: OR, AND, NOT, comparison, + −, * / %, unary + −.
 * Source: Jakarta Messaging 3.1, section 3.8.1.1. Unlike ActiveMQ's parser, NOT binds looser than a
 * comparison (`NOT a = 1` is `NOT (a = 1)`), as the specification says.
 *
 * Two prefixes of Artemis are taken as well: `convert_string_expressions:` reads texts as numbers or truth
 * values where they meet such, `hyphenated_props:` takes a hyphen in a name for a part of it.
 *
 * @throws EverholdError EVH_INVALID_FILTER naming the place; also above `limits.filterCharsMax`
 */
export function parseSelector(text: string): Expression {
  if (text.length > limits.filterCharsMax) {
    throw new EverholdError(
      "EVH_INVALID_FILTER",
      `cannot read the filter: found ${text.length} characters, expected at most ${limits.filterCharsMax}`,
    );
  }
  return new Parser(text, readPrefixes(text)).parse();
}

interface Prefixes {
  readonly start: number;
  readonly converts: boolean;
  readonly hyphens: boolean;
}

/** Later prefixes hold. Source: Artemis, `SelectorParser`. */
function readPrefixes(text: string): Prefixes {
  const prefix = /(no_)?(convert_string_expressions|hyphenated_props):/y;
  let start = 0;
  let converts = false;
  let hyphens = false;
  for (;;) {
    const found = prefix.exec(text);
    if (found === null) return { start, converts, hyphens };
    start = prefix.lastIndex;
    if (found[2] === "hyphenated_props") hyphens = found[1] === undefined;
    else converts = found[1] === undefined;
  }
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  readonly #converts: boolean;
  #index = 0;
  #depth = 0;

  constructor(text: string, prefixes: Prefixes) {
    this.#text = text;
    this.#tokens = tokenize(text, prefixes);
    this.#converts = prefixes.converts;
  }

  parse(): Expression {
    const first = this.#peek();
    const expression = this.#asCondition(this.#or(), first);
    if (this.#peek().kind !== "end") throw this.#error("an operator or the end");
    return expression;
  }

  #or(): Expression {
    this.#enter();
    const expression = this.#chain("or", "OR", () => this.#and());
    this.#depth -= 1;
    return expression;
  }

  #and(): Expression {
    return this.#chain("and", "AND", () => this.#not());
  }

  /** One operand, or several between the same keyword. */
  #chain(kind: "and" | "or", keyword: string, operand: () => Expression): Expression {
    let first = this.#peek();
    const left = operand();
    if (!this.#isKeyword(keyword)) return left;
    const operands = [this.#asCondition(left, first)];
    while (this.#acceptKeyword(keyword)) {
      first = this.#peek();
      operands.push(this.#asCondition(operand(), first));
    }
    return { kind, operands };
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
    const depth = this.#depth;
    let left = this.#sum();
    for (;;) {
      const operator = this.#peek();
      if (operator.kind === "symbol" && isComparison(operator.text)) {
        this.#index += 1;
        // What was compared is the left side of the next comparison: one level deeper.
        this.#enter();
        const right = this.#sum();
        if (operator.text !== "=" && operator.text !== "<>") {
          this.#checkOrdered(operator, left, right);
        }
        const converts = this.#converts;
        left = { kind: "comparison", operator: operator.text, left, right, converts };
        continue;
      }
      const next = operator.kind === "keyword" ? this.#predicate(left, first) : undefined;
      if (next === undefined) break;
      left = next;
    }
    this.#depth = depth;
    return left;
  }

  /** BETWEEN, IN, LIKE and IS after their left side; `undefined` when something else follows. */
  #predicate(left: Expression, first: Token): Expression | undefined {
    if (this.#acceptKeyword("IS")) {
      const negated = this.#acceptKeyword("NOT");
      this.#expectKeyword("NULL");
      return { kind: "isNull", name: this.#nameOf(left, first), negated };
    }
    const following = this.#tokens[this.#index + 1];
    const negated = this.#isKeyword("NOT") && following?.kind === "keyword";
    if (negated) this.#index += 1;
    const keyword = this.#peek();
    if (this.#acceptKeyword("BETWEEN")) {
      const low = this.#sum();
      this.#expectKeyword("AND");
      const high = this.#sum();
      this.#checkOrdered(keyword, left, low, high);
      return { kind: "between", operand: left, low, high, negated, converts: this.#converts };
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
  #checkOrdered(operator: Token, ...operands: readonly Expression[]): void {
    if (operands.every((operand) => this.#mayBeNumber(operand))) return;
    throw this.#fault(operator, "=, <>, IN or LIKE for what is no number");
  }

  #mayBeNumber(operand: Expression): boolean {
    switch (operand.kind) {
      case "literal":
        return (
          isSelectorNumber(operand.value) || (this.#converts && typeof operand.value === "string")
        );
      case "identifier":
      case "arithmetic":
      case "negate":
        return true;
      default:
        return false;
    }
  }

  #sum(): Expression {
    return this.#arithmetic(() => this.#product(), "+", "-");
  }

  #product(): Expression {
    return this.#arithmetic(() => this.#unary(), "*", "/", "%");
  }

  /** One operand, or several between operators of one precedence. */
  #arithmetic(operand: () => Expression, ...operators: readonly ArithmeticOperator[]): Expression {
    let token = this.#peek();
    const first = operand();
    const steps: ArithmeticStep[] = [];
    for (;;) {
      const sign = this.#peek();
      const operator = this.#acceptArithmetic(...operators);
      if (operator === undefined) break;
      if (steps.length === 0) this.#checkNumber(first, token);
      token = this.#peek();
      const step = { operator, operand: operand() };
      this.#checkNumber(step.operand, token.kind === "end" ? sign : token);
      steps.push(step);
    }
    if (steps.length === 0) return first;
    return { kind: "arithmetic", first, steps, converts: this.#converts };
  }

  #checkNumber(operand: Expression, token: Token): void {
    if (!this.#mayBeNumber(operand)) throw this.#fault(token, "a number");
  }

  #unary(): Expression {
    const operator = this.#acceptArithmetic("+", "-");
    if (operator === undefined) return this.#primary();
    const token = this.#peek();
    // A literal takes its sign here, so that the smallest long can be written.
    if (operator === "-" && token.kind === "exact") {
      this.#index += 1;
      return { kind: "literal", value: this.#exact(token, true) };
    }
    this.#enter();
    const operand = this.#unary();
    this.#depth -= 1;
    this.#checkNumber(operand, token);
    if (operator === "+") return operand;
    if (operand.kind === "literal" && isSelectorNumber(operand.value)) {
      return { kind: "literal", value: negateNumber(operand.value) };
    }
    return { kind: "negate", operand, converts: this.#converts };
  }

  #primary(): Expression {
    const token = this.#next();
    switch (token.kind) {
      case "identifier":
        return { kind: "identifier", name: token.text };
      case "string":
        return { kind: "literal", value: token.text };
      case "exact":
        return { kind: "literal", value: this.#exact(token, false) };
      case "approximate":
        return { kind: "literal", value: this.#approximate(token) };
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
    throw this.#fault(token, "a name, a literal or a parenthesis");
  }

  #exact(token: Token, isNegative: boolean): number | bigint {
    const isLong = /[lL]$/.test(token.text);
    const digits = isLong ? token.text.slice(0, -1) : token.text;
    const octal = /^0[0-7]+$/.test(digits);
    if (!octal && /^0\d/.test(digits)) {
      throw this.#fault(token, "an octal number without the digits 8 and 9");
    }
    const magnitude = BigInt(octal ? `0o${digits.slice(1)}` : digits);
    const value = isNegative ? -magnitude : magnitude;
    if (BigInt.asIntN(64, value) !== value) {
      throw this.#fault(token, "a number that fits into 64 bits");
    }
    return isLong ? value : exactNumber(value);
  }

  #approximate(token: Token): Approximate {
    const isFloat = /[fF]$/.test(token.text);
    const value = Number(token.text.replace(/[fFdD]$/, ""));
    const rounded = isFloat ? Math.fround(value) : value;
    if (!Number.isFinite(rounded)) {
      throw this.#fault(token, `a number that fits into a ${isFloat ? "float" : "double"}`);
    }
    return new Approximate(rounded, isFloat);
  }

  #choices(): ReadonlySet<string> {
    const choices = new Set<string>();
    this.#expectSymbol("(");
    do {
      choices.add(this.#expect("string", "a text in quotes").text);
    } while (this.#acceptSymbol(","));
    this.#expectSymbol(")");
    return choices;
  }

  #pattern() {
    const pattern = this.#expect("string", "a pattern in quotes");
    let escape: string | undefined;
    if (this.#acceptKeyword("ESCAPE")) {
      const token = this.#expect("string", escapeCharacter);
      if ([...token.text].length !== 1) throw this.#fault(token, escapeCharacter);
      escape = token.text;
    }
    const found = likePattern(pattern.text, escape);
    if (typeof found === "string") throw this.#fault(pattern, found);
    return found;
  }

  #nameOf(expression: Expression, token: Token): string {
    if (expression.kind === "identifier") return expression.name;
    throw this.#fault(token, "a property's name");
  }

  #asCondition(expression: Expression, token: Token): Expression {
    const isValue =
      expression.kind === "arithmetic" ||
      expression.kind === "negate" ||
      (expression.kind === "literal" && typeof expression.value !== "boolean");
    if (isValue) throw this.#fault(token, "a condition, not a value");
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

  #isKeyword(keyword: string): boolean {
    const token = this.#peek();
    return token.kind === "keyword" && token.text === keyword;
  }

  #acceptKeyword(keyword: string): boolean {
    const found = this.#isKeyword(keyword);
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
    return this.#fault(this.#peek(), expected);
  }

  #fault(token: Token, expected: string): EverholdError {
    const { offset } = token;
    return selectorError({ text: this.#text, offset, found: nameOfToken(token), expected });
  }
}

function isComparison(text: string): text is ComparisonOperator {
  return (
    text === "=" || text === "<>" || text === "<" || text === "<=" || text === ">" || text === ">="
  );
}
