import { assertNothingRuns } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";

/** For leases on servers that are asked every second. */
export const timing = { tickTime: 500 };

/** A client, its servers, and who stands in line there. */
export interface LockSetup {
  readonly servers: TreeServers;
  readonly client: ZooKeeper;
  /** How many stand in line at a path. */
  readonly countAt: (path: string) => number;
  /** What a wait gives that does not take long. */
  readonly soon: <T>(waiting: Promise<T>) => Promise<T>;
  /** Whether a wait goes on though much time passes. */
  readonly isPending: (waiting: Promise<unknown>) => Promise<boolean>;
  /** Closes the client; nothing runs then. */
  readonly end: () => Promise<void>;
}

/** Makes a client on servers of its own. */
export async function lockSetup(): Promise<LockSetup> {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  return {
    servers,
    client,
    countAt: (path) => (tree.nodes.has(path) ? tree.childrenOf(path).length : 0),
    async soon(waiting) {
      waiting.catch(() => undefined);
      await world.advance(3000);
      return world.now(waiting);
    },
    async isPending(waiting) {
      waiting.catch(() => undefined);
      await world.advance(3000);
      return world.isPending(waiting);
    },
    async end() {
      await world.now(client.close());
      assertNothingRuns(world);
    },
  };
}
