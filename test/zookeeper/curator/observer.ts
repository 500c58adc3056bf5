import { EverholdError, type ZooKeeper } from "@everhold/zookeeper";

/** A node came, went, or is another one now. */
export interface Sighting {
  readonly atMs: number;
  /** Its `czxid`; 0n where there is no node. */
  readonly czxid: bigint;
}

const pauseMs = 20;
const timeoutMs = 500;

/** Looks at nodes all the time, as the leader has them, and notes what becomes of them. */
export class Observer {
  readonly #sightings = new Map<string, Sighting[]>();
  readonly #ending = new AbortController();
  readonly #looking: Promise<void>[];

  constructor(client: ZooKeeper, paths: readonly string[]) {
    this.#looking = paths.map((path) => this.#look(client, path));
  }

  /** Everything that became of a node since the first look, which is the first. */
  of(path: string): readonly Sighting[] {
    return this.#sightings.get(path) ?? [];
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#looking);
  }

  async #look(client: ZooKeeper, path: string): Promise<void> {
    const sightings: Sighting[] = [];
    this.#sightings.set(path, sightings);
    while (!this.#ending.signal.aborted) {
      try {
        const stat = await client.exists(path, { fresh: true, timeout: timeoutMs });
        const czxid = stat?.czxid ?? 0n;
        if (sightings.at(-1)?.czxid !== czxid) sightings.push({ atMs: Date.now(), czxid });
      } catch (error) {
        // Nobody can look while no server serves.
        if (!EverholdError.is(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
