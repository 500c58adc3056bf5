import { deferred, EverholdError } from "@everhold/base";
import { LeaderSelector, type WaitOptions, type ZooKeeper } from "@everhold/zookeeper";

import { leaseTickTime, type Contest, type Turn } from "./turn.ts";

/** Terms of a selector, whose work lasts until somebody gives the turn back. */
export class SelectorContest implements Contest {
  readonly #selector: LeaderSelector;

  constructor(client: ZooKeeper, path: string) {
    this.#selector = new LeaderSelector(client, path, { tickTime: leaseTickTime });
  }

  async take({ timeout, signal }: WaitOptions): Promise<Turn> {
    const taken = deferred<Turn>();
    const waiting = new AbortController();
    const giveUp = (): void => waiting.abort();
    signal?.addEventListener("abort", giveUp);
    const timer = setTimeout(giveUp, timeout);
    const term = this.#selector.run(
      async (grant) => {
        const released = deferred<void>();
        const release = async (): Promise<void> => {
          released.resolve();
          await term.catch(refuseUnlessLost);
        };
        taken.resolve({ token: grant.token, isHeld: () => grant.isHeld(), release });
        await released.promise;
      },
      { signal: waiting.signal },
    );
    // Nothing happens where it was taken: then whoever releases it is told.
    term.catch((error: unknown) => taken.reject(error));
    try {
      return await taken.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    }
  }

  async close(): Promise<void> {
    // Its terms have ended, and it has nothing else.
  }
}

/** Whoever had the turn has asked, and knows that it was lost. */
function refuseUnlessLost(error: unknown): void {
  if (!EverholdError.is(error)) throw error;
}
