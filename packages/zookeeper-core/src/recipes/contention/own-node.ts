import { deferred, EverholdError, listenForAbort } from "@everhold/base";
import { retries } from "../../api/retry-policy.ts";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Lease } from "../../lease/lease.ts";
import { contentionLimits } from "./contention-limits.ts";

/**
 * Watches a node that only its owner deletes as a rule, until `signal` is aborted, and ends `lease`, which stands on it,
 * when somebody else has, or has ended the session: as soon as the server tells, which is sooner than the lease notices,
 * though that alone can be relied upon. Never rejects: where it can't be read, that is the lease's to tell.
 */
export async function watchOwnNode(
  client: ZooKeeper,
  path: string,
  signal: AbortSignal,
  lease: Pick<Lease, "close">,
): Promise<void> {
  let changed = deferred<void>();
  const watch = (): void => changed.resolve();
  // However the client retries: a connection that is lost for a moment is no reason to look no more.
  const retry = retries.exponential({ maxMs: contentionLimits.pauseMsMax });
  const forget = listenForAbort(signal, () => {
    // At once, before the node is given back: its deletion would be told to its owner, too.
    client.removeWatch(path, watch);
    watch();
  });
  try {
    while (!signal.aborted) {
      changed = deferred<void>();
      await client.getData(path, { watch, signal, timeout: Infinity, retry });
      if (!signal.aborted) await changed.promise;
    }
  } catch (error) {
    if (!isReason(error, "NONODE")) return;
    lease.close(new EverholdError("EVH_LEASE_LOST", `The lease is lost: ${path} was deleted`));
  } finally {
    forget();
    client.removeWatch(path, watch);
  }
}
