import { assert } from "@everhold/base";
import type { Random } from "./random.ts";

/** The bounds of a {@link Backoff}, in milliseconds. */
export interface BackoffBounds {
  readonly minMs: number;
  readonly maxMs: number;
  /** Up to how many times the last pause the next one may be; with 1 all are `minMs`. Default 3. */
  readonly multiplier?: number;
}

/**
 * The pauses between attempts: decorrelated jitter, so that many clients of a broker that went away
 * do not come back in step. Each pause is random between the least one and so many times the last.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export class Backoff {
  readonly #bounds: BackoffBounds;
  readonly #random: Pick<Random, "uint32">;
  #lastMs: number;

  constructor(bounds: BackoffBounds, random: Pick<Random, "uint32">) {
    assert(bounds.minMs > 0, "a pause of nothing would spin");
    assert(bounds.maxMs >= bounds.minMs, "the longest pause is not shorter than the least");
    assert((bounds.multiplier ?? 1) >= 1, "pauses do not shrink");
    this.#bounds = bounds;
    this.#random = random;
    this.#lastMs = bounds.minMs;
  }

  /** How long to wait before the next attempt, in milliseconds. */
  nextMs(): number {
    const { minMs, maxMs, multiplier = 3 } = this.#bounds;
    const fraction = this.#random.uint32() / 0x1_0000_0000;
    const spread = Math.max(0, this.#lastMs * multiplier - minMs);
    this.#lastMs = Math.min(maxMs, Math.floor(minMs + fraction * spread));
    return this.#lastMs;
  }

  /** Starts anew after a success that lasted. */
  reset(): void {
    this.#lastMs = this.#bounds.minMs;
  }
}
