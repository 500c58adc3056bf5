import type { Random, WaitPorts } from "@everhold/env";
import type { RequestOptions } from "../../api/request-options.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import type { RequestSpec } from "../../session/request.ts";
import type { StandingWatcher } from "../../watches/standing-watches.ts";
import type { StandingWatch } from "../../watches/watches.ts";

/** What a cache needs of a client: answers with their transactions, and notices in the order in which both came. */
export interface CacheAccess {
  readonly ports: WaitPorts & { readonly random: Random };
  /** The path on the server. */
  readonly serverPath: (path: string) => string;
  /** The path as the client knows it. */
  readonly callerPath: (serverPath: string) => string;
  /** Sends a read, again where its connection broke. */
  readonly send: <T>(spec: RequestSpec<T>, options: RequestOptions) => Promise<T>;
  /** Begins to watch. */
  readonly watch: (watcher: StandingWatcher, options: RequestOptions) => Promise<StandingWatch>;
  /** Calls `listener` when the servers' data has gone back in time, until the returned function is called. */
  readonly onRolledBack: (listener: () => void) => () => void;
  /** What an application's function threw. */
  readonly onError: (error: unknown) => void;
}

/** What a client gives a cache. */
export function cacheAccessOf(client: ZooKeeper): CacheAccess {
  const caller = ZooKeeper.callerOf(client);
  const watches = ZooKeeper.watchesOf(client);
  return {
    ports: caller.context.ports,
    serverPath: (path) => caller.serverPath("cache", path),
    callerPath: (serverPath) => caller.callerPath(serverPath),
    send: (spec, options) => caller.call(spec, options, "repeatable"),
    watch: (watcher, options) =>
      caller.attempts(options, "repeatable", (wait) => watches.add(watcher, wait)),
    onRolledBack: (listener) => client.on("ensembleRolledBack", listener),
    onError: ZooKeeper.reporterOf(client),
  };
}
