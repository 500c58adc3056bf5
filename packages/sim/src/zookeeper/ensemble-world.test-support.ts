import { connect, type ZooKeeper, type ZooKeeperOptions } from "@everhold/zookeeper-core";
import { TestWorld } from "@everhold/test-world";
import type { EnsembleEvent, EnsembleOptions } from "./ensemble-types.ts";
import { ModelEnsemble } from "./model-ensemble.ts";

/** An ensemble whose servers are the hosts a, b, c …, in a world that a test moves on. */
export class EnsembleWorld {
  readonly world: TestWorld;
  readonly ensemble: ModelEnsemble;
  readonly events: EnsembleEvent[] = [];
  readonly #hosts: readonly string[];

  constructor(options: Partial<EnsembleOptions> = {}, seed = 1) {
    this.world = new TestWorld(seed);
    this.ensemble = new ModelEnsemble(this.world.ports, options);
    this.ensemble.listen((event) => void this.events.push(event));
    const { serverCount } = this.ensemble.options;
    this.#hosts = ["a", "b", "c", "d", "e"].slice(0, serverCount);
    for (const [index, host] of this.#hosts.entries()) {
      this.world.network.serve({ host }, (link) => {
        const handler = this.ensemble.accept(index, link);
        if (!this.ensemble.isRunning(index)) link.destroy();
        return handler;
      });
    }
  }

  /** A client that knows some of the servers, all if none is named. */
  async client(
    options: ZooKeeperOptions = {},
    hosts: readonly string[] = this.#hosts,
  ): Promise<ZooKeeper> {
    const connectString = hosts.map((host) => `${host}:2181`).join(",");
    return this.within(connect(this.world.ports, connectString, options));
  }

  /** What the promise gives, within a minute of the world's time. */
  async within<T>(promise: Promise<T>): Promise<T> {
    for (let turn = 0; turn < 600 && (await this.world.isPending(promise)); turn += 1) {
      await this.world.advance(100);
    }
    return this.world.now(promise);
  }

  /** Lets time pass until something is so, a minute at most. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 6000 && !condition(); turn += 1) await this.world.advance(10);
    if (!condition()) throw new Error(`${what}: this did not come about`);
  }

  async stop(...clients: readonly ZooKeeper[]): Promise<void> {
    for (const client of clients) await this.within(client.close({ timeout: 100 }));
    this.ensemble.close();
    await this.world.advance(60_000);
  }
}
