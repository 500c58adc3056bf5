import { EverholdError } from "@everhold/base";

import { isName } from "../engine/names.ts";
import { limits } from "../limits.ts";

const anyWords = "#";
const oneWord = "*";
const delimiter = ".";

/** Whether a name stands for others: one of its words is `*` or `#`. */
export function isWild(name: string): boolean {
  if (!name.includes(anyWords) && !name.includes(oneWord)) return false;
  return name.split(delimiter).some((word) => word === anyWords || word === oneWord);
}

/**
 * Names that are matched word by word; words are separated by `.`. `*` stands for one word that is not empty,
 * `#` for any number of words, none as well: `news.#` matches `news` and `news.eu.uk`.
 * Source: Artemis' documentation "wildcard-syntax".
 */
export class AddressMatch {
  readonly text: string;
  readonly isWild: boolean;
  readonly #words: readonly string[];

  constructor(text: string) {
    this.text = text;
    this.#words = text.split(delimiter);
    this.isWild = this.#words.some((word) => word === anyWords || word === oneWord);
  }

  /** Whether a name is one of those meant; `words` is the name split at its dots. */
  matches(words: readonly string[]): boolean {
    const pattern = this.#words;
    let at = 0;
    let index = 0;
    // Where the newest `#` stands, and how far its words reach: only the newest can have to take more.
    let anyAt = -1;
    let anyEnd = 0;
    while (index < words.length) {
      const wanted = pattern[at];
      if (wanted === anyWords) {
        anyAt = at;
        anyEnd = index;
        at += 1;
      } else if (wanted !== undefined && isWordMatch(wanted, words[index] ?? "")) {
        at += 1;
        index += 1;
      } else if (anyAt >= 0) {
        anyEnd += 1;
        index = anyEnd;
        at = anyAt + 1;
      } else return false;
    }
    while (pattern[at] === anyWords) at += 1;
    return at === pattern.length;
  }

  /**
   * Orders the matches of one name, the most specific first: without `#` before with it; with `#` the longer
   * text first; else the one whose first `*` comes later.
   * Source: Artemis, `HierarchicalObjectRepository.MatchComparator`; it leaves open which of two is first that
   * are equal by these rules.
   */
  static compare(one: AddressMatch, other: AddressMatch): number {
    const oneHasAny = one.#words.includes(anyWords);
    const otherHasAny = other.#words.includes(anyWords);
    if (oneHasAny !== otherHasAny) return oneHasAny ? 1 : -1;
    if (oneHasAny && one.text.length !== other.text.length) {
      return other.text.length - one.text.length;
    }
    for (const [index, word] of one.#words.entries()) {
      const isLoose = word === oneWord;
      if (isLoose !== (other.#words[index] === oneWord)) return isLoose ? 1 : -1;
    }
    if (one.text === other.text) return 0;
    return one.text < other.text ? -1 : 1;
  }
}

/**
 * The match of settings: as Artemis, where `#` may only be the last word, and a `.` before it may be missing
 * (`activemq.management#`).
 *
 * @throws EverholdError EVH_CONFIG for a text that is no match
 */
export function settingsMatch(text: string): AddressMatch {
  const normal = soundMatch(text);
  if (normal !== undefined) return new AddressMatch(normal);
  throw new EverholdError(
    "EVH_CONFIG",
    `cannot use the match "${text.slice(0, 100)}" of address settings: expected 1 to ${limits.nameCharsMax} characters without "::", in which "*" is a whole word and "#" the last one`,
  );
}

/** Whether a text is a match of settings. */
export function isMatch(text: string): boolean {
  return soundMatch(text) !== undefined;
}

function soundMatch(text: string): string | undefined {
  const normal = text.length > 1 && /[^.]#$/.test(text) ? `${text.slice(0, -1)}.#` : text;
  const words = normal.split(delimiter);
  const isSound = words.every(
    (word, index) =>
      (word === anyWords && index === words.length - 1) ||
      word === oneWord ||
      !(word.includes(anyWords) || word.includes(oneWord)),
  );
  return isSound && isName(normal) ? normal : undefined;
}

function isWordMatch(wanted: string, word: string): boolean {
  return wanted === oneWord ? word !== "" : wanted === word;
}
