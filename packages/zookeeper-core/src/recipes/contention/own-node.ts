import { deferred, EverholdError, listenForAbort } from "@everhold/base";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Lease } from "../../lease/lease.ts";

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
  while (!signal.aborted) {
    const changed = deferred<void>();
    const forget = listenForAbort(signal, () => changed.resolve());
    try {
      const watch = (): void => changed.resolve();
      await client.getData(path, { watch, signal, timeout: Infinity });
      await changed.promise;
    } catch (error) {
      if (isReason(error, "NONODE")) {
        lease.close(new EverholdError("EVH_LEASE_LOST", `The lease is lost: ${path} was deleted`));
      }
      return;
    } finally {
      forget();
    }
  }
}
