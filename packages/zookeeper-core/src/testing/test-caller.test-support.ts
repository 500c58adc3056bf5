import type { Timer } from "@everhold/env";
import { Prng } from "@everhold/base";
import { Caller } from "../api/caller.ts";
import type { RetryPolicy } from "../api/retry-policy.ts";
import type { RequestWait } from "../session/request.ts";
import { TreeRequests } from "./tree-requests.test-support.ts";

/** A caller on a tree; its pauses are over at once, and the clock shows how long they were. */
export interface TestCaller {
  readonly caller: Caller;
  readonly tree: TreeRequests;
  readonly clock: { nowMs: number };
  /** What is left to do afterwards. */
  readonly afterwards: ((wait: RequestWait) => Promise<void>)[];
  /** The session there is. */
  readonly session: { id: bigint };
}

/** Makes a caller that tries again up to `retryCount` times, with pauses of 10 ms. */
export function testCaller(
  options: { prefix?: string; retry?: RetryPolicy | false } = {},
): TestCaller {
  const tree = new TreeRequests();
  const clock = { nowMs: 0 };
  const prng = new Prng(1);
  const { prefix = "", retry = ({ failedCount }) => (failedCount > 5 ? undefined : 10) } = options;
  const afterwards: ((wait: RequestWait) => Promise<void>)[] = [];
  const session = { id: 1n };
  const context = {
    sessionId: () => session.id,
    afterwards: (_what: string, task: (wait: RequestWait) => Promise<void>) =>
      void afterwards.push(task),
    ports: {
      monotonicClock: { nowMs: () => clock.nowMs },
      timers: {
        after(delayMs: number, task: () => void): Timer {
          let isCancelled = false;
          queueMicrotask(() => {
            if (isCancelled) return;
            clock.nowMs += delayMs;
            task();
          });
          return { cancel: () => void (isCancelled = true) };
        },
        atTurnEnd: (task: () => void) => queueMicrotask(task),
      },
      random: { uint32: () => prng.uint32(), fill: (target: Uint8Array) => prng.fill(target) },
    },
    retry,
    requestTimeout: 10_000,
    closed: new AbortController().signal,
  };
  return { caller: new Caller(tree, context, prefix), tree, clock, afterwards, session };
}
