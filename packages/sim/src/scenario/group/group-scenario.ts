import type { Prng } from "@everhold/base";
import type { Network } from "@everhold/env";
import { worldDisk } from "../../disk/world-disk.ts";
import { SimNetwork } from "../../network/sim-network.ts";
import { resultOf, type RunResult } from "../../run-result.ts";
import { FaultSchedule } from "../../world/faults.ts";
import { Machine } from "../../world/machine.ts";
import { World } from "../../world/world.ts";
import { EnsembleMachines } from "../../zookeeper/ensemble-machines.ts";
import { newCast } from "../cast.ts";
import { Company } from "../company.ts";
import { brokerOptions, brokerPort, type BrokerSetup } from "../everhold.ts";
import { Oracle, type OracleCounts } from "../oracle.ts";
import { Returns, type ReturnCounts } from "../returns.ts";
import { watchingNetwork } from "../../network/watching-network.ts";
import { groupFaults } from "./group-faults.ts";
import type { GroupMistake } from "./group-mistakes.ts";
import { groupName, groupNode, linksPort } from "./group-node.ts";
import { GroupWatch, type GroupCounts } from "./group-watch.ts";
import { MemberProcess } from "./member-process.ts";

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

/** Virtual ms in which everything must be set up, come to rest once nothing goes wrong, and end. */
const phaseMsMax = 300_000;

/** How often a hand-over is asked for that did not happen, in virtual ms. */
const handOverAgainMs = 15_000;

/** What only members know. */
const secret = new TextEncoder().encode("what only members know");

/**
 * A group of brokers, its ZooKeeper and several clients, all but the servers of ZooKeeper the real code, work while
 * machines die, stand still and are cut apart. Then the faults stop, everything comes to rest, and the oracle says
 * whether every promise was kept; and all members must have the same.
 */
export async function runGroup(options: GroupScenarioOptions): Promise<GroupResult> {
  return new GroupScenario(options).run();
}

class GroupScenario {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #network: SimNetwork;
  readonly #servers: EnsembleMachines;
  readonly #oracle: Oracle;
  readonly #returns = new Returns();
  readonly #members: readonly MemberProcess[];
  readonly #watch: GroupWatch;
  readonly #mistake: GroupMistake | undefined;
  readonly #company: Company;
  #faults: FaultSchedule | undefined;

  constructor({ seed, mistake, writeTrace }: GroupScenarioOptions) {
    this.#world = new World(writeTrace === undefined ? { seed } : { seed, writeTrace });
    this.#mistake = mistake;
    this.#prng = this.#world.randomFor("scenario");
    this.#network = new SimNetwork(this.#world);
    const prng = this.#prng;
    const tickTimeMs = prng.pick([500, 1000]);
    this.#servers = new EnsembleMachines(this.#world, this.#network, {
      serverCount: prng.pick([1, 3, 3]),
      tickTimeMs,
      syncLimit: 5,
      lag: { minMs: 0.1, maxMs: prng.pick([1, 20]) },
    });
    this.#members = this.#newMembers(prng.pick([2, 3, 3]), tickTimeMs * prng.pick([4, 8]));
    this.#watch = new GroupWatch(this.#world, this.#members, groupNode(this.#servers));
    const machines = this.#members.map(({ machine }) => machine);
    this.#oracle = new Oracle((text) => this.#world.fail("oracle", new Error(text)), {
      moment: () => this.#world.nowMs,
      latestSince: (moment) =>
        Math.max(...machines.map((machine) => machine.latestWallMsSince(moment))),
    });
    this.#company = new Company({
      ...{ world: this.#world, network: this.#network },
      ...{ oracle: this.#oracle, returns: this.#returns },
      urls: this.#members.map(({ name }) => `tcp://${name}:${brokerPort}`),
      cast: newCast(prng, false),
    });
  }

  async run(): Promise<GroupResult> {
    // Each phase is left at once when something fails: what follows would only hide the cause.
    const passed =
      (await this.#setUp()) &&
      (await this.#work()) &&
      (await this.#calm()) &&
      (await this.#end()) &&
      (await this.#startAgain());
    if (passed) this.#oracle.finish(new Map());
    return resultOf(this.#world, {
      faults: Object.fromEntries(this.#faults?.counts ?? []),
      counts: {
        ...this.#oracle.counts,
        ...this.#returns.counts,
        ...this.#watch.counts,
        ended: passed ? 1 : 0,
      },
    });
  }

  async #setUp(): Promise<boolean> {
    for (const member of this.#members) member.start();
    if (!(await this.#reach("one serves", () => this.#serving !== undefined))) return false;
    const { consumers } = this.#company;
    for (const process of consumers) process.start();
    return this.#reach("the consumers listen", () => consumers.every(({ ready }) => ready));
  }

  /** Everything works, and everything goes wrong. */
  async #work(): Promise<boolean> {
    const world = this.#world;
    for (const process of this.#company.producers) process.start();
    for (const { disk } of this.#members) disk.faults.delayMsMax = this.#prng.pick([1, 5, 30]);
    const hasLostWays = world.randomFor("lost ways").chance(0.25);
    const struck = {
      world,
      network: this.#network,
      members: this.#members,
      servers: this.#servers,
      node: groupNode(this.#servers),
    };
    this.#faults = new FaultSchedule(world, [
      ...groupFaults(struck),
      ...this.#company.faults,
      ...(hasLostWays ? this.#company.lostWays : []),
    ]);
    const endMs = world.nowMs + this.#prng.integer(5_000, 60_000);
    while (world.nowMs < endMs) {
      if (!(await this.#runSlice())) return false;
    }
    return true;
  }

  /** Nothing goes wrong any more: all that was sent must arrive, and all that was begun must end. */
  async #calm(): Promise<boolean> {
    this.#faults?.stop();
    this.#world.note("scenario", "faults stop");
    for (const [index] of this.#servers.addresses.entries()) {
      this.#servers.restart(index);
      this.#servers.ensemble.reconnect(index);
    }
    for (const member of this.#members) {
      member.disarm();
      member.machine.correctWallClock();
      member.disk.capacityBytes = Number.MAX_SAFE_INTEGER;
      member.disk.faults.delayMsMax = 5;
    }
    return this.#reach("everything comes to rest", () => {
      const queues = this.#serving?.queues();
      return (
        queues !== undefined &&
        this.#company.isAtRest &&
        queues.every(({ messageCount }) => messageCount === 0)
      );
    });
  }

  async #end(): Promise<boolean> {
    if (!(await this.#reach("the clients end", this.#company.end()))) return false;
    const { open } = this.#company;
    if (open.length > 0) this.#fail(`these never settled: ${open.slice(0, 10).join(", ")}`);
    return this.#reach("all members have the same", () => this.#watch.isEqual);
  }

  /** All members stop in order and begin again; then each of them leads for once: all must know the same. */
  async #startAgain(): Promise<boolean> {
    const before = this.#knowledge();
    let stoppedCount = 0;
    for (const member of this.#members) {
      member.stop().then(
        () => (stoppedCount += 1),
        (error: unknown) => this.#world.fail(member.name, error),
      );
    }
    const haveStopped = (): boolean => stoppedCount === this.#members.length;
    if (!(await this.#reach("the members stop", haveStopped))) return false;
    for (const member of this.#members) member.start();
    for (const { name } of this.#members) {
      const isBack = (): boolean => this.#serving !== undefined && this.#watch.isEqual;
      if (!(await this.#reach("the group is back", isBack))) return false;
      const leads = (): boolean => {
        const { status } = this.#serving ?? {};
        if (status?.id === name) return true;
        // A hand-over may be given up, and is asked for again.
        if (this.#world.nowMs % handOverAgainMs < 50) this.#serving?.handOver(name);
        return false;
      };
      if (!(await this.#reach(`${name} leads`, leads))) return false;
      const after = this.#knowledge();
      const strange = after.filter((line) => !before.includes(line));
      const missing = before.filter((line) => !after.includes(line));
      if (strange.length === 0 && missing.length === 0) continue;
      this.#fail(`${name} knows ${strange.join("\n")}, and should ${missing.join("\n")}`);
      return false;
    }
    return true;
  }

  /** What the live knows, line by line; but for sessions, which are forgotten in due time, and that need not be durable. */
  #knowledge(): readonly string[] {
    const lines = this.#serving?.dump().split("\n") ?? [];
    return lines.filter((line) => !line.startsWith("session "));
  }

  get #serving(): MemberProcess["broker"] {
    return this.#members.find(({ broker }) => broker?.status.isServing)?.broker;
  }

  /** Some rules are looked at after each event, those that would cost more than the event now and then. */
  async #runSlice(): Promise<boolean> {
    const end = await this.#world.run({
      timeMs: this.#world.nowMs + 50,
      condition: () => {
        this.#watch.lookAtOnce();
        return false;
      },
    });
    if (end === "failure") return false;
    this.#watch.look();
    return this.#world.failures.length === 0;
  }

  async #reach(what: string, condition: () => boolean): Promise<boolean> {
    const endMs = this.#world.nowMs + phaseMsMax;
    while (this.#world.nowMs < endMs) {
      if (!(await this.#runSlice())) return false;
      if (condition()) return true;
    }
    this.#fail(`not within ${phaseMsMax / 1000} s: ${what}; ${this.#situation()}`);
    return false;
  }

  #situation(): string {
    const filled = this.#serving?.queues().filter(({ messageCount }) => messageCount > 0);
    const queues = filled
      ?.map(
        ({ name, messageCount, inFlightCount, consumerCount }) =>
          `${name} ${messageCount}, ${inFlightCount} in flight, ${consumerCount} consumers`,
      )
      .join("; ");
    const open = this.#company.open.slice(0, 12).join("; ");
    return `${this.#watch.situation}; queues hold [${queues}], open are [${open}]`;
  }

  #fail(text: string): void {
    this.#world.fail("scenario", new Error(text));
  }

  #newMembers(count: number, sessionTimeoutMs: number): MemberProcess[] {
    const prng = this.#prng;
    const setup: BrokerSetup = {
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
    return Array.from({ length: count }, (_, index) => {
      const name = `member-${index + 1}`;
      const [world, network] = [this.#world, this.#network];
      const disk = worldDisk(world, name);
      return new MemberProcess({
        world,
        machine: new Machine({ world, network, name, disk }),
        disk,
        mistake: this.#mistake,
        networkOf: (its) => this.#watched(its),
        config: brokerOptions(setup, [{ host: name, port: brokerPort }]),
        group: {
          id: name,
          founds: index === 0,
          secret,
          links: { host: name, port: linksPort },
          minInSync,
        },
        groupName,
        isLast: index === count - 1,
        servers: this.#servers.addresses.join(","),
        sessionTimeoutMs,
      });
    });
  }

  /** Somebody looks on at what passes between members and clients. */
  #watched(network: Network): Network {
    const watched = watchingNetwork(network, (frame) => this.#returns.onFrame(frame));
    return {
      listen: (endpoint, accept) =>
        (endpoint.port === brokerPort ? watched : network).listen(endpoint, accept),
      connect: (endpoint, attempt) => network.connect(endpoint, attempt),
    };
  }
}
