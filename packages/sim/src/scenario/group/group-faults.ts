import type { Prng } from "@everhold/base";
import type { GroupState } from "@everhold/group";
import type { SimNetwork } from "../../network/sim-network.ts";
import type { FaultKind } from "../../world/faults.ts";
import type { World } from "../../world/world.ts";
import type { EnsembleMachines } from "../../zookeeper/ensemble-machines.ts";
import type { MemberProcess } from "./member-process.ts";

/** What faults happen to. */
export interface Struck {
  readonly world: World;
  readonly network: SimNetwork;
  readonly members: readonly MemberProcess[];
  readonly servers: EnsembleMachines;
  /** What the group's node says, as ZooKeeper has decided it. */
  readonly node: () => GroupState | undefined;
}

/** Which disks were lost, by member: the incarnation of what was on them, as the group's node names it. */
type LostDisks = Map<string, string>;

/**
 * A backup loses its disk where another member still has what is committed, so that it need not be in sync, too, or
 * nobody could go on. The live is another one, which knows that it leads.
 */
function lossOfDisk({ members, node }: Struck): FaultKind {
  const lost: LostDisks = new Map();
  return {
    name: "backup lost its disk",
    meanMs: 15_000,
    strike: (prng) => {
      const state = node();
      const live = members.find(({ broker }) => broker?.mayDispatch);
      if (state === undefined || live === undefined || state.live?.id !== live.name) return false;
      const has = (name: string): boolean =>
        state.inSync.some(({ id, incarnation }) => id === name && lost.get(id) !== incarnation);
      const backup = anyOf(
        members.filter(({ broker }) => broker?.status.role === "backup"),
        prng,
      );
      if (backup === undefined || backup === live || !has(live.name) || !backup.loseDisk())
        return false;
      const entry = state.inSync.find(({ id }) => id === backup.name);
      if (entry !== undefined) lost.set(entry.id, entry.incarnation);
      return true;
    },
  };
}

/** The disk of one member, always the same one, lets rot what two others, in sync, have as well. */
function rot({ members, node }: Struck): FaultKind {
  return {
    name: "disk let data rot",
    meanMs: 2_000,
    strike: (prng) => {
      const [member] = members;
      if (member === undefined || (node()?.inSync.length ?? 0) < 3) return false;
      const { disk } = member;
      const segments = disk.names().filter((name) => name.endsWith(".journal"));
      const name = anyOf(segments.toSorted().slice(0, -2), prng);
      if (name === undefined) return false;
      for (let count = prng.integer(1, 8); count > 0; count -= 1) {
        disk.flipBit(name, prng.integer(0, disk.content(name).length - 1), prng.integer(0, 7));
      }
      return true;
    },
  };
}

/** Every fifth world has disks that let data rot, and none that are lost: of what is rotten no other copy may go. */
function diskLosses(struck: Struck): FaultKind {
  const isOfRot = struck.world.seed % 5 === 2 && struck.members.length > 2;
  return isOfRot ? rot(struck) : lossOfDisk(struck);
}

/** What goes wrong with the members of a group and with its ZooKeeper, and how often. */
export function groupFaults(struck: Struck): FaultKind[] {
  return [
    ...deaths(struck),
    diskLosses(struck),
    ...cuts(struck),
    ...machines(struck),
    ...zooKeeper(struck),
  ];
}

/** Every fifth world has disks that neither fail nor answer, for less or more than anybody waits for them. */
export function hangingDisks({ world, members }: Struck): FaultKind[] {
  if (world.seed % 5 !== 3) return [];
  return [
    {
      name: "disk hung",
      meanMs: 6_000,
      strike: (prng) => {
        const live = members.find(({ broker }) => broker?.status.role === "live");
        const disk = (prng.chance(0.5) ? live : anyOf(members, prng))?.disk;
        if (disk === undefined || disk.isHung) return false;
        disk.hang();
        world.after(prng.integer(100, 15_000), "faults", "disk answers again", () => disk.wake());
        return true;
      },
    },
  ];
}

function deaths({ members }: Struck): FaultKind[] {
  const isLive = (member: MemberProcess): boolean => member.broker?.status.role === "live";
  const live = (): MemberProcess | undefined => members.find(isLive);
  const backup = (prng: Prng): MemberProcess | undefined =>
    anyOf(
      members.filter((member) => !isLive(member)),
      prng,
    );
  return [
    {
      name: "live killed",
      meanMs: 15_000,
      strike: (prng) => live()?.crash({ power: prng.chance(0.5) }) ?? false,
    },
    {
      name: "live killed while writing",
      meanMs: 12_000,
      strike: (prng) => live()?.crashWhileWriting({ power: prng.chance(0.5) }) ?? false,
    },
    {
      name: "backup killed",
      meanMs: 15_000,
      strike: (prng) => backup(prng)?.crash({ power: prng.chance(0.5) }) ?? false,
    },
    {
      name: "backup killed while writing",
      meanMs: 12_000,
      strike: (prng) => backup(prng)?.crashWhileWriting({ power: prng.chance(0.5) }) ?? false,
    },
    {
      name: "member away for long",
      meanMs: 40_000,
      strike: (prng) =>
        anyOf(members, prng)?.crash({
          power: prng.chance(0.5),
          awayMs: prng.integer(5_000, 25_000),
        }) ?? false,
    },
    {
      name: "all members lost power",
      meanMs: 60_000,
      strike: () => members.filter((member) => member.crash({ power: true })).length > 0,
    },
    {
      name: "member restarted in order",
      meanMs: 20_000,
      strike: (prng) => anyOf(members, prng)?.restart() ?? false,
    },
    {
      name: "handed over",
      meanMs: 15_000,
      strike: (prng) => {
        const { broker } = live() ?? {};
        const to = anyOf(broker?.status.inSync.filter((id) => id !== broker.status.id) ?? [], prng);
        if (to !== undefined) broker?.handOver(to);
        return to !== undefined;
      },
    },
  ];
}

function cuts({ network, members, servers }: Struck): FaultKind[] {
  const isolate = (name: string | undefined, prng: Prng): boolean => {
    if (name !== undefined) network.isolate(name, prng.integer(100, 8_000));
    return name !== undefined;
  };
  return [
    {
      name: "live cut off",
      meanMs: 15_000,
      strike: (prng) =>
        isolate(members.find(({ broker }) => broker?.status.role === "live")?.name, prng),
    },
    {
      name: "member cut off",
      meanMs: 15_000,
      strike: (prng) => isolate(anyOf(members, prng)?.name, prng),
    },
    {
      name: "two members cut apart",
      meanMs: 8_000,
      strike: (prng) => {
        const first = prng.integer(0, members.length - 1);
        const second = (first + prng.integer(1, members.length - 1)) % members.length;
        const [one, other] = [members[first], members[second]];
        if (one === undefined || other === undefined) return false;
        network.separate(one.name, other.name, prng.integer(100, 10_000));
        return true;
      },
    },
    {
      name: "member cut from ZooKeeper",
      meanMs: 12_000,
      strike: (prng) => {
        const member = anyOf(members, prng);
        const durationMs = prng.integer(100, 15_000);
        for (const address of servers.addresses) {
          const host = address.split(":")[0] ?? "";
          if (member !== undefined) network.separate(member.name, host, durationMs);
        }
        return member !== undefined;
      },
    },
  ];
}

function machines({ world, members }: Struck): FaultKind[] {
  return [
    {
      name: "member stood still",
      meanMs: 10_000,
      strike: (prng) => anyOf(members, prng)?.machine.standStill(prng.integer(50, 6_000)) ?? false,
    },
    {
      name: "clock jumped",
      meanMs: 20_000,
      strike: (prng) => {
        anyOf(members, prng)?.machine.jumpWallClock(prng.integer(-3_600_000, 3_600_000));
        return true;
      },
    },
    {
      name: "disk full",
      meanMs: 40_000,
      strike: (prng) => {
        const disk = anyOf(members, prng)?.disk;
        if (disk === undefined) return false;
        disk.capacityBytes = disk.usedBytes + prng.integer(0, 500_000);
        world.after(prng.integer(100, 5_000), "faults", "disk has room again", () => {
          disk.capacityBytes = Number.MAX_SAFE_INTEGER;
        });
        return true;
      },
    },
    {
      name: "disk slow",
      meanMs: 25_000,
      strike: (prng) => {
        const faults = anyOf(members, prng)?.disk.faults;
        if (faults === undefined) return false;
        const { delayMsMax } = faults;
        faults.delayMsMax = prng.pick([100, 1_000]);
        world.after(prng.integer(100, 8_000), "faults", "disk is quick again", () => {
          faults.delayMsMax = Math.min(delayMsMax, 30);
        });
        return true;
      },
    },
  ];
}

function zooKeeper({ world, servers }: Struck): FaultKind[] {
  const { ensemble, addresses } = servers;
  const killForAWhile = (index: number | undefined, prng: Prng): boolean => {
    if (index === undefined || !ensemble.isRunning(index)) return false;
    servers.kill(index, { power: prng.chance(0.5) });
    world.after(prng.integer(100, 10_000), "faults", "server boots", () => servers.restart(index));
    return true;
  };
  return [
    {
      name: "ZooKeeper server died",
      meanMs: 15_000,
      strike: (prng) => killForAWhile(prng.integer(0, addresses.length - 1), prng),
    },
    {
      name: "ZooKeeper's leader died",
      meanMs: 25_000,
      strike: (prng) => killForAWhile(ensemble.leaderIndex, prng),
    },
    {
      name: "all of ZooKeeper died",
      meanMs: 50_000,
      strike: (prng) => addresses.map((_, index) => killForAWhile(index, prng)).includes(true),
    },
    {
      name: "session ended by somebody else",
      meanMs: 20_000,
      strike: (prng) => {
        const sessionId = anyOf(ensemble.sessionIds, prng);
        if (sessionId !== undefined) ensemble.endSession(sessionId);
        return sessionId !== undefined;
      },
    },
  ];
}

function anyOf<T>(all: readonly T[], prng: Prng): T | undefined {
  return all[prng.integer(0, Math.max(0, all.length - 1))];
}
