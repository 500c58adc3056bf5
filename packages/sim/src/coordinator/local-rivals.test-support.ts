import { EverholdError, type Prng } from "@everhold/base";
import { LocalCoordinator } from "@everhold/coordinator";
import { type KnownState, newGroupState, type Replica, type RequestResult } from "@everhold/group";
import type { SimDisk } from "../disk/sim-disk.ts";
import { worldDisk } from "../disk/world-disk.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { FaultSchedule } from "../world/faults.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { groupId } from "./group-values.test-support.ts";
import { type Revision, WrittenRevisions } from "./written-revisions.test-support.ts";
import { SimClaims } from "./sim-claims.test-support.ts";

/** A request of a process; `epochStart` of the state that it asks for is its number. */
interface Asked {
  readonly next: KnownState;
  result: RequestResult | undefined;
}

/** What a run came to. */
export interface LocalRivalsResult {
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

/** Processes of one machine that all want to lead, while they are killed and the power fails; then all comes to rest. */
export async function runLocalRivals(seed: number): Promise<LocalRivalsResult> {
  return new LocalRivals(seed).run();
}

class LocalRivals {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #disk: SimDisk;
  readonly #claims = new SimClaims();
  readonly #written: WrittenRevisions;
  readonly #asked: Asked[] = [];
  readonly #members: LocalRival[] = [];
  #isWorking = true;

  constructor(seed: number) {
    this.#world = new World({ seed });
    this.#prng = this.#world.randomFor("scenario");
    this.#disk = worldDisk(this.#world, "machine");
    // Steps of several processes lie between each other.
    this.#disk.faults.delayMsMax = this.#prng.pick([1, 10, 100]);
    this.#disk.faults.writeErrorProbability = this.#prng.pick([0, 0.01]);
    this.#disk.faults.shortWriteProbability = 0.1;
    this.#written = new WrittenRevisions(this.#disk);
  }

  async run(): Promise<LocalRivalsResult> {
    const ids = ["anna", "bert", "cora"].slice(0, this.#prng.integer(2, 3));
    const replicas = ids.map((id) => ({ id, incarnation: "1" }));
    for (const self of replicas) this.#add(self, replicas);
    const faults = new FaultSchedule(this.#world, this.#faults());
    await this.#pass(this.#prng.integer(20_000, 40_000));
    faults.stop();
    this.#isWorking = false;
    for (const { disk } of this.#members) disk.faults.writeErrorProbability = 0;
    await this.#until("all have ended what they did", () =>
      this.#members.every(({ isAtRest, isRegistered }) => isAtRest && isRegistered),
    );
    let all: readonly KnownState[] | undefined;
    Promise.all(this.#members.map((member) => member.settle())).then(
      (known) => (all = known),
      (error: unknown) => this.#world.fail("settle", error),
    );
    await this.#until("all know the group's state", () => all !== undefined);
    await this.#until("all are registered, and known", () =>
      this.#members.every(({ knownCount }) => knownCount === this.#members.length),
    );
    await this.#until("who leads is live", () => this.#isLiveRight(all ?? []));
    this.#judge(all ?? []);
    await this.#close();
    const count = (wanted: RequestResult): number =>
      this.#asked.filter(({ result }) => result === wanted).length;
    return {
      problems: this.#world.failures.map(({ source, error }) => `${source}: ${error.message}`),
      counts: {
        ...Object.fromEntries(faults.counts),
        ...{ done: count("done"), conflict: count("conflict"), unknown: count("unknown") },
        ...{ written: this.#written.all.length, "name lost": this.#written.lostCount },
      },
    };
  }

  #add(self: Replica, all: readonly Replica[]): void {
    const [world, network] = [this.#world, new SimNetwork(this.#world)];
    const disk = this.#disk.sharedWith(world.randomFor(self.id).uint32());
    disk.observe(() => this.#written.look());
    const machine = new Machine({ world, network, name: self.id, disk });
    const member = new LocalRival(machine, disk, self, {
      prng: world.randomFor(`${self.id} wishes`),
      claims: this.#claims,
      first: { ...newGroupState(groupId, self, 1), inSync: all },
      isWorking: () => this.#isWorking,
      ask: (next) => {
        const state = { ...next.state, epochStart: this.#asked.length };
        const asked: Asked = { next: { ...next, state }, result: undefined };
        this.#asked.push(asked);
        return asked;
      },
    });
    this.#members.push(member);
    this.#boot(member);
  }

  #boot(member: LocalRival): void {
    member.run().catch((error: unknown) => this.#world.fail(member.self.id, error));
  }

  #faults(): ConstructorParameters<typeof FaultSchedule>[1] {
    const world = this.#world;
    const kill = (member: LocalRival, power: boolean, downMs: number): boolean => {
      if (!member.crash({ power })) return false;
      world.after(downMs, "faults", "process starts", () => this.#boot(member));
      return true;
    };
    const anyone = (prng: Prng): LocalRival | undefined =>
      this.#members[prng.integer(0, this.#members.length - 1)];
    return [
      {
        name: "process killed",
        meanMs: 2000,
        strike: (prng) => {
          const member = anyone(prng);
          if (member === undefined) return false;
          const isKilled = kill(member, false, prng.integer(10, 3000));
          this.#written.look();
          return isKilled;
        },
      },
      {
        name: "power lost",
        meanMs: 6000,
        strike: (prng) => {
          const downMs = prng.integer(100, 3000);
          this.#written.look();
          for (const member of this.#members) kill(member, true, downMs);
          this.#disk.crash();
          this.#written.lookAfterPowerLoss();
          return true;
        },
      },
      {
        name: "stood still",
        meanMs: 4000,
        strike: (prng) => anyone(prng)?.standStill(prng.integer(100, 5000)) ?? false,
      },
      {
        name: "socket removed",
        meanMs: 10_000,
        strike: (prng) => {
          const [name] = this.#claims.names;
          if (name === undefined || prng.chance(0.5)) return false;
          this.#claims.drop(name);
          return true;
        },
      },
      {
        name: "folder removed",
        meanMs: 10_000,
        strike: () => {
          this.#written.remove();
          return true;
        },
      },
    ];
  }

  /** What every result promises. */
  #judge([known, ...others]: readonly KnownState[]): void {
    const epochs = new Set<string>();
    for (const [index, { next, result }] of this.#asked.entries()) {
      const found = this.#written.all.filter(({ mark }) => mark === index);
      if (found.length > 1) this.#fail(`request ${index} was written ${found.length} times`);
      if (result === "conflict" && found.length > 0) this.#fail(`request ${index}: no conflict`);
      if (result === "done" && found.length === 0) this.#fail(`request ${index}: not done`);
      const [one] = found;
      if (one === undefined) continue;
      if (!isAfter(one, next)) this.#fail(`request ${index} was written over another version`);
      const epoch = `${one.created} ${next.state.epoch}`;
      if (epochs.has(epoch)) this.#fail(`request ${index}: its epoch began twice`);
      epochs.add(epoch);
    }
    for (const other of others) {
      if (JSON.stringify(other) !== JSON.stringify(known)) {
        this.#fail("members know different things");
      }
    }
    const versions = this.#written.all.filter(({ created }) => created === known?.created);
    const last = Math.max(0, ...versions.map(({ version }) => version));
    if (known?.version !== last) this.#fail(`version ${last} is not known`);
  }

  /** What stands for the live is of the process that asked for its epoch last, if that runs. */
  #isLiveRight([known]: readonly KnownState[]): boolean {
    const leader = this.#members.find(({ self }) => self.id === known?.state.live?.id);
    if (leader === undefined || leader.claimedEpoch !== known?.state.epoch) return true;
    const claim = this.#written.liveClaim;
    return claim !== undefined && leader.claimNames.includes(claim) && this.#isHeld(claim);
  }

  #isHeld(claim: string): boolean {
    return this.#claims.names.includes(claim);
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
    if (this.#claims.names.length > 0) this.#fail("claims are left behind");
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

function isAfter({ created, version }: Revision, next: KnownState): boolean {
  return created === next.created && version === next.version + 1;
}

/** What a {@link LocalRival} works with. */
interface LocalRivalParts {
  readonly prng: Prng;
  readonly claims: SimClaims;
  readonly first: KnownState["state"];
  readonly isWorking: () => boolean;
  readonly ask: (next: KnownState) => Asked;
}

/** A member that reads, and wants to lead. */
class LocalRival {
  readonly self: Replica;
  readonly disk: SimDisk;
  readonly #machine: Machine;
  readonly #parts: LocalRivalParts;
  /** The claims of its process. */
  claimNames: string[] = [];
  /** The epoch of the last promotion that it asked for. */
  claimedEpoch = 0;
  isAtRest = false;
  isRegistered = false;
  /** Members that it was told of. */
  knownCount = 0;
  #asked: Asked | undefined;
  #coordinator: LocalCoordinator | undefined;

  constructor(machine: Machine, disk: SimDisk, self: Replica, parts: LocalRivalParts) {
    this.#machine = machine;
    this.disk = disk;
    this.self = self;
    this.#parts = parts;
  }

  /** Ends the process without a word; false where none runs. What it has asked for nobody knows then. */
  crash(options: { readonly power: boolean }): boolean {
    if (!this.#machine.running) return false;
    this.#machine.crash(options);
    if (this.#asked !== undefined) this.#asked.result ??= "unknown";
    this.#coordinator = undefined;
    this.claimNames = [];
    this.claimedEpoch = 0;
    this.isAtRest = false;
    this.isRegistered = false;
    return true;
  }

  standStill(durationMs: number): boolean {
    return this.#machine.standStill(durationMs);
  }

  async run(): Promise<void> {
    const ports = this.#machine.start();
    const { prng, isWorking, ask } = this.#parts;
    const life = this.#machine.bootCount;
    const isRunning = (): boolean => this.#machine.running && this.#machine.bootCount === life;
    const claims = this.#parts.claims.forProcess({ timers: ports.timers, isRunning });
    const coordinator = (this.#coordinator = new LocalCoordinator({
      ...{ ports, disk: this.disk, groupId },
      claims: {
        watch: (name, watcher) => claims.watch(name, watcher),
        make: (name) => {
          this.claimNames.push(name);
          return claims.make(name);
        },
      },
      listener: {
        onStateMayHaveChanged: () => undefined,
        onLiveGone: () => undefined,
        onMembers: (members) => (this.knownCount = members.length),
      },
    }));
    const pauseFor = (delayMs: number): Promise<void> =>
      new Promise((resolve) => void ports.timers.after(delayMs, resolve));
    const registered = this.#register(coordinator, pauseFor);
    while (isWorking()) {
      const known = await this.settle();
      // Others do something meanwhile, now and then.
      await pauseFor(prng.integer(0, 200));
      const { state } = known;
      const asked = ask({ ...known, state: { ...state, epoch: state.epoch + 1, live: this.self } });
      this.claimedEpoch = asked.next.state.epoch;
      this.#asked = asked;
      asked.result = await coordinator.request("promote", asked.next);
    }
    this.isAtRest = true;
    await registered;
  }

  /** The disk may fail. */
  async #register(
    coordinator: LocalCoordinator,
    pauseFor: (delayMs: number) => Promise<void>,
  ): Promise<void> {
    const address = { replica: this.self, replication: "host:1", clients: "host:2" };
    while (!this.isRegistered) {
      try {
        await coordinator.register(address);
        this.isRegistered = true;
      } catch (error) {
        if (!EverholdError.is(error, "EVH_IO")) throw error;
        await pauseFor(100);
      }
    }
  }

  /** What the group's state is, which is made where there is none. */
  async settle(): Promise<KnownState> {
    for (;;) {
      const read = await this.#coordinator?.read();
      if (read?.kind === "state") return read.known;
      if (read?.kind === "unreadable" && !EverholdError.is(read.error, "EVH_IO")) throw read.error;
      // In doubt the next look says what became of it.
      await this.#coordinator?.create(this.#parts.first).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.#coordinator?.close();
  }
}
