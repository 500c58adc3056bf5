import type { WaitOptions } from "@everhold/env";
import type { ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { Contention, type ContentionOptions } from "../contention/contention.ts";
import type { Grant } from "../contention/grant.ts";
import { oneAtATime } from "../contention/line.ts";
import type { Participant } from "../contention/participants.ts";
import { workUnder } from "./work-under.ts";

/** As Curator names them: its `InterProcessMutex` stands in the same line. */
const kind = "lock-";

/**
 * A lock that one holds at a time, of all processes that use the path; first come, first served. It is not re-entrant:
 * who takes it while holding it waits for itself. A process may make many of one path.
 *
 * What it guarantees, with a fencing token and without, is said at {@link Grant}.
 *
 * @example
 * const orders = new Mutex(client, "/locks/orders");
 * await orders.run(async (grant) => {
 *   for (const order of await ordersToShip()) {
 *     grant.check();
 *     await ship(order, { token: grant.token });
 *   }
 * });
 */
export class Mutex {
  readonly path: string;
  readonly #contention: Contention;

  /** @throws ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG; TypeError */
  constructor(client: ZooKeeper, path: string, options: ContentionOptions = {}) {
    this.path = path;
    const purpose = { attempt: `take the lock ${path}`, kinds: [kind] };
    this.#contention = new Contention(client, path, purpose, options);
  }

  /**
   * Waits until it is held; no time limit by default. Release what it gives.
   * @throws as {@link Contention.enter}
   */
  acquire(wait: WaitOptions = {}): Promise<Grant> {
    return this.#contention.enter({ nameStart: kind, rule: oneAtATime }, wait);
  }

  /**
   * Does `work` while it is held, then releases it. `wait` is for the lock alone. Where it was lost before `work` had
   * ended, this rejects with why, whatever `work` gave.
   */
  run<T>(work: (grant: Grant) => T | Promise<T>, wait: WaitOptions = {}): Promise<T> {
    return workUnder(this.acquire(wait), work);
  }

  /** Who holds it, and who waits after that. */
  participants(options: ReadOptions = {}): Promise<readonly Participant[]> {
    return this.#contention.participants(options);
  }
}
