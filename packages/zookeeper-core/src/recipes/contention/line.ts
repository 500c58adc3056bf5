import { compareSequences, sequenceOf } from "../../protocol/create-mode.ts";

/** One who stands in line, by the name of its node. */
export interface Place {
  /** The node's name. */
  readonly name: string;
  /** What it is there for: what its name has before the number. */
  readonly kind: string;
  /** The number that the server has put behind its name. */
  readonly sequence: number;
}

/**
 * For whom the one at `ownIndex` waits, itself included; `undefined` when it is its turn. It must be its turn for as
 * long as it stands there, whoever comes after it, and wherever the one that is given still stands before it, it must
 * not be.
 */
export type Rule = (line: readonly Place[], ownIndex: number) => Place | undefined;

/**
 * Those of `names` that stand in line, the first one first. Names that have none of the kinds are nobody's. Where two
 * have the same number, the kind that is listed first goes first.
 */
export function lineOf(names: readonly string[], kinds: readonly string[]): readonly Place[] {
  const line: Place[] = [];
  for (const name of names) {
    const place = placeOf(name, kinds);
    if (place !== undefined) line.push(place);
  }
  return line.toSorted(
    (one, other) =>
      compareSequences(one.sequence, other.sequence) ||
      kinds.indexOf(one.kind) - kinds.indexOf(other.kind) ||
      (one.name < other.name ? -1 : 1),
  );
}

function placeOf(name: string, kinds: readonly string[]): Place | undefined {
  for (const kind of kinds) {
    const at = name.lastIndexOf(kind);
    const sequence = at < 0 ? undefined : sequenceOf(name.slice(at), kind);
    if (sequence !== undefined) return { name, kind, sequence };
  }
  return undefined;
}

/** Only the first has its turn; everybody waits for the one before. */
export const oneAtATime: Rule = (line, ownIndex) => line[ownIndex - 1];
