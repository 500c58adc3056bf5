import { deferred, listenForAbort } from "@everhold/base";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";

/**
 * Watches a node that only its owner deletes as a rule, until `signal` is aborted, and calls `onGone` when somebody else
 * has: sooner than a lease notices that stands on it, though that alone can be relied upon. Never rejects: where it
 * can't be read, that is the lease's to tell.
 */
export async function watchOwnNode(
  client: ZooKeeper,
  path: string,
  signal: AbortSignal,
  onGone: () => void,
): Promise<void> {
  while (!signal.aborted) {
    const changed = deferred<void>();
    const forget = listenForAbort(signal, () => changed.resolve());
    try {
      const watch = (): void => changed.resolve();
      await client.getData(path, { watch, signal, timeout: Infinity });
      await changed.promise;
    } catch (error) {
      if (isReason(error, "NONODE")) onGone();
      return;
    } finally {
      forget();
    }
  }
}
