import { deferred } from "@everhold/base";
import {
  ZooKeeperError,
  type BoundSession,
  type Stat,
  type WaitOptions,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { leaseTickTime, type Contest, type Turn } from "./turn.ts";

/**
 * The simplest thing that can be right: whoever creates an ephemeral node has the turn for as long as a lease stands on
 * it, and all others watch that node. It shows what the lease alone is worth, and what a herd is.
 */
export class NodeContest implements Contest {
  readonly #client: ZooKeeper;
  readonly #path: string;

  constructor(client: ZooKeeper, path: string) {
    this.#client = client;
    this.#path = path;
  }

  take(wait: WaitOptions): Promise<Turn> {
    const taken = deferred<Turn>();
    const work = this.#client.inSession(async (bound) => {
      const stat = await this.#create(bound, wait);
      try {
        const { version } = stat;
        const lease = await bound.lease({
          path: this.#path,
          version,
          tickTime: leaseTickTime,
          ...wait,
        });
        const released = deferred<void>();
        const release = (): Promise<void> => {
          released.resolve();
          return work;
        };
        taken.resolve({ token: stat.czxid, isHeld: () => lease.isHeld(), release });
        await released.promise;
        lease.close();
      } finally {
        await bound.client.delete(this.#path, { expected: stat, guaranteed: true });
      }
    }, wait);
    // Nothing happens where it was taken: then whoever releases it is told.
    work.catch((error: unknown) => taken.reject(error));
    return taken.promise;
  }

  async close(): Promise<void> {
    // Its turns have ended, and it has nothing else.
  }

  /** Creates the node when nobody has it. */
  async #create({ client, sessionId }: BoundSession, wait: WaitOptions): Promise<Stat> {
    for (;;) {
      try {
        return (await client.create(this.#path, "", { mode: "ephemeral", ...wait })).stat;
      } catch (error) {
        if (!isOfReason(error, "NODEEXISTS")) throw error;
      }
      const gone = deferred<void>();
      try {
        const watch = (): void => gone.resolve();
        const { stat } = await client.getData(this.#path, { watch, ...wait });
        // An earlier attempt was answered by nobody, and succeeded.
        if (stat.ephemeralOwner === sessionId) return stat;
      } catch (error) {
        if (!isOfReason(error, "NONODE")) throw error;
        continue;
      }
      await orAborted(gone.promise, wait.signal);
    }
  }
}

function isOfReason(error: unknown, reason: string): boolean {
  return error instanceof ZooKeeperError && error.reason === reason;
}

async function orAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const aborted = deferred<void>();
  const onAbort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}
