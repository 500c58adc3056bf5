import { stateLimits } from "./state-limits.ts";

/**
 * Up to which sequence a lane may hand out rows. The limit is a record: what was below it when the broker
 * died may have been handed out, what was above certainly was not. A raised limit counts only once its
 * record is committed.
 */
export class DispatchLimit {
  #limit = 0;
  #limitPosition = -1;
  #committedLimit = 0;
  #step: number = stateLimits.dispatchLimitStepMin;

  /** The highest limit, committed or not: the first sequence that may not be handed out. */
  get limit(): number {
    return this.#limit;
  }

  /** Applies a record. A lower limit than before changes nothing, so that a replay may repeat itself. */
  raise(limit: number, position: number, commitPosition: number): void {
    if (this.#limitPosition < commitPosition) this.#committedLimit = this.#limit;
    if (limit <= this.#limit) return;
    this.#limit = limit;
    this.#limitPosition = position;
  }

  /**
   * The limit that there should be when `sequence` is about to be handed out: the one there is, or one that
   * runs ahead. It runs further ahead where little was logged since the last time, so that a busy lane
   * writes few records, and a quiet one has few rows below its limit that were never handed out.
   */
  nextLimit(sequence: number, endPosition: number): number {
    if (sequence + this.#step / 2 < this.#limit) return this.#limit;
    if (this.#limitPosition >= 0) {
      const isSoon = endPosition - this.#limitPosition < stateLimits.dispatchLimitSpacingBytes;
      const step = isSoon ? this.#step * 2 : this.#step / 2;
      this.#step = Math.min(
        Math.max(step, stateLimits.dispatchLimitStepMin),
        stateLimits.dispatchLimitStepMax,
      );
    }
    return sequence + this.#step;
  }

  /** Whether a sequence may be handed out now. */
  allows(sequence: number, commitPosition: number): boolean {
    if (sequence < this.#committedLimit) return true;
    return sequence < this.#limit && this.#limitPosition < commitPosition;
  }
}
