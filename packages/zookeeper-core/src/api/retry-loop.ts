import { EverholdError, listenForAbort } from "@everhold/base";
import {
  checkTimeout,
  type DeadlineMs,
  deadlineIn,
  pause,
  type Random,
  type WaitPorts,
} from "@everhold/env";
import { ZooKeeperError } from "../errors.ts";
import type { RequestWait } from "../session/request.ts";
import { optionError, type RequestOptions } from "./request-options.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** What retrying needs. */
export interface RetryContext {
  readonly ports: WaitPorts & { readonly random: Random };
  /** Where a call says nothing else. */
  readonly retry: RetryPolicy | false;
  /** Milliseconds for a call that says nothing else. */
  readonly requestTimeout: number;
  /** Aborted when the client is closed: pauses end then. */
  readonly closed: AbortSignal;
  /** The session that a call belongs to that says nothing else. Default: whichever there is. */
  readonly epoch?: number;
}

/** Options whose time limit has begun to run. */
export interface BoundedOptions extends RequestOptions {
  readonly deadlineMs?: DeadlineMs;
}

/**
 * `options` with a time limit that runs from now on over all requests that are made with them; one that runs already
 * goes on. @throws RangeError
 */
export function bounded<T extends BoundedOptions>(
  context: RetryContext,
  options: T,
): T & BoundedOptions {
  if (options.deadlineMs !== undefined) return options;
  const timeout = checkTimeout(options.timeout, context.requestTimeout);
  return { ...options, deadlineMs: deadlineIn(context.ports, timeout) };
}

/**
 * What may follow an attempt of which nobody knows the effect. `repeatable`: the same request again, because twice
 * is as good as once. `once`: only the caller can decide.
 */
export type Repetition = "repeatable" | "once";

/**
 * Attempts until one succeeds, fails for good, or the policy or the time limit ends it; then the last error is thrown.
 * Each attempt waits for a connection by itself, because a request that was not sent waits in the session's line.
 * @throws what `attempt` throws; RangeError for a timeout that can't be
 */
export async function withRetry<T>(
  context: RetryContext,
  options: BoundedOptions,
  repetition: Repetition,
  attempt: (wait: RequestWait) => Promise<T>,
): Promise<T> {
  const { ports, closed } = context;
  const { signal, epoch = context.epoch } = options;
  const deadlineMs = options.deadlineMs ?? bounded(context, options).deadlineMs ?? Infinity;
  const policy = options.retry ?? context.retry;
  if (policy !== false && typeof policy !== "function") {
    throw optionError("try again", "retry", policy, "a policy, as retries.exponential(), or false");
  }
  const startMs = ports.monotonicClock.nowMs();
  let lastPauseMs = 0;
  for (let failedCount = 1; ; failedCount += 1) {
    try {
      return await attempt({ deadlineMs, signal, epoch });
    } catch (error) {
      if (policy === false || !EverholdError.is(error)) throw error;
      if (!mayRepeat(error, repetition, epoch !== undefined)) throw error;
      const nowMs = ports.monotonicClock.nowMs();
      const elapsedMs = nowMs - startMs;
      const { random } = ports;
      const pauseMs = policy({ failedCount, elapsedMs, lastPauseMs, error, random });
      if (pauseMs === undefined || nowMs + pauseMs >= deadlineMs) throw error;
      lastPauseMs = pauseMs;
      // What ended the pause ends the next attempt too, with an error that says so.
      await pauseUnless(ports, pauseMs, [closed, signal]);
    }
  }
}

/** Whether another attempt can do no harm. */
export function mayRepeat(
  error: EverholdError,
  repetition: Repetition,
  isBoundToEpoch: boolean,
): boolean {
  const isHarmless = error.outcome === "none" || repetition === "repeatable";
  switch (error.code) {
    case "EVH_UNSENT":
      return true;
    case "EVH_DISCONNECTED":
      return isHarmless;
    case "EVH_SESSION_EXPIRED":
      return isHarmless && !isBoundToEpoch;
    case "EVH_ZOOKEEPER":
      return isHarmless && error.retryable;
    case "EVH_TIMEOUT":
      // The server's own time limit, not the caller's: that one is over.
      return isHarmless && error instanceof ZooKeeperError && error.reason === "OPERATIONTIMEOUT";
    default:
      return false;
  }
}

/** A pause that ends early when one of the signals is aborted. */
export async function pauseUnless(
  ports: WaitPorts,
  pauseMs: number,
  signals: readonly (AbortSignal | undefined)[],
): Promise<void> {
  const ended = new AbortController();
  const forgets = signals.map((signal) => {
    if (signal?.aborted === true) ended.abort();
    return signal === undefined ? undefined : listenForAbort(signal, () => ended.abort());
  });
  await pause(ports, pauseMs, ended.signal);
  for (const forget of forgets) forget?.();
}
