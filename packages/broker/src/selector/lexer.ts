import { EverholdError } from "@everhold/base";

/** What a token is. Keywords are told from identifiers without regard to case. */
export type TokenKind =
  | "keyword"
  | "identifier"
  | "string"
  | "exact"
  | "approximate"
  | "symbol"
  | "end";

/** One word of a selector. `text` is upper case for keywords and the content for strings. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins, in UTF-16 units from 0, for messages to people. */
  readonly offset: number;
}

const keywords: ReadonlySet<string> = new Set([
  "AND",
  "OR",
  "NOT",
  "BETWEEN",
  "IN",
  "LIKE",
  "ESCAPE",
  "IS",
  "NULL",
  "TRUE",
  "FALSE",
]);

// Java's numbers: hexadecimal, floating point (with a point or an exponent), then decimal and octal.
const hexadecimal = /0[xX][0-9a-fA-F]+[lL]?/y;
const approximate = /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFdD]?/y;
const exact = /\d+[lL]?/y;
const identifier = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Mn}\p{Mc}\p{Nd}]*/uy;
const symbol = /<>|<=|>=|[=<>+\-*/%(),]/y;
const space = /\s+/y;

/**
 * Cuts a selector into tokens; the last one is always `end`.
 * Source: Jakarta Messaging 3.1, section 3.8.1.1.
 *
 * @throws EverholdError EVH_INVALID_FILTER
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  while (offset < text.length) {
    const blank = matchAt(space, text, offset);
    if (blank !== undefined) {
      offset += blank.length;
      continue;
    }
    const token = text[offset] === "'" ? readString(text, offset) : readWord(text, offset);
    tokens.push(token.token);
    offset = token.next;
  }
  tokens.push({ kind: "end", text: "the end", offset });
  return tokens;
}

/** The error that every refusal of a selector uses: what was found, where, what was expected. */
export function selectorError(text: string, found: Token, expected: string): EverholdError {
  return new EverholdError(
    "EVH_INVALID_FILTER",
    `the filter "${text}" has ${found.text} at character ${found.offset + 1} where ${expected} is expected`,
  );
}

interface TokenRead {
  readonly token: Token;
  readonly next: number;
}

function readWord(text: string, offset: number): TokenRead {
  const number = matchAt(hexadecimal, text, offset);
  if (number !== undefined) return take("exact", number, offset);
  const fraction = matchAt(approximate, text, offset);
  if (fraction !== undefined) return take("approximate", fraction, offset);
  const integer = matchAt(exact, text, offset);
  if (integer !== undefined) return take("exact", integer, offset);
  const word = matchAt(identifier, text, offset);
  if (word !== undefined) {
    const upper = word.toUpperCase();
    if (!keywords.has(upper)) return take("identifier", word, offset);
    return { token: { kind: "keyword", text: upper, offset }, next: offset + word.length };
  }
  const sign = matchAt(symbol, text, offset);
  if (sign !== undefined) return take("symbol", sign, offset);
  const found: Token = { kind: "symbol", text: text[offset] ?? "", offset };
  throw selectorError(text, found, "a name, a literal or an operator");
}

function readString(text: string, offset: number): TokenRead {
  let content = "";
  let next = offset + 1;
  for (;;) {
    const quote = text.indexOf("'", next);
    if (quote < 0) {
      const found: Token = { kind: "string", text: "an unclosed string", offset };
      throw selectorError(text, found, "a closing quote");
    }
    content += text.slice(next, quote);
    next = quote + 1;
    if (text[next] !== "'") break;
    content += "'";
    next += 1;
  }
  return { token: { kind: "string", text: content, offset }, next };
}

function take(kind: TokenKind, text: string, offset: number): TokenRead {
  return { token: { kind, text, offset }, next: offset + text.length };
}

function matchAt(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0];
}
