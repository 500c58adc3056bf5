import { EverholdError } from "@everhold/base";
import { limits } from "../limits.ts";
import { ZooKeeperError } from "../errors.ts";
import type { RequestWait } from "../session/request.ts";
import { type RetryContext, withRetry } from "./retry-loop.ts";
import { retries } from "./retry-policy.ts";

/** Runs what must be done some time, though nobody waits for it. */
export type RunAfterwards = (what: string, task: (wait: RequestWait) => Promise<void>) => void;

/**
 * Makes a {@link RunAfterwards}: each task is tried until it succeeds or the client is closed. A task may run again after
 * an attempt of which nobody knows the effect. What a server refuses for good goes to `onError`.
 */
export function runnerAfterwards(
  context: RetryContext,
  onError: (error: unknown) => void,
): RunAfterwards {
  const policy = retries.exponential({ maxMs: limits.afterwardsPauseMsMax });
  const options = { timeout: Infinity, retry: policy };
  let taskCount = 0;
  return (what, task) => {
    if (context.closed.aborted) return;
    if (taskCount >= limits.afterwardsCountMax) {
      const found = `${taskCount} things are to be done afterwards already`;
      return onError(new EverholdError("EVH_OVERLOADED", `Cannot ${what}: ${found}`));
    }
    taskCount += 1;
    withRetry(context, options, "repeatable", (wait) => task(wait).catch(rethrowUnsent))
      .catch((error: unknown) => {
        if (!context.closed.aborted) onError(error);
      })
      .finally(() => (taskCount -= 1))
      .catch(onError);
  };
}

/** The session's line was full: nothing has left, so that there is no reason to give up. */
function rethrowUnsent(error: unknown): never {
  if (!EverholdError.is(error, "EVH_OVERLOADED")) throw error;
  const details = { reason: "CONNECTIONLOSS", cause: error } as const;
  throw new ZooKeeperError("EVH_UNSENT", error.message, details);
}
