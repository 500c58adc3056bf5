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
  #cpuBefore: NodeJS.CpuUsage | undefined;

  /** `warmUpSeconds`: default a share of `seconds`. */
  constructor(seconds: number, warmUpSeconds = seconds * warmUpShare) {
    this.#beginMs = performance.now() + warmUpSeconds * 1_000;
    this.#endMs = this.#beginMs + seconds * 1_000;
    this.#lastMs = this.#beginMs;
  }

  isOver(): boolean {
    return performance.now() >= this.#endMs;
  }

  record(startedMs: number): void {
    const nowMs = performance.now();
    if (nowMs < this.#beginMs || nowMs > this.#endMs) return;
    this.#cpuBefore ??= process.cpuUsage();
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
      cpu: cpuSince(this.#cpuBefore, this.#count),
    };
  }
}

/** µs of this process' CPU time for each of `count` since `before`, which is the first one's begin. */
export function cpuSince(before: NodeJS.CpuUsage | undefined, count: number): number {
  if (before === undefined || count === 0) return 0;
  const { user, system } = process.cpuUsage(before);
  return Math.round(((user + system) / count) * 100) / 100;
}
