import { assert } from "@everhold/base";

/** Something that happens when its position is committed, for the rare cases an answer is not enough. */
export interface DeferredWork {
  run(): void;
}

/** Who waits. Its answers are given in the order in which they were asked for. */
export interface Waiting {
  /**
   * The position is committed.
   *
   * @param correlation of the NULL_RESPONSE to send; meaningless unless `answer` is `true`
   * @param answer `true` for a NULL_RESPONSE, bytes for a frame that is ready, work to do, or nothing
   * @param countedBytes size of the request's frame when it counts for the confirmation window, else 0
   */
  settle(correlation: number, answer: Answer, countedBytes: number): void;
}

/** What is to be sent or done once a position is committed. */
export type Answer = boolean | Uint8Array | DeferredWork;

const slotsMin = 1024;

/**
 * Everything that waits for a commit, ordered by position. One ring of parallel arrays: no object, no
 * closure and no promise per request (ARCHITECTURE.md, "The broker's engine").
 *
 * Invariant: positions never decrease from head to tail.
 */
export class Waiters {
  #positions = new Float64Array(slotsMin);
  #correlations = new Float64Array(slotsMin);
  #countedBytes = new Uint32Array(slotsMin);
  #waiting: (Waiting | undefined)[] = new Array<Waiting | undefined>(slotsMin).fill(undefined);
  #answers: Answer[] = new Array<Answer>(slotsMin).fill(false);
  #head = 0;
  #count = 0;

  /** How many wait. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds one that waits for everything before `position`. A position before the newest one in the ring
   * waits for that one: later than needed by one batch at most, and the order stays simple.
   */
  push(
    position: number,
    waiting: Waiting,
    correlation: number,
    answer: Answer,
    countedBytes: number,
  ): void {
    if (this.#count === this.#positions.length) this.#grow();
    const mask = this.#positions.length - 1;
    const slot = (this.#head + this.#count) & mask;
    const newest = this.#count === 0 ? 0 : (this.#positions[(slot - 1) & mask] ?? 0);
    this.#positions[slot] = position < newest ? newest : position;
    this.#correlations[slot] = correlation;
    this.#countedBytes[slot] = countedBytes;
    this.#waiting[slot] = waiting;
    this.#answers[slot] = answer;
    this.#count += 1;
  }

  /** Settles all that waited for positions up to `commitPosition`. */
  drain(commitPosition: number): void {
    while (this.#count > 0) {
      const slot = this.#head;
      if ((this.#positions[slot] ?? 0) > commitPosition) return;
      const waiting = this.#waiting[slot];
      const answer = this.#answers[slot] ?? false;
      const correlation = this.#correlations[slot] ?? 0;
      const countedBytes = this.#countedBytes[slot] ?? 0;
      this.#waiting[slot] = undefined;
      this.#answers[slot] = false;
      this.#head = (slot + 1) & (this.#positions.length - 1);
      this.#count -= 1;
      assert(waiting !== undefined, "an occupied slot names who waits");
      waiting.settle(correlation, answer, countedBytes);
    }
  }

  #grow(): void {
    const slots = this.#positions.length * 2;
    const positions = new Float64Array(slots);
    const correlations = new Float64Array(slots);
    const countedBytes = new Uint32Array(slots);
    const waiting = new Array<Waiting | undefined>(slots).fill(undefined);
    const answers = new Array<Answer>(slots).fill(false);
    for (let index = 0; index < this.#count; index += 1) {
      const slot = (this.#head + index) & (this.#positions.length - 1);
      positions[index] = this.#positions[slot] ?? 0;
      correlations[index] = this.#correlations[slot] ?? 0;
      countedBytes[index] = this.#countedBytes[slot] ?? 0;
      waiting[index] = this.#waiting[slot];
      answers[index] = this.#answers[slot] ?? false;
    }
    this.#positions = positions;
    this.#correlations = correlations;
    this.#countedBytes = countedBytes;
    this.#waiting = waiting;
    this.#answers = answers;
    this.#head = 0;
  }
}
