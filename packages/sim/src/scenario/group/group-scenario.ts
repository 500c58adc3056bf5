import type { Prng } from "@everhold/base";
import { resultOf, type RunResult } from "../../run-result.ts";
import { FaultSchedule } from "../../world/faults.ts";
import { World } from "../../world/world.ts";
import { newCast } from "../cast.ts";
import type { BrokerSetup } from "../everhold.ts";
import type { OracleCounts } from "../oracle.ts";
import type { ReturnCounts } from "../returns.ts";
import { groupFaults, hangingDisks } from "./group-faults.ts";
import type { GroupMistake } from "./group-mistakes.ts";
import { GroupStage, type StageSetup } from "./group-stage.ts";
import type { GroupCounts } from "./group-watch.ts";

/** What to run. */
export interface GroupScenarioOptions {
  readonly seed: number;
  /** A mistake that all members make. */
  readonly mistake?: GroupMistake | undefined;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/** How it went. */
export type GroupResult = RunResult<
  OracleCounts & ReturnCounts & GroupCounts & Readonly<Record<string, number>>
>;

/**
 * A group of brokers, its ZooKeeper and several clients work while machines die, stand still and are cut apart. Then the
 * faults stop, everything comes to rest, and the oracle says whether every promise was kept; and all members must have
 * the same.
 */
export async function runGroup(options: GroupScenarioOptions): Promise<GroupResult> {
  return new GroupScenario(options).run();
}

class GroupScenario {
  readonly #prng: Prng;
  readonly #stage: GroupStage;
  #faults: FaultSchedule | undefined;

  constructor({ seed, mistake, writeTrace }: GroupScenarioOptions) {
    const world = new World(writeTrace === undefined ? { seed } : { seed, writeTrace });
    this.#prng = world.randomFor("scenario");
    this.#stage = new GroupStage(world, { ...randomSetup(this.#prng), mistake });
  }

  async run(): Promise<GroupResult> {
    const { world, oracle } = this.#stage;
    // Each phase is left at once when something fails: what follows would only hide the cause.
    const passed =
      (await this.#stage.setUp()) &&
      (await this.#work()) &&
      (await this.#calm()) &&
      (await this.#stage.end()) &&
      (await this.#stage.startAgain());
    if (passed) oracle.finish(new Map());
    return resultOf(world, {
      faults: Object.fromEntries(this.#faults?.counts ?? []),
      counts: { ...this.#stage.counts, ended: passed ? 1 : 0 },
    });
  }

  /** Everything works, and everything goes wrong. */
  async #work(): Promise<boolean> {
    const { world, company, members, network, servers, node } = this.#stage;
    for (const process of company.producers) process.start();
    for (const { disk } of members) disk.faults.delayMsMax = this.#prng.pick([1, 5, 30]);
    const hasLostWays = world.randomFor("lost ways").chance(0.25);
    const struck = { world, network, members, servers, node };
    this.#faults = new FaultSchedule(world, [
      ...groupFaults(struck),
      ...company.faults,
      ...(hasLostWays ? company.lostWays : []),
      ...hangingDisks(struck),
    ]);
    const endMs = world.nowMs + this.#prng.integer(5_000, 60_000);
    while (world.nowMs < endMs) {
      if (!(await this.#stage.runSlice())) return false;
    }
    return true;
  }

  /** Nothing goes wrong any more. */
  async #calm(): Promise<boolean> {
    const { world, members, servers } = this.#stage;
    this.#faults?.stop();
    world.note("scenario", "faults stop");
    for (const [index] of servers.addresses.entries()) {
      servers.restart(index);
      servers.ensemble.reconnect(index);
    }
    for (const member of members) {
      member.disarm();
      member.machine.correctWallClock();
      member.disk.wake();
      member.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      member.disk.faults.delayMsMax = 5;
    }
    return this.#stage.rest();
  }
}

function randomSetup(prng: Prng): StageSetup {
  const tickTimeMs = prng.pick([500, 1000]);
  const serverCount = prng.pick([1, 3, 3]);
  const lagMsMax = prng.pick([1, 20]);
  const memberCount = prng.pick([2, 3, 3]);
  const sessionTimeoutMs = tickTimeMs * prng.pick([4, 8]);
  const broker: BrokerSetup = {
    journal: {
      segmentBytes: prng.pick([64 * 1024, 128 * 1024, 2048 * 1024]),
      snapshotBytes: prng.pick([16 * 1024, 32 * 1024, 1024 * 1024]),
      tailCacheBytes: prng.pick([64 * 1024, 1024 * 1024]),
    },
    maxSizeBytes: prng.pick([-1, -1, 30_000]),
    addressFullPolicy: prng.pick(["block", "fail"]),
    maxDeliveryAttempts: -1,
  };
  const minInSync = prng.pick([1, 1, 2]);
  const cast = newCast(prng, false);
  return {
    ...{ tickTimeMs, serverCount, lagMsMax, memberCount, sessionTimeoutMs },
    ...{ broker, minInSync, cast },
  };
}
