import { assert } from "@everhold/base";

/**
 * What a snapshot said about the rows of one lane, kept during recovery only. A long lane is written in
 * several sections, each true as of another position; a record is skipped for a row when the section that
 * covers the row was written after it.
 */
export class RestoredRanges {
  readonly #ends: number[] = [];
  readonly #asOfs: number[] = [];

  /** Where the sequences that are covered so far end. */
  get end(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** Adds the range from the end of the last one to `end`, true as of `asOf`. */
  add(end: number, asOf: number): void {
    assert(end >= this.end, "ranges of a lane are restored in order");
    this.#ends.push(end);
    this.#asOfs.push(asOf);
  }

  /** Whether the snapshot already holds what the record at `position` did to the row of `sequence`. */
  covers(sequence: number, position: number): boolean {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) <= sequence) low = middle + 1;
      else high = middle;
    }
    return position < (this.#asOfs[low] ?? 0);
  }
}
