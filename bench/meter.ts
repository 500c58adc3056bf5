import { LatencyHistogram } from "./latency-histogram.ts";
import type { Measurement } from "./task.ts";

/** Time before the measurement, as a share of its own time: compilers and caches get warm. */
export const warmUpShare = 0.2;

/** Counts and times what ends after the warm-up, until the time is over. */
export class Meter {
  readonly #latencies = new LatencyHistogram();
  readonly #beginMs: number;
  readonly #endMs: number;
  #count = 0;
  #lastMs = 0;

  constructor(seconds: number) {
    this.#beginMs = performance.now() + seconds * warmUpShare * 1_000;
    this.#endMs = this.#beginMs + seconds * 1_000;
    this.#lastMs = this.#beginMs;
  }

  isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  record(startedMs: number): void {
    const nowMs = performance.now();
    if (nowMs < this.#beginMs || nowMs > this.#endMs) return;
    this.#count++;
    this.#lastMs = nowMs;
    this.#latencies.record(nowMs - startedMs);
  }

  /** The rate is over the time in which something ended: a queue may be empty before the end. */
  result(): Measurement {
    const seconds = Math.max(0.001, (this.#lastMs - this.#beginMs) / 1_000);
    return {
      perSecond: Math.round(this.#count / seconds),
      p50: this.#latencies.percentile(0.5),
      p99: this.#latencies.percentile(0.99),
      count: this.#count,
    };
  }
}
