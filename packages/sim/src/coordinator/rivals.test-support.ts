import { EverholdError, type Prng } from "@everhold/base";
import { ZooKeeperCoordinator } from "@everhold/coordinator";
import {
  decodeGroupState,
  type KnownState,
  newGroupState,
  type Replica,
  type RequestResult,
} from "@everhold/group";
import { connect, ops, type ZooKeeper } from "@everhold/zookeeper-core";
import { worldDisk } from "../disk/world-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { FaultSchedule } from "../world/faults.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { EnsembleMachines } from "../zookeeper/ensemble-machines.ts";

const groupId = "orders";
const paths = {
  state: "/everhold/groups/orders/state",
  live: "/everhold/groups/orders/live",
  members: "/everhold/groups/orders/members",
} as const;

/** What one member has asked for. `next.state.epochStart` is its number: so what is written says whose it is. */
interface Asked {
  readonly next: KnownState;
  readonly isPromotion: boolean;
  result: RequestResult | undefined;
}

/** A change of the group's node that the servers have decided. */
interface Written {
  /** Which node, counted from 0. */
  readonly node: number;
  /** After the change. */
  readonly version: number;
  readonly request: number;
}

/** What a run came to. */
export interface RivalsResult {
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Members that want to lead, all at once, while their servers and connections fail; then all comes to rest. */
export async function runRivals(seed: number): Promise<RivalsResult> {
  return new Rivals(seed).run();
}

class Rivals {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #network: SimNetwork;
  readonly #servers: EnsembleMachines;
  readonly #asked: Asked[] = [];
  readonly #written: Written[] = [];
  readonly #members: Rival[] = [];
  #nodeCount = 0;
  #version = 0;
  #isWorking = true;

  constructor(seed: number) {
    this.#world = new World({ seed });
    this.#prng = this.#world.randomFor("scenario");
    this.#network = new SimNetwork(this.#world);
    this.#servers = new EnsembleMachines(this.#world, this.#network, {
      serverCount: 3,
      version: this.#prng.pick(["3.8.0", "3.9.5"]),
      lag: { minMs: 0.1, maxMs: this.#prng.pick([1, 20, 300]) },
    });
    this.#servers.ensemble.listen((event) => {
      if (event.type !== "committed") return;
      for (const { type, path, data } of event.changes) {
        if (path !== paths.state) continue;
        if (type === "created") {
          this.#nodeCount += 1;
          this.#version = 0;
        }
        if (type !== "dataChanged") continue;
        this.#version += 1;
        const { epochStart } = decodeGroupState(data ?? new Uint8Array(0));
        const [node, version] = [this.#nodeCount - 1, this.#version];
        this.#written.push({ node, version, request: epochStart });
      }
    });
  }

  async run(): Promise<RivalsResult> {
    const ids = ["anna", "bert", "cora"].slice(0, this.#prng.integer(2, 3));
    const replicas = ids.map((id) => ({ id, incarnation: "1" }));
    for (const self of replicas) this.#start(self, replicas);
    const faults = new FaultSchedule(this.#world, this.#faults());
    await this.#pass(this.#prng.integer(30_000, 60_000));
    faults.stop();
    this.#isWorking = false;
    for (const index of this.#servers.addresses.keys()) {
      this.#servers.restart(index);
      this.#servers.ensemble.reconnect(index);
    }
    await this.#until("all have ended what they did", () =>
      this.#members.every(({ isAtRest, isRegistered }) => isAtRest && isRegistered),
    );
    // What is under way, and is unknown, arrives.
    await this.#pass(30_000);
    const settled = this.#members.map(async (member) => member.settle());
    let all: readonly KnownState[] | undefined;
    Promise.all(settled).then(
      (known) => (all = known),
      (error: unknown) => this.#world.fail("settle", error),
    );
    await this.#until("all know the group's node", () => all !== undefined);
    this.#judge(all ?? []);
    await this.#until("who leads has the live node", () => this.#isLiveNodeRight(all ?? []));
    await this.#until("all are registered, and known", () => this.#isRegistered());
    await this.#close();
    const results = this.#asked.map(({ result }) => result);
    const count = (wanted: RequestResult): number =>
      results.filter((result) => result === wanted).length;
    const { failures } = this.#world;
    return {
      problems: failures.map(({ source, error }) => `${source}: ${error.message}`),
      counts: {
        ...Object.fromEntries(faults.counts),
        ...{ done: count("done"), conflict: count("conflict"), unknown: count("unknown") },
        ...{ written: this.#written.length, nodes: this.#nodeCount },
      },
    };
  }

  #start(self: Replica, all: readonly Replica[]): void {
    const [world, network, name] = [this.#world, this.#network, self.id];
    const machine = new Machine({ world, network, name, disk: worldDisk(world, name) });
    const member = new Rival(machine, self, {
      prng: world.randomFor(name),
      connectString: this.#servers.addresses.join(","),
      first: { ...newGroupState(groupId, self, 1), inSync: all },
      isWorking: () => this.#isWorking,
      ask: (next, isPromotion) => {
        const asked: Asked = {
          next: { ...next, state: { ...next.state, epochStart: this.#asked.length } },
          isPromotion,
          result: undefined,
        };
        this.#asked.push(asked);
        return asked;
      },
    });
    this.#members.push(member);
    this.#boot(member);
  }

  #boot(member: Rival): void {
    member.run().catch((error: unknown) => this.#world.fail(member.self.id, error));
  }

  #faults(): ConstructorParameters<typeof FaultSchedule>[1] {
    const { ensemble } = this.#servers;
    const [world, network, servers] = [this.#world, this.#network, this.#servers];
    return [
      { name: "connection cut", meanMs: 2000, strike: () => network.cutOne() },
      {
        name: "direction stalled",
        meanMs: 5000,
        strike: (prng) => network.stallOne(prng.integer(10, 8000)),
      },
      { name: "answer lost", meanMs: 4000, strike: () => network.dropOne() },
      {
        name: "leader died",
        meanMs: 25_000,
        strike: (prng) => {
          const index = ensemble.leaderIndex;
          if (index === undefined || !ensemble.isRunning(index)) return false;
          servers.kill(index, { power: false });
          world.after(prng.integer(100, 8000), "faults", "boots", () => servers.restart(index));
          return true;
        },
      },
      {
        name: "session ended",
        meanMs: 8000,
        strike: (prng) => {
          const { sessionIds } = ensemble;
          const sessionId = sessionIds[prng.integer(0, sessionIds.length)];
          if (sessionId !== undefined) ensemble.endSession(sessionId);
          return sessionId !== undefined;
        },
      },
      {
        name: "process killed",
        meanMs: 15_000,
        strike: (prng) => {
          const member = this.#members[prng.integer(0, this.#members.length - 1)];
          if (member?.crash({ power: prng.chance(0.5) }) !== true) return false;
          const boot = (): void => this.#boot(member);
          world.after(prng.integer(10, 10_000), "faults", "process starts", boot);
          return true;
        },
      },
      {
        name: "group made again",
        meanMs: 10_000,
        strike: (prng) =>
          this.#members[prng.integer(0, this.#members.length - 1)]?.makeAgain() ?? false,
      },
    ];
  }

  /** What every result promises. */
  #judge(all: readonly KnownState[]): void {
    const nodes = new Map<string, number>();
    for (const [index, { next, isPromotion, result }] of this.#asked.entries()) {
      const what = `request ${index}, ${isPromotion ? "promotion" : "reconfiguration"}`;
      const found = this.#written.filter(({ request }) => request === index);
      if (found.length > 1) this.#fail(`${what} was written ${found.length} times`);
      if (result === "conflict" && found.length > 0) this.#fail(`${what}: no conflict`);
      if (result === "done" && found.length === 0) this.#fail(`${what}: not done`);
      const [one] = found;
      if (one === undefined) continue;
      if (one.version !== next.version + 1) this.#fail(`${what} was written over another version`);
      const node = nodes.get(next.created) ?? one.node;
      nodes.set(next.created, node);
      if (node !== one.node) this.#fail(`${what} was written to another node`);
      const twins = this.#written.filter(({ request, node: other }) => {
        const twin = this.#asked[request];
        return (
          other === node && twin?.isPromotion === true && twin.next.state.epoch === next.state.epoch
        );
      });
      if (isPromotion && twins.length > 1) this.#fail(`${what}: its epoch began twice`);
    }
    const texts = new Set(all.map((known) => JSON.stringify(known)));
    if (texts.size !== 1) this.#fail(`members know different things: ${[...texts].join(" ")}`);
    if (all[0]?.version !== this.#version) this.#fail("the last version is not known");
  }

  /** Who leads in the epoch that it asked for last has the node. */
  #isLiveNodeRight([known]: readonly KnownState[]): boolean {
    const owner = this.#servers.ensemble.node(paths.live)?.stat.ephemeralOwner;
    const leader = this.#members.find(({ self }) => self.id === known?.state.live?.id);
    return leader?.claimedEpoch !== known?.state.epoch || owner === leader?.sessionId;
  }

  #isRegistered(): boolean {
    const { ensemble } = this.#servers;
    return this.#members.every(
      ({ self, sessionId, knownCount }) =>
        ensemble.node(`${paths.members}/${self.id}@1`)?.stat.ephemeralOwner === sessionId &&
        knownCount === this.#members.length,
    );
  }

  async #close(): Promise<void> {
    let closedCount = 0;
    for (const member of this.#members) {
      member.close().then(
        () => (closedCount += 1),
        (error: unknown) => this.#world.fail(member.self.id, error),
      );
    }
    await this.#until("all are closed", () => closedCount === this.#members.length);
    const { ensemble } = this.#servers;
    const left = ensemble.paths.filter((path) => ensemble.node(path)?.stat.ephemeralOwner !== 0n);
    if (left.length > 0) this.#fail(`left behind: ${left.join(", ")}`);
    this.#servers.close();
  }

  /** A world in which something has failed stands still. */
  async #pass(durationMs: number): Promise<boolean> {
    return (await this.#world.run({ timeMs: this.#world.nowMs + durationMs })) !== "failure";
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    const endMs = this.#world.nowMs + 120_000;
    while (this.#world.nowMs < endMs && !condition()) {
      if (!(await this.#pass(50))) return;
    }
    if (!condition()) this.#fail(`${what}: this did not come about`);
  }

  #fail(text: string): void {
    this.#world.fail("judge", new Error(text));
  }
}

/** What a {@link Rival} works with. */
interface RivalParts {
  readonly prng: Prng;
  readonly connectString: string;
  readonly first: KnownState["state"];
  readonly isWorking: () => boolean;
  readonly ask: (next: KnownState, isPromotion: boolean) => Asked;
}

/** A member that reads, and asks for this and that. */
class Rival {
  readonly self: Replica;
  readonly #machine: Machine;
  readonly #parts: RivalParts;
  /** The epoch of the last promotion that it asked for. */
  claimedEpoch = 0;
  isAtRest = false;
  isRegistered = false;
  /** Members that it was told of. */
  knownCount = 0;
  #asked: Asked | undefined;
  #client: ZooKeeper | undefined;
  #coordinator: ZooKeeperCoordinator | undefined;

  constructor(machine: Machine, self: Replica, parts: RivalParts) {
    this.#machine = machine;
    this.self = self;
    this.#parts = parts;
  }

  get sessionId(): bigint | undefined {
    return this.#client?.sessionId;
  }

  /** Ends the process without a word; false where none runs. What it has asked for nobody knows then. */
  crash(options: { readonly power: boolean }): boolean {
    if (!this.#machine.running) return false;
    this.#machine.crash(options);
    if (this.#asked !== undefined) this.#asked.result ??= "unknown";
    this.#client = undefined;
    this.#coordinator = undefined;
    this.claimedEpoch = 0;
    this.isAtRest = false;
    this.isRegistered = false;
    return true;
  }

  async run(): Promise<void> {
    const ports = this.#machine.start();
    const { connectString, prng, isWorking, ask } = this.#parts;
    const options = { sessionTimeout: 8000, connectTimeout: 200_000 };
    const client = (this.#client = await connect(ports, connectString, options));
    const coordinator = (this.#coordinator = new ZooKeeperCoordinator({
      ...{ ports, client, groupId },
      listener: {
        onStateMayHaveChanged: () => undefined,
        onLiveGone: () => undefined,
        onMembers: (members) => (this.knownCount = members.length),
      },
    }));
    const registered = this.#register(coordinator);
    while (isWorking()) {
      const known = await this.settle();
      // Others do something meanwhile, now and then.
      await new Promise<void>((resolve) => ports.timers.after(prng.integer(0, 300), resolve));
      const { state } = known;
      const isPromotion = state.live?.id !== this.self.id || prng.chance(0.3);
      const change = isPromotion ? { epoch: state.epoch + 1, live: this.self } : {};
      const asked = ask({ ...known, state: { ...state, ...change } }, isPromotion);
      if (isPromotion) this.claimedEpoch = asked.next.state.epoch;
      const kind = isPromotion ? "promote" : "reconfigure";
      this.#asked = asked;
      asked.result = await coordinator.request(kind, asked.next);
    }
    this.isAtRest = true;
    await registered;
  }

  /** What a former process has left may be there for longer than one call waits. */
  async #register(coordinator: ZooKeeperCoordinator): Promise<void> {
    const address = { replica: this.self, replication: "host:1", clients: "host:2" };
    while (!this.isRegistered) {
      try {
        await coordinator.register(address);
        this.isRegistered = true;
      } catch (error) {
        if (!EverholdError.is(error, "EVH_MEMBER_EXISTS")) throw error;
      }
    }
  }

  /** What the group's node says, which is made where there is none. */
  async settle(): Promise<KnownState> {
    for (;;) {
      const read = await this.#coordinator?.read();
      if (read?.kind === "state") return read.known;
      if (read?.kind !== "absent") throw new Error(`read: ${read?.kind}`);
      // In doubt the next look says what became of it.
      await this.#coordinator?.create(this.#parts.first).catch(() => undefined);
    }
  }

  /** Deletes the group's node, as an operator might. */
  makeAgain(): boolean {
    const client = this.#client;
    if (client === undefined || client.state !== "connected") return false;
    const remove = async (): Promise<void> => {
      const { children } = await client.getChildren(paths.state);
      const marks = children.map((name) => ops.delete(`${paths.state}/${name}`));
      await client.multi([...marks, ops.delete(paths.state)]);
    };
    remove().catch(() => undefined);
    return true;
  }

  async close(): Promise<void> {
    await this.#coordinator?.close();
    await this.#client?.close();
  }
}
