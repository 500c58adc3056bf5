import { deferred } from "@everhold/base";
import { callWithin, checkTimeout, deadlineIn, type WaitOptions } from "@everhold/env";
import { optionError } from "../../api/request-options.ts";
import { type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import type { ContentionOptions } from "../contention/contention.ts";
import { Grant } from "../contention/grant.ts";
import type { Participant } from "../contention/participants.ts";
import { Mutex } from "./mutex.ts";
import { workUnder } from "./work-under.ts";

/** Who holds a {@link ReentrantMutex}: the same object, symbol or text for everything that belongs together. */
export type LockOwner = object | symbol | string;

/** One owner's time with the lock. */
interface Holding {
  /** How many of its grants are not released. */
  count: number;
  /** Missing while it waits. */
  grant: Grant | undefined;
  /** Resolved when it waits no more, with success or without. */
  readonly decided: Promise<void>;
}

/**
 * A {@link Mutex} that who holds it can take again. Who that is has to be said: there are no threads that could stand
 * for it, and of calls that run at the same time nobody knows which belong together. An owner is known to one object of
 * this class only; others of the same path are others.
 *
 * All grants of one owner have the same token. It is given back with the last of them. Where it was lost, it can't be
 * taken again before all of them are released.
 *
 * @example
 * const orders = new ReentrantMutex(client, "/locks/orders");
 * const request = {};
 * await orders.run(request, async () => {
 *   await orders.run(request, async (grant) => ship(grant.token));
 * });
 */
export class ReentrantMutex {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #mutex: Mutex;
  readonly #holdings = new Map<LockOwner, Holding>();

  /** @throws as {@link Mutex} */
  constructor(client: ZooKeeper, path: string, options: ContentionOptions = {}) {
    this.path = path;
    this.#client = client;
    this.#mutex = new Mutex(client, path, options);
  }

  /**
   * Waits until `owner` holds it, which is at once where it does already. Release each grant.
   * @throws as {@link Mutex.acquire}; EverholdError EVH_LEASE_LOST where `owner` has lost it and not released yet
   */
  async acquire(owner: LockOwner, wait: WaitOptions = {}): Promise<Grant> {
    const attempt = `take the lock ${this.path}`;
    if (typeof owner === "object" ? owner === null : !["string", "symbol"].includes(typeof owner)) {
      throw optionError(attempt, "owner", owner, "an object, a symbol or a text");
    }
    const { ports } = ZooKeeper.callerOf(this.#client).context;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const left = (): WaitOptions => ({
      ...wait,
      timeout: Math.max(0, deadlineMs - ports.monotonicClock.nowMs()),
    });
    for (;;) {
      const holding = this.#holdings.get(owner);
      if (holding === undefined) return this.#begin(owner, left());
      if (holding.grant !== undefined) return this.#again(owner, holding, holding.grant);
      // Another call of this owner waits already; it may give up, and then this one waits by itself.
      await callWithin(ports, left(), attempt, () => holding.decided);
    }
  }

  /** Does `work` while `owner` holds it. As {@link Mutex.run}. */
  run<T>(
    owner: LockOwner,
    work: (grant: Grant) => T | Promise<T>,
    wait: WaitOptions = {},
  ): Promise<T> {
    return workUnder(this.acquire(owner, wait), work);
  }

  /** Who holds it, and who waits after that. */
  participants(options: ReadOptions = {}): Promise<readonly Participant[]> {
    return this.#mutex.participants(options);
  }

  async #begin(owner: LockOwner, wait: WaitOptions): Promise<Grant> {
    const decided = deferred<void>();
    const holding: Holding = { count: 0, grant: undefined, decided: decided.promise };
    this.#holdings.set(owner, holding);
    try {
      const grant = await this.#mutex.acquire(wait);
      holding.grant = grant;
      return this.#share(owner, holding, grant);
    } catch (error) {
      this.#holdings.delete(owner);
      throw error;
    } finally {
      decided.resolve();
    }
  }

  #again(owner: LockOwner, holding: Holding, grant: Grant): Grant {
    grant.check();
    return this.#share(owner, holding, grant);
  }

  #share(owner: LockOwner, holding: Holding, grant: Grant): Grant {
    holding.count += 1;
    const release = async (wait: WaitOptions): Promise<void> => {
      holding.count -= 1;
      if (holding.count > 0) return;
      // Its node goes in any case: who takes it from now on stands in line behind that.
      this.#holdings.delete(owner);
      await grant.release(wait);
    };
    const { path, token, epoch } = grant;
    return new Grant({ path, token, epoch, lease: grant, release });
  }
}
