import { deferred, listenForAbort } from "@everhold/base";
import type { WaitOptions } from "@everhold/env";
import type { Caller } from "../../api/caller.ts";
import { checkAcl, checkPath, type RequestOptions } from "../../api/request-options.ts";
import { ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Acl } from "../../protocol/acl.ts";
import { Wakers } from "../contention/wakers.ts";
import { within } from "./within.ts";

/** How to make a barrier. */
export interface BarrierOptions {
  /** Who may do what with the nodes, where they are created. Default: everybody everything. */
  readonly acl?: readonly Acl[];
}

/**
 * A node in the way of many processes: while it is there they wait, as at Curator's `DistributedBarrier`. It stays until
 * somebody removes it, whatever becomes of who has set it.
 *
 * Who has passed knows that the barrier was away at some time after the call, and no more: it may be set again by then.
 * It keeps nobody from doing anything, so there is nothing to fence; for that there are locks.
 *
 * @example
 * const barrier = new Barrier(client, "/barriers/deploy");
 * await barrier.set(); // somebody
 * await barrier.pass({ timeout: 60_000 }); // everybody else
 */
export class Barrier {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #context: Caller["context"];
  readonly #options: BarrierOptions;
  readonly #wakers = new Wakers();

  /** @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: BarrierOptions = {}) {
    const attempt = "make a barrier at";
    checkPath(attempt, path);
    if (options.acl !== undefined) checkAcl(attempt, options.acl);
    this.path = path;
    this.#client = client;
    this.#context = ZooKeeper.callerOf(client).context;
    this.#options = options;
  }

  /** Puts it in the way; that it is there already is as good. @throws what `create` throws */
  async set(options: RequestOptions = {}): Promise<void> {
    try {
      await this.#client.create(this.path, "", { ...options, ...this.#options, parents: true });
    } catch (error) {
      if (!isReason(error, "NODEEXISTS")) throw error;
    }
  }

  /** Takes it away; that it is away already is as good. @throws what `delete` throws */
  remove(options: RequestOptions = {}): Promise<void> {
    return this.#client.delete(this.path, { ...options, ifExists: true });
  }

  /** Whether it is in the way, at least as new as the call. @throws what `exists` throws */
  async isSet(options: RequestOptions = {}): Promise<boolean> {
    return (await this.#client.exists(this.path, { ...options, fresh: true })) !== null;
  }

  /**
   * Waits until it is away; no time limit by default. Only a read says so: an event, or a connection that is back, is
   * a reason to look again.
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED, EVH_CLOSED; what `getData` throws
   */
  pass(wait: WaitOptions = {}): Promise<void> {
    return within(this.#context.ports, wait, `pass the barrier ${this.path}`, async (signal) => {
      for (;;) {
        const changed = deferred<void>();
        const forgets = [
          this.#wakers.add(this.path, () => changed.resolve()),
          listenForAbort(signal, () => changed.resolve()),
        ];
        try {
          if (!(await this.#isInTheWay(signal))) return;
          await changed.promise;
        } finally {
          for (const forget of forgets) forget();
        }
      }
    });
  }

  async #isInTheWay(signal: AbortSignal): Promise<boolean> {
    try {
      const { watch } = this.#wakers;
      // By getData, which leaves no watch where there is no node.
      await this.#client.getData(this.path, { watch, fresh: true, signal, timeout: Infinity });
      return true;
    } catch (error) {
      if (isReason(error, "NONODE")) return false;
      throw error;
    }
  }
}
