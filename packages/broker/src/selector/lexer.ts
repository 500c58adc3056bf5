import { selectorError } from "./selector-error.ts";

/** What a token is. Keywords are told from identifiers without regard to case. */
export type TokenKind =
  | "keyword"
  | "identifier"
  | "string"
  | "exact"
  | "approximate"
  | "symbol"
  | "end";

/** One word of a selector. `text` is upper case for keywords and the content for quoted ones. */
export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins, in UTF-16 units from 0, for messages to people. */
  readonly offset: number;
}

/** Where to begin, and what a name may consist of. */
export interface TokenizeOptions {
  /** UTF-16 units that come before the selector proper. */
  readonly start: number;
  /** Whether a hyphen belongs to the name that it follows: `hyphenated_props:`. */
  readonly hyphens: boolean;
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

// Java's numbers: hexadecimal, floating point (with a point, an exponent or a suffix), then decimal and octal.
const hexadecimal = /0[xX][0-9a-fA-F]+[lL]?/y;
const approximate =
  /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFdD]?|\d+[fFdD]/y;
const exact = /\d+[lL]?/y;
const identifier = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Mn}\p{Mc}\p{Nd}]*/uy;
const hyphenated = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Mn}\p{Mc}\p{Nd}-]*/uy;
const symbol = /<>|<=|>=|[=<>+\-*/%(),]/y;
const comment = /--|\/\*/y;
const space = /\s+/y;

/**
 * Cuts a selector into tokens; the last one is always `end`. A name in double quotes may hold anything,
 * as in Artemis. There are no comments, as the specification says.
 * Source: Jakarta Messaging 3.1, section 3.8.1.1.
 *
 * @throws EverholdError EVH_INVALID_FILTER
 */
export function tokenize(text: string, { start, hyphens }: TokenizeOptions): Token[] {
  const tokens: Token[] = [];
  let offset = start;
  while (offset < text.length) {
    const blank = matchAt(space, text, offset);
    if (blank !== undefined) {
      offset += blank.length;
      continue;
    }
    const first = text[offset];
    const isQuoted = first === "'" || first === '"';
    const token = isQuoted ? readQuoted(text, offset, first) : readWord(text, offset, hyphens);
    tokens.push(token.token);
    offset = token.next;
  }
  tokens.push({ kind: "end", text: "the end", offset });
  return tokens;
}

/** How a token is named to people. */
export function nameOfToken({ kind, text }: Token): string {
  return kind === "end" ? text : `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`;
}

interface TokenRead {
  readonly token: Token;
  readonly next: number;
}

function readWord(text: string, offset: number, hyphens: boolean): TokenRead {
  const number = matchAt(hexadecimal, text, offset);
  if (number !== undefined) return take("exact", number, offset);
  const fraction = matchAt(approximate, text, offset);
  if (fraction !== undefined) return take("approximate", fraction, offset);
  const integer = matchAt(exact, text, offset);
  if (integer !== undefined) return take("exact", integer, offset);
  const word = matchAt(hyphens ? hyphenated : identifier, text, offset);
  if (word !== undefined) {
    const upper = word.toUpperCase();
    if (!keywords.has(upper)) return take("identifier", word, offset);
    return { token: { kind: "keyword", text: upper, offset }, next: offset + word.length };
  }
  const expected = "a name, a literal or an operator";
  const found = matchAt(comment, text, offset);
  // Two signs are not a comment: `a --1` is `a - -1`.
  if (found === "/*") {
    throw selectorError({ text, offset, found: "a comment", expected: "none" });
  }
  const sign = matchAt(symbol, text, offset);
  if (sign !== undefined) return take("symbol", sign, offset);
  const character = String.fromCodePoint(text.codePointAt(offset) ?? 0);
  throw selectorError({ text, offset, found: `"${character}"`, expected });
}

/** A text in single quotes or a name in double ones; two quotes in it stand for one. */
function readQuoted(text: string, offset: number, quote: "'" | '"'): TokenRead {
  const kind = quote === "'" ? "string" : "identifier";
  let content = "";
  let next = offset + 1;
  for (;;) {
    const end = text.indexOf(quote, next);
    if (end < 0) {
      const found = quote === "'" ? "an unclosed text" : "an unclosed name";
      throw selectorError({ text, offset, found, expected: `a closing ${quote}` });
    }
    content += text.slice(next, end);
    next = end + 1;
    if (text[next] !== quote) break;
    content += quote;
    next += 1;
  }
  if (kind === "identifier" && content === "") {
    throw selectorError({ text, offset, found: "an empty name", expected: "a property's name" });
  }
  return { token: { kind, text: content, offset }, next };
}

function take(kind: TokenKind, text: string, offset: number): TokenRead {
  return { token: { kind, text, offset }, next: offset + text.length };
}

function matchAt(pattern: RegExp, text: string, offset: number): string | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(text)?.[0];
}
