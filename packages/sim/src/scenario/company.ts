import type { Ports } from "@everhold/env";
import { worldDisk } from "../disk/world-disk.ts";
import { mutateClient, type Mutation } from "../mutations/mutations.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import type { FaultKind } from "../world/faults.ts";
import { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import type { Accounts } from "./accounts.ts";
import type { Cast, Role } from "./cast.ts";
import { ClientProcess } from "./client-process.ts";
import type { Oracle } from "./oracle.ts";
import type { Returns } from "./returns.ts";

/** How a {@link Company} is made. */
export interface CompanyOptions {
  readonly world: World;
  readonly network: SimNetwork;
  readonly oracle: Oracle;
  readonly returns: Returns;
  /** Where the broker asks who comes. */
  readonly accounts?: Accounts | undefined;
  readonly mutation?: Mutation | undefined;
  /** Where the broker, or the members of its group, listen. */
  readonly urls: readonly string[];
  readonly cast: Cast;
}

/** All clients of a scenario, each a process on a machine of its own. */
export class Company {
  readonly consumers: readonly ClientProcess[];
  readonly producers: readonly ClientProcess[];
  readonly #options: CompanyOptions;

  constructor(options: CompanyOptions) {
    this.#options = options;
    const { cast, oracle } = options;
    for (const { queue, address, shared } of cast.queues) {
      oracle.queueBound(queue, address, shared);
    }
    this.consumers = cast.consumers.map((role) => this.#newProcess(role));
    this.producers = cast.producers.map((role) => this.#newProcess(role));
  }

  get all(): readonly ClientProcess[] {
    return [...this.producers, ...this.consumers];
  }

  /** Whether all that was begun has ended, and nobody has more to send. */
  get isAtRest(): boolean {
    return (
      this.producers.every(({ finished }) => finished) &&
      this.consumers.every(({ open }) => open.length === 0)
    );
  }

  /** What was begun and has not ended. */
  get open(): readonly string[] {
    return this.all.flatMap(({ name, open }) => open.map((what) => `${name}: ${what}`));
  }

  /** Asks everybody to end. @returns whether all have */
  end(): () => boolean {
    const { world } = this.#options;
    let endedCount = 0;
    for (const process of this.all) {
      process.end().then(
        () => (endedCount += 1),
        (error: unknown) => world.fail("scenario", error),
      );
    }
    return () => endedCount === this.all.length;
  }

  /** What goes wrong with clients and on their way to the broker. */
  get faults(): FaultKind[] {
    const { network } = this.#options;
    return [
      {
        name: "client crashed",
        meanMs: 6_000,
        strike: (prng) => {
          const process = this.all[prng.integer(0, this.all.length - 1)];
          return process?.crash({ power: prng.chance(0.5) }) ?? false;
        },
      },
      { name: "connection cut", meanMs: 1_500, strike: () => network.cutOne() },
      {
        name: "direction stalled",
        meanMs: 2_000,
        strike: (prng) => network.stallOne(prng.integer(10, 3_000)),
      },
      {
        name: "partition",
        meanMs: 30_000,
        strike: (prng) => {
          network.partition(prng.integer(100, 15_000));
          return true;
        },
      },
      {
        name: "connections refused",
        meanMs: 20_000,
        strike: (prng) => {
          network.refuse(prng.integer(100, 2_000));
          return true;
        },
      },
    ];
  }

  /**
   * Connections that live in one direction only, until somebody misses the other one, and single clients that are away
   * for longer than a broker waits for them after its restart.
   */
  get lostWays(): FaultKind[] {
    const { network } = this.#options;
    return [
      { name: "direction dropped", meanMs: 4_000, strike: () => network.dropOne() },
      {
        name: "client cut off",
        meanMs: 2_000,
        strike: (prng) => {
          const client = this.all[prng.integer(0, this.all.length - 1)];
          if (client !== undefined) network.isolate(client.name, prng.integer(500, 6_000));
          return client !== undefined;
        },
      },
    ];
  }

  #newProcess(role: Role): ClientProcess {
    const { world, network, oracle, returns, accounts, urls, mutation } = this.#options;
    const disk = worldDisk(world, role.name);
    return new ClientProcess({
      world,
      machine: new Machine({ world, network, name: role.name, disk }),
      oracle,
      mutate: (ports: Ports) => mutateClient(ports, mutation),
      returns,
      accounts,
      urls,
      ...role,
    });
  }
}
