import type { Prng } from "@everhold/base";
import type { SimNetwork } from "../../network/sim-network.ts";
import type { FaultKind } from "../../world/faults.ts";
import type { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import type { EnsembleMachines } from "../ensemble-machines.ts";
import type { Holdings } from "./holdings.ts";
import type { KeeperClient } from "./keeper-client.ts";

/** What faults happen to. */
export interface Struck {
  readonly world: World;
  readonly network: SimNetwork;
  readonly servers: EnsembleMachines;
  readonly clients: readonly KeeperClient[];
  /** Those of the clients. */
  readonly machines: readonly Machine[];
  readonly holdings: Holdings;
  /** Whether the servers lose all data now and then. */
  readonly isForgetful: boolean;
}

/** What goes wrong while clients of ZooKeeper work, and how often. */
export function keeperFaults(struck: Struck): FaultKind[] {
  return [
    ...networkFaults(struck),
    ...clientFaults(struck),
    ...serverFaults(struck),
    ...(struck.isForgetful ? [lossOfAllData(struck)] : []),
  ];
}

function networkFaults({ network, clients, holdings }: Struck): FaultKind[] {
  const isolate = (name: string | undefined, prng: Prng): boolean => {
    if (name !== undefined) network.isolate(name, prng.integer(500, 20_000));
    return name !== undefined;
  };
  return [
    { name: "connection cut", meanMs: 4_000, strike: () => network.cutOne() },
    {
      name: "direction stalled",
      meanMs: 5_000,
      strike: (prng) => network.stallOne(prng.integer(10, 8_000)),
    },
    { name: "direction dropped", meanMs: 15_000, strike: () => network.dropOne() },
    {
      name: "partition",
      meanMs: 40_000,
      strike: (prng) => {
        network.partition(prng.integer(100, 20_000));
        return true;
      },
    },
    {
      name: "client cut off",
      meanMs: 15_000,
      strike: (prng) => isolate(anyOf(clients, prng)?.name, prng),
    },
    {
      name: "holder of a lock cut off",
      meanMs: 10_000,
      strike: (prng) => isolate(anyOf(holdings.holders(), prng), prng),
    },
  ];
}

function clientFaults({ clients, machines, holdings }: Struck): FaultKind[] {
  const hold = (machine: Machine | undefined, prng: Prng): boolean =>
    machine?.standStill(prng.integer(100, 20_000)) ?? false;
  return [
    {
      name: "client crashed",
      meanMs: 30_000,
      strike: (prng) => anyOf(clients, prng)?.crash({ power: prng.chance(0.5) }) ?? false,
    },
    {
      name: "client stood still",
      meanMs: 20_000,
      strike: (prng) => hold(anyOf(machines, prng), prng),
    },
    {
      name: "holder of a lock stood still",
      meanMs: 5_000,
      strike: (prng) => {
        const holder = anyOf(holdings.holders(), prng);
        return hold(
          machines.find(({ name }) => name === holder),
          prng,
        );
      },
    },
    {
      name: "clock jumped",
      meanMs: 30_000,
      strike: (prng) => {
        anyOf(machines, prng)?.jumpWallClock(prng.integer(-3_600_000, 3_600_000));
        return true;
      },
    },
  ];
}

function serverFaults({ world, servers }: Struck): FaultKind[] {
  const { ensemble, addresses } = servers;
  const anyServer = (prng: Prng): number => prng.integer(0, addresses.length - 1);
  const killForAWhile = (index: number | undefined, prng: Prng): boolean => {
    if (index === undefined || !ensemble.isRunning(index)) return false;
    servers.kill(index, { power: prng.chance(0.5) });
    world.after(prng.integer(100, 15_000), "faults", "server boots", () => servers.restart(index));
    return true;
  };
  return [
    {
      name: "server died",
      meanMs: 15_000,
      strike: (prng) => killForAWhile(anyServer(prng), prng),
    },
    {
      name: "leader died",
      meanMs: 25_000,
      strike: (prng) => killForAWhile(ensemble.leaderIndex, prng),
    },
    {
      name: "server cut off from the others",
      meanMs: 12_000,
      strike: (prng) => {
        const index = anyServer(prng);
        if (addresses.length === 1) return false;
        ensemble.cutFromLeader(index);
        world.after(prng.integer(50, 25_000), "faults", "reaches the others again", () =>
          ensemble.reconnect(index),
        );
        return true;
      },
    },
    {
      name: "session ended by somebody else",
      meanMs: 30_000,
      strike: (prng) => {
        const sessionId = anyOf(ensemble.sessionIds, prng);
        if (sessionId !== undefined) ensemble.endSession(sessionId);
        return sessionId !== undefined;
      },
    },
  ];
}

function lossOfAllData({ servers }: Struck): FaultKind {
  return {
    name: "servers lost all data",
    meanMs: 40_000,
    strike: () => {
      servers.wipe();
      return true;
    },
  };
}

function anyOf<T>(all: readonly T[], prng: Prng): T | undefined {
  return all[prng.integer(0, Math.max(0, all.length - 1))];
}
