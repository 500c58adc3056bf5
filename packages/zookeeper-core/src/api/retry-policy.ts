import { EverholdError } from "@everhold/base";
import type { Random } from "@everhold/env";

/** What a {@link RetryPolicy} is asked about. */
export interface RetryQuestion {
  /** How many attempts have failed, from 1 on. */
  readonly failedCount: number;
  /** Milliseconds since the call began. */
  readonly elapsedMs: number;
  /** How long the pause before was, in ms; 0 at first. */
  readonly lastPauseMs: number;
  /** Why the last attempt failed. It is always something that may be tried again. */
  readonly error: EverholdError;
  readonly random: Pick<Random, "uint32">;
}

/** When to try again: the pause in ms, or `undefined` to give up with the last error. */
export type RetryPolicy = (question: RetryQuestion) => number | undefined;

/** What exponential pauses are told. */
export interface ExponentialOptions {
  /** The least pause, in ms. Default 100. */
  readonly baseMs?: number;
  /** The longest pause, in ms. Default 2000. */
  readonly maxMs?: number;
  /** How many attempts after the first. Default: as many as the call's time limit allows. */
  readonly retryCountMax?: number;
}

/**
 * Policies for the option `retry`. Whatever they say, the call's own time limit ends it, and nothing is tried again
 * that might take effect twice.
 */
export const retries = {
  /**
   * Pauses that grow at random, up to three times the last one, so that many clients do not come back in step.
   * What a client does where nothing else is said.
   */
  exponential(options: ExponentialOptions = {}): RetryPolicy {
    const baseMs = positive("baseMs", options.baseMs ?? 100);
    const maxMs = positive("maxMs", options.maxMs ?? 2000);
    const retryCountMax = notNegative("retryCountMax", options.retryCountMax ?? Infinity);
    return ({ failedCount, lastPauseMs, random }) => {
      if (failedCount > retryCountMax) return undefined;
      const spreadMs = Math.max(0, Math.max(baseMs, lastPauseMs) * 3 - baseMs);
      const fraction = random.uint32() / 0x1_0000_0000;
      return Math.min(maxMs, Math.floor(baseMs + fraction * spreadMs));
    };
  },

  /** `count` more attempts with the same pause before each. */
  nTimes(count: number, pauseMs = 1000): RetryPolicy {
    notNegative("count", count);
    notNegative("pauseMs", pauseMs);
    return ({ failedCount }) => (failedCount > count ? undefined : pauseMs);
  },

  /** One more attempt after a pause. */
  oneTime(pauseMs = 1000): RetryPolicy {
    return retries.nTimes(1, pauseMs);
  },

  /** More attempts until so much time has gone by since the call began. */
  untilElapsed(elapsedMsMax: number, pauseMs = 1000): RetryPolicy {
    notNegative("elapsedMsMax", elapsedMsMax);
    notNegative("pauseMs", pauseMs);
    return ({ elapsedMs }) => (elapsedMs >= elapsedMsMax ? undefined : pauseMs);
  },

  /** More attempts for ever; give the call a `timeout` of `Infinity` for that to be true. */
  forever(pauseMs = 1000): RetryPolicy {
    positive("pauseMs", pauseMs);
    return () => pauseMs;
  },
} as const;

function positive(name: string, value: number): number {
  return value > 0 ? value : refuse(name, value, "more than 0");
}

function notNegative(name: string, value: number): number {
  return value >= 0 ? value : refuse(name, value, "0 or more");
}

function refuse(name: string, value: number, expected: string): never {
  throw new EverholdError(
    "EVH_CONFIG",
    `Cannot make a retry policy: ${name} is ${value}, expected ${expected}`,
  );
}
