import type { Network } from "@everhold/env";
import { worldDisk } from "../../disk/world-disk.ts";
import { SimNetwork } from "../../network/sim-network.ts";
import { watchingNetwork } from "../../network/watching-network.ts";
import { Machine } from "../../world/machine.ts";
import type { World } from "../../world/world.ts";
import { EnsembleMachines } from "../../zookeeper/ensemble-machines.ts";
import type { Cast } from "../cast.ts";
import { Company } from "../company.ts";
import { brokerOptions, brokerPort, type BrokerSetup } from "../everhold.ts";
import { Oracle, type OracleCounts } from "../oracle.ts";
import { Returns, type ReturnCounts } from "../returns.ts";
import type { GroupMistake } from "./group-mistakes.ts";
import { groupName, groupNode, linksPort } from "./group-node.ts";
import { GroupWatch, type GroupCounts } from "./group-watch.ts";
import { MemberProcess } from "./member-process.ts";

/** Who is on a {@link GroupStage}, and what they are told. */
export interface StageSetup {
  readonly serverCount: number;
  readonly tickTimeMs: number;
  /** The most that a server of ZooKeeper lags behind, in ms. */
  readonly lagMsMax: number;
  readonly memberCount: number;
  readonly sessionTimeoutMs: number;
  readonly broker: BrokerSetup;
  readonly minInSync: number;
  readonly cast: Cast;
  /** A mistake that all members make. */
  readonly mistake?: GroupMistake | undefined;
  /** Is told of each operation's start and end on a member's disk, and of whatever a member sends. */
  readonly onStep?: (member: string, step: string) => void;
}

/** Virtual ms in which everything must be set up, come to rest once nothing goes wrong, and end. */
const phaseMsMax = 300_000;

/** How often a hand-over is asked for that did not happen, in virtual ms. */
const handOverAgainMs = 15_000;

/** How long a live waits for its disk, where another one could lead: longer than disks are slow, in virtual ms. */
const hungMs = 1_500;

/** What only members know. */
const secret = new TextEncoder().encode("what only members know");

/**
 * A world with a group of brokers, its ZooKeeper and several clients, all but the servers of ZooKeeper the real code,
 * somebody who looks on after every event, and an oracle that knows what was promised to the clients.
 */
export class GroupStage {
  readonly world: World;
  readonly network: SimNetwork;
  readonly servers: EnsembleMachines;
  readonly oracle: Oracle;
  readonly members: readonly MemberProcess[];
  readonly watch: GroupWatch;
  readonly company: Company;
  /** What the group's node says, as ZooKeeper has decided it. */
  readonly node: ReturnType<typeof groupNode>;
  /** Called after every event, too. */
  onEvent: () => void = () => undefined;
  readonly #returns = new Returns();

  constructor(world: World, setup: StageSetup) {
    this.world = world;
    const { serverCount, tickTimeMs, lagMsMax, memberCount, cast } = setup;
    this.network = new SimNetwork(this.world);
    this.servers = new EnsembleMachines(this.world, this.network, {
      ...{ serverCount, tickTimeMs, syncLimit: 5 },
      lag: { minMs: 0.1, maxMs: lagMsMax },
    });
    this.members = Array.from({ length: memberCount }, (_, index) => this.#newMember(setup, index));
    this.node = groupNode(this.servers);
    this.watch = new GroupWatch(this.world, this.members, this.node);
    const machines = this.members.map(({ machine }) => machine);
    this.oracle = new Oracle((text) => this.world.fail("oracle", new Error(text)), {
      moment: () => this.world.nowMs,
      latestSince: (moment) =>
        Math.max(...machines.map((machine) => machine.latestWallMsSince(moment))),
    });
    this.company = new Company({
      ...{ world: this.world, network: this.network },
      ...{ oracle: this.oracle, returns: this.#returns },
      urls: this.members.map(({ name }) => `tcp://${name}:${brokerPort}`),
      cast,
    });
  }

  /** What was done and seen. */
  get counts(): OracleCounts & ReturnCounts & GroupCounts {
    return { ...this.oracle.counts, ...this.#returns.counts, ...this.watch.counts };
  }

  /** Who lets clients in. */
  get serving(): MemberProcess["broker"] {
    return this.members.find(({ broker }) => broker?.status.isServing)?.broker;
  }

  /** Everybody but the producers is at work. */
  async setUp(): Promise<boolean> {
    for (const member of this.members) member.start();
    if (!(await this.reach("one serves", () => this.serving !== undefined))) return false;
    const { consumers } = this.company;
    for (const process of consumers) process.start();
    return this.reach("the consumers listen", () => consumers.every(({ ready }) => ready));
  }

  /** Nothing goes wrong any more: all that was sent must arrive, and all that was begun must end. */
  async rest(): Promise<boolean> {
    return this.reach("everything comes to rest", () => {
      const queues = this.serving?.queues();
      return (
        queues !== undefined &&
        this.company.isAtRest &&
        queues.every(({ messageCount }) => messageCount === 0)
      );
    });
  }

  /** The clients end, and all members have the same. */
  async end(): Promise<boolean> {
    if (!(await this.reach("the clients end", this.company.end()))) return false;
    const { open } = this.company;
    if (open.length > 0) this.#fail(`these never settled: ${open.slice(0, 10).join(", ")}`);
    return this.reach("all members have the same", () => this.watch.isEqual);
  }

  /** All members stop in order and begin again; then each of them leads for once: all must know the same. */
  async startAgain(): Promise<boolean> {
    const before = this.#knowledge();
    let stoppedCount = 0;
    for (const member of this.members) {
      member.stop().then(
        () => (stoppedCount += 1),
        (error: unknown) => this.world.fail(member.name, error),
      );
    }
    const haveStopped = (): boolean => stoppedCount === this.members.length;
    if (!(await this.reach("the members stop", haveStopped))) return false;
    for (const member of this.members) member.start();
    return this.leadInTurn(before);
  }

  /** Each member leads for once, and must know this; by default what the first one knows. */
  async leadInTurn(expected?: readonly string[]): Promise<boolean> {
    let before = expected;
    for (const { name } of this.members) {
      const isBack = (): boolean => this.serving !== undefined && this.watch.isEqual;
      if (!(await this.reach("the group is back", isBack))) return false;
      before ??= this.#knowledge();
      let askedAtMs = -Infinity;
      const leads = (): boolean => {
        const { serving } = this;
        if (serving?.status.id === name) return true;
        // A hand-over may be given up, and is asked for again.
        if (serving === undefined || this.world.nowMs < askedAtMs + handOverAgainMs) return false;
        askedAtMs = this.world.nowMs;
        serving.handOver(name);
        return false;
      };
      if (!(await this.reach(`${name} leads`, leads))) return false;
      const after = this.#knowledge();
      const strange = after.filter((line) => before?.includes(line) === false);
      const missing = before.filter((line) => !after.includes(line));
      if (strange.length === 0 && missing.length === 0) continue;
      this.#fail(`${name} knows ${strange.join("\n")}, and should ${missing.join("\n")}`);
      return false;
    }
    return true;
  }

  /** Some rules are looked at after each event, those that would cost more than the event now and then. */
  async runSlice(): Promise<boolean> {
    const end = await this.world.run({
      timeMs: this.world.nowMs + 50,
      condition: () => {
        this.watch.lookAtOnce();
        this.onEvent();
        return false;
      },
    });
    if (end === "failure") return false;
    this.watch.look();
    return this.world.failures.length === 0;
  }

  /** Lets things happen until this is so; it must be in time. */
  async reach(what: string, condition: () => boolean): Promise<boolean> {
    const endMs = this.world.nowMs + phaseMsMax;
    while (this.world.nowMs < endMs) {
      if (!(await this.runSlice())) return false;
      if (condition()) return true;
    }
    this.#fail(`not within ${phaseMsMax / 1000} s: ${what}; ${this.#situation()}`);
    return false;
  }

  /** What the live knows, line by line; but for sessions, which are forgotten in due time, and that need not be durable. */
  #knowledge(): readonly string[] {
    const lines = this.serving?.dump().split("\n") ?? [];
    return lines.filter((line) => !line.startsWith("session "));
  }

  #situation(): string {
    const filled = this.serving?.queues().filter(({ messageCount }) => messageCount > 0);
    const queues = filled
      ?.map(
        ({ name, messageCount, inFlightCount, consumerCount }) =>
          `${name} ${messageCount}, ${inFlightCount} in flight, ${consumerCount} consumers`,
      )
      .join("; ");
    const open = this.company.open.slice(0, 12).join("; ");
    return `${this.watch.situation}; queues hold [${queues}], open are [${open}]`;
  }

  #fail(text: string): void {
    this.world.fail("scenario", new Error(text));
  }

  #newMember(setup: StageSetup, index: number): MemberProcess {
    const { memberCount, broker, minInSync, sessionTimeoutMs, mistake, onStep } = setup;
    const name = `member-${index + 1}`;
    const { world, network } = this;
    const disk = worldDisk(world, name);
    return new MemberProcess({
      world,
      machine: new Machine({ world, network, name, disk }),
      disk,
      mistake,
      networkOf: (its) => this.#watched(its),
      config: brokerOptions(broker, [{ host: name, port: brokerPort }]),
      group: {
        id: name,
        founds: index === 0,
        secret,
        links: { host: name, port: linksPort },
        minInSync,
        timing: { hungMs },
      },
      groupName,
      isLast: index === memberCount - 1,
      onStep: onStep && ((step) => onStep(name, step)),
      servers: this.servers.addresses.join(","),
      sessionTimeoutMs,
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
