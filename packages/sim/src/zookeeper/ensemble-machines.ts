import type { Link, Listener } from "@everhold/env";
import { PassingLink } from "../network/passing-link.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import { Life } from "../world/life.ts";
import { realDigests, wallOffsetMs } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import type { EnsembleOptions, EnsemblePorts } from "./ensemble-types.ts";
import { ModelEnsemble } from "./model-ensemble.ts";

/** The port that the servers listen on. */
const clientPort = 2181;

/** The servers of a {@link ModelEnsemble} on machines of a world: `zookeeper-1`, `zookeeper-2` and so on. */
export class EnsembleMachines {
  readonly ensemble: ModelEnsemble;
  /** As a client's connection string names them. */
  readonly addresses: readonly string[];
  readonly #world: World;
  readonly #network: SimNetwork;
  readonly #lives: (Life | undefined)[];
  #isClosed = false;

  constructor(world: World, network: SimNetwork, options: Partial<EnsembleOptions> = {}) {
    this.#world = world;
    this.#network = network;
    const life = new Life(world, "zookeeper");
    const ports: EnsemblePorts = {
      wallClock: { nowMs: () => wallOffsetMs + Math.floor(world.nowMs) },
      monotonicClock: { nowMs: () => world.nowMs },
      timers: {
        after: (delayMs, task) => life.after(delayMs, "ensemble", task),
        atTurnEnd: (task) => void life.after(0, "ensemble turn ends", task),
      },
      random: world.randomFor("zookeeper"),
      digests: realDigests,
    };
    this.ensemble = new ModelEnsemble(ports, options);
    const { serverCount } = this.ensemble.options;
    this.addresses = Array.from({ length: serverCount }, (_, index) => nameOf(index)).map(
      (name) => `${name}:${clientPort}`,
    );
    this.#lives = this.addresses.map(() => undefined);
    for (const index of this.#lives.keys()) this.#listen(index);
  }

  /** The process of a server dies; with `power` its whole computer, so that clients hear nothing of it. */
  kill(index: number, options: { readonly power: boolean }): void {
    const life = this.#lives[index];
    if (life === undefined) return;
    life.end();
    this.#lives[index] = undefined;
    this.#network.machineCrashed(nameOf(index), options);
    this.ensemble.kill(index);
  }

  restart(index: number): void {
    if (this.#isClosed || this.#lives[index] !== undefined) return;
    this.ensemble.restart(index);
    this.#listen(index);
  }

  /** All servers lose their data, and start anew. */
  wipe(): void {
    for (const index of this.#lives.keys()) this.kill(index, { power: false });
    this.ensemble.wipe();
    for (const index of this.#lives.keys()) this.#listen(index);
  }

  /** All servers end, and nobody comes back. */
  close(): void {
    for (const index of this.#lives.keys()) this.kill(index, { power: false });
    this.ensemble.close();
    this.#isClosed = true;
  }

  #listen(index: number): void {
    const name = nameOf(index);
    const life = new Life(this.#world, name);
    this.#lives[index] = life;
    const listening: Promise<Listener> = this.#network
      .forProcess(name, life)
      .listen({ host: name, port: clientPort }, (link) =>
        this.ensemble.accept(index, new LinkOfLife(link, life)),
      );
    listening.catch((error: unknown) => this.#world.fail(name, error));
  }
}

function nameOf(index: number): string {
  return `zookeeper-${index + 1}`;
}

/** A link that a process which is dead can't close any more: its computer does, or nobody. */
class LinkOfLife extends PassingLink {
  readonly #life: Life;

  constructor(link: Link, life: Life) {
    super(link);
    this.#life = life;
  }

  override destroy(): void {
    if (this.#life.alive) super.destroy();
  }
}
