import { LeaderLatch, Mutex, type ZooKeeper } from "@everhold/zookeeper";

import { NodeContest } from "./node-contest.ts";
import { SelectorContest } from "./selector-contest.ts";
import { leaseTickTime, type Contest } from "./turn.ts";

/** By what processes agree whose turn it is. `node`: by hand, with nothing but a lease. */
export const contests = ["mutex", "latch", "selector", "node"] as const;

export type ContestName = (typeof contests)[number];

/** Where contenders have their nodes. */
export const contestPath = "/torture/contest";

/** Takes part under {@link contestPath}. */
export const joinContest: Readonly<Record<ContestName, (client: ZooKeeper) => Contest>> = {
  mutex(client) {
    const mutex = new Mutex(client, contestPath, { tickTime: leaseTickTime });
    return { take: (wait) => mutex.acquire(wait), close: async () => undefined };
  },
  latch(client) {
    const latch = new LeaderLatch(client, contestPath, { tickTime: leaseTickTime });
    latch.start();
    return {
      async take(wait) {
        const grant = await latch.awaitLeadership(wait);
        const { token } = grant;
        // Where only the lease had ended, the same node leads again: that is the same turn.
        const isHeld = (): boolean => latch.grant?.token === token;
        return { token, isHeld, release: () => grant.release() };
      },
      close: () => latch.close(),
    };
  },
  selector: (client) => new SelectorContest(client, contestPath),
  node: (client) => new NodeContest(client, `${contestPath}/holder`),
};
