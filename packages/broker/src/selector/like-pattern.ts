import { limits } from "../limits.ts";
import type { LikePart, LikePattern } from "./expression.ts";

/** What ESCAPE takes, for messages to people. */
export const escapeCharacter = "one character in quotes";

/**
 * Reads a pattern of LIKE: `%` any number of characters, `_` one; what follows `escape` stands for itself.
 * For a pattern that is none the answer is what was expected instead; also for one with `_` that is longer
 * than `limits.likePositionsMax`, whose cost grows with the value's length.
 */
export function likePattern(text: string, escape: string | undefined): LikePattern | string {
  const parts: LikePart[] = [];
  let escaped = false;
  for (const character of text) {
    if (!escaped && character === escape) escaped = true;
    else {
      if (escaped || (character !== "%" && character !== "_")) parts.push({ literal: character });
      else if (character === "_") parts.push("one");
      else if (parts.at(-1) !== "many") parts.push("many");
      escaped = false;
    }
  }
  if (escaped) return "a character after the escape character";
  if (!parts.includes("one")) return { texts: textsBetween(parts) };
  if (parts.length > limits.likePositionsMax) {
    return `at most ${limits.likePositionsMax} characters in a pattern with "_"`;
  }
  return { parts };
}

/** Costs no more than a few passes over the value: patterns come from users, values may be megabytes. */
export function matchesPattern(value: string, pattern: LikePattern): boolean {
  return "texts" in pattern
    ? matchesTexts(value, pattern.texts)
    : matchesParts(value, pattern.parts);
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
