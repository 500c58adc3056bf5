import { laneCountMax, laneOfKey, sequenceOfKey } from "./row-key.ts";

/**
 * A place in a queue that stays right while rows come and go: for each lane the sequence to look at
 * next. 256 bytes; for browsers and consumers with a filter, not for single messages.
 */
export class ScanCursor {
  readonly #next = new Float64Array(laneCountMax);

  /** Starts again at the queue's head. */
  reset(): void {
    this.#next.fill(0);
  }

  /** The sequence to look at next in a lane. */
  next(lane: number): number {
    return this.#next[lane] ?? 0;
  }

  /** Moves behind a row. */
  pass(key: number): void {
    this.#next[laneOfKey(key)] = sequenceOfKey(key) + 1;
  }

  /** Moves behind all rows of a lane, those to come as well. */
  passLane(lane: number): void {
    this.#next[lane] = Number.MAX_SAFE_INTEGER;
  }

  /** Moves back to a row if it was passed, because it has become ready again. */
  rewind(key: number): void {
    const lane = laneOfKey(key);
    const sequence = sequenceOfKey(key);
    if (sequence < this.next(lane)) this.#next[lane] = sequence;
  }
}
