import type { Ensemble } from "#zookeeper/ensemble.js";

/** Of nodes that went, as servers count the watchers that they told. */
const metric = /^zk_sum_node_deleted_watch_count\s+(\d+)/m;

/**
 * Counts how many watchers the servers told that a node went. What a server told between the last look and its own
 * end is not counted.
 */
export class WatchCounter {
  readonly #ensemble: Ensemble;
  readonly #told: number[];
  #sum = 0;

  constructor(ensemble: Ensemble) {
    this.#ensemble = ensemble;
    this.#told = ensemble.servers.map(() => 0);
  }

  /** Asks all servers that run. */
  async look(): Promise<number> {
    await Promise.all(
      this.#ensemble.servers.map(async (server, index) => {
        const [, digits] = metric.exec(await server.command("mntr")) ?? [];
        if (digits === undefined) return;
        const told = Number(digits);
        const before = this.#told[index] ?? 0;
        // A server that was started again counts from 0.
        this.#sum += told >= before ? told - before : told;
        this.#told[index] = told;
      }),
    );
    return this.#sum;
  }
}
