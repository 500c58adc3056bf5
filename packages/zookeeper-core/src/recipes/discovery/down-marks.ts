import type { MonotonicClock } from "@everhold/env";
import { discoveryLimits } from "./discovery-limits.ts";

/** When instances count as down. */
export interface DownOptions {
  /** Errors after which an instance is not picked for a while. Default 2. */
  readonly errorCountMax?: number;
  /** Milliseconds from the first of them, after which all are forgotten. Default 30 s. */
  readonly downTime?: number;
}

interface Mark {
  errorCount: number;
  readonly untilMs: number;
}

/** The instances that failed lately, by what tells them apart. */
export class DownMarks {
  readonly #clock: MonotonicClock;
  readonly #options: Required<DownOptions>;
  /** The one that failed first is the first. */
  readonly #marks = new Map<string, Mark>();

  constructor(clock: MonotonicClock, options: Required<DownOptions>) {
    this.#clock = clock;
    this.#options = options;
  }

  /** One has failed. */
  note(key: string): void {
    this.#forgetOld();
    const mark = this.#marks.get(key);
    if (mark !== undefined) {
      mark.errorCount += 1;
      return;
    }
    const untilMs = this.#clock.nowMs() + this.#options.downTime;
    this.#marks.set(key, { errorCount: 1, untilMs });
    if (this.#marks.size <= discoveryLimits.downMarkCountMax) return;
    for (const oldest of this.#marks.keys()) {
      this.#marks.delete(oldest);
      break;
    }
  }

  /** Whether it is not to be picked now. */
  isDown(key: string): boolean {
    const mark = this.#marks.get(key);
    if (mark === undefined || mark.untilMs <= this.#clock.nowMs()) return false;
    return mark.errorCount >= this.#options.errorCountMax;
  }

  #forgetOld(): void {
    const nowMs = this.#clock.nowMs();
    for (const [key, { untilMs }] of this.#marks) {
      if (untilMs > nowMs) break;
      this.#marks.delete(key);
    }
  }
}
