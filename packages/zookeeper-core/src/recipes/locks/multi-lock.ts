import { EverholdError } from "@everhold/base";
import { checkTimeout, deadlineIn, onWaitEnd, type WaitOptions } from "@everhold/env";
import { ZooKeeper } from "../../api/zookeeper.ts";
import type { Grant } from "../contention/grant.ts";
import { MultiGrant } from "./multi-grant.ts";
import { workUnder } from "./work-under.ts";

/** What can be taken together with others: a mutex, one side of a lock for reading and writing, a semaphore. */
export interface Acquirable {
  readonly path: string;
  acquire(wait?: WaitOptions): Promise<Grant>;
}

/**
 * Several locks, held all or none. They are taken in the order of their paths, whatever the order in which they are
 * given: so of many who want some of the same nobody waits for ever.
 *
 * @example
 * const both = new MultiLock(client, [new Mutex(client, "/locks/a"), new Mutex(client, "/locks/b")]);
 * await both.run(({ grants: [a, b] }) => move(a.token, b.token));
 */
export class MultiLock {
  readonly #client: ZooKeeper;
  readonly #locks: readonly Acquirable[];
  readonly #attempt: string;

  /** @throws EverholdError EVH_CONFIG when there is none, or two have the same path */
  constructor(client: ZooKeeper, locks: readonly Acquirable[]) {
    const paths = locks.map(({ path }) => path);
    this.#client = client;
    this.#locks = [...locks];
    this.#attempt = `take the locks ${paths.join(", ")}`;
    if (locks.length > 0 && new Set(paths).size === locks.length) return;
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot take several locks: found ${paths.join(", ") || "none"}, expected one or more of different paths`,
    );
  }

  /**
   * Waits until all are held; `wait` is for all of them together. Where that fails none is held.
   * @throws as {@link Mutex.acquire}; EverholdError EVH_LEASE_LOST when one was lost while another was waited for
   */
  async acquire(wait: WaitOptions = {}): Promise<MultiGrant> {
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const ending = new AbortController();
    const subject = { attempt: this.#attempt, outcome: () => "none" as const };
    const forget = onWaitEnd(ports, { deadlineMs, signal: wait.signal }, subject, (error) =>
      ending.abort(error),
    );
    const { signal } = ending;
    const grants = new Map<Acquirable, Grant>();
    try {
      for (const lock of inOrder(this.#locks)) grants.set(lock, await lock.acquire({ signal }));
      const all = this.#locks.flatMap((lock) => grants.get(lock) ?? []);
      for (const grant of all) grant.check();
      return new MultiGrant(all);
    } catch (error) {
      // What can't be given back at once goes on by itself.
      for (const grant of grants.values()) grant.release().catch(() => undefined);
      throw signal.aborted ? signal.reason : error;
    } finally {
      forget();
    }
  }

  /** Does `work` while all are held. As {@link Mutex.run}. */
  run<T>(work: (grant: MultiGrant) => T | Promise<T>, wait: WaitOptions = {}): Promise<T> {
    return workUnder(this.acquire(wait), work);
  }
}

function inOrder(locks: readonly Acquirable[]): readonly Acquirable[] {
  return locks.toSorted((one, other) => (one.path < other.path ? -1 : 1));
}
