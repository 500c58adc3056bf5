import { EverholdError } from "@everhold/base";

/** How many characters of a selector are shown around the place of an error. */
const excerptChars = 60;

/** What every refusal of a selector says. */
export interface SelectorFault {
  /** The whole selector. */
  readonly text: string;
  /** Where it is, in UTF-16 units from 0. */
  readonly offset: number;
  readonly found: string;
  readonly expected: string;
}

/**
 * The error that every refusal of a selector uses, EVH_INVALID_FILTER: what was found, where, what was
 * expected; then the place itself with a caret under it, cut out of a longer selector.
 */
export function selectorError({ text, offset, found, expected }: SelectorFault): EverholdError {
  return new EverholdError(
    "EVH_INVALID_FILTER",
    `cannot read the filter: found ${found} at character ${offset + 1}, expected ${expected}\n${excerpt(text, offset)}`,
  );
}

function excerpt(text: string, offset: number): string {
  const start = Math.max(0, Math.min(offset - excerptChars / 2, text.length - excerptChars));
  const end = Math.min(text.length, start + excerptChars);
  // One column for each character: line ends and tabs would move the caret away from its place.
  const column = (from: number, to: number): string[] =>
    [...text.slice(from, to)].map((one) => (/[\p{C}\p{Z}]/u.test(one) ? " " : one));
  const before = column(start, offset);
  const lead = start > 0 ? "…" : "";
  const tail = end < text.length ? "…" : "";
  const shown = `${lead}${before.join("")}${column(offset, end).join("")}${tail}`;
  return `  ${shown.trimEnd()}\n  ${" ".repeat(lead.length + before.length)}^`;
}
