import type { Prng } from "@everhold/base";
import type { GroupMember } from "@everhold/zookeeper-core";
import { worldDisk } from "../../disk/world-disk.ts";
import { SimNetwork } from "../../network/sim-network.ts";
import { resultOf, type RunResult } from "../../run-result.ts";
import { FaultSchedule } from "../../world/faults.ts";
import { Machine } from "../../world/machine.ts";
import { World } from "../../world/world.ts";
import { EnsembleMachines } from "../ensemble-machines.ts";
import { type EnsembleMistake, ensembleMistakes } from "../ensemble-types.ts";
import { type ClientMistake, clientMistakes } from "./client-mistakes.ts";
import { lockPaths } from "./contending.ts";
import { Judge } from "./judge.ts";
import { KeeperClient } from "./keeper-client.ts";
import { keeperFaults } from "./keeper-faults.ts";

/** Mistakes that servers or clients can be told to make, to show that they are found. */
export const keeperMistakes = [...ensembleMistakes, ...clientMistakes] as const;

/** One of {@link keeperMistakes}. */
export type KeeperMistake = EnsembleMistake | ClientMistake;

/** What to run. */
export interface KeeperOptions {
  readonly seed: number;
  /** A mistake to make on purpose. */
  readonly mistake?: KeeperMistake | undefined;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/** Virtual ms in which everything must come to rest once nothing goes wrong, and end. */
const phaseMsMax = 300_000;

const paths = ["/data/a", "/data/ab", "/data/b", "/data/a/below"] as const;

/**
 * ZooKeeper clients, all of them the real code, at work on servers that die, lose their leader and fall behind. Then
 * the faults stop, everything comes to rest, and the judge says whether every promise was kept.
 */
export async function runKeeper(options: KeeperOptions): Promise<RunResult> {
  return new KeeperRun(options).run();
}

class KeeperRun {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #network: SimNetwork;
  readonly #servers: EnsembleMachines;
  readonly #judge: Judge;
  readonly #machines: readonly Machine[];
  readonly #clients: readonly KeeperClient[];
  #faults: FaultSchedule | undefined;
  #electionCount = 0;

  constructor({ seed, mistake, writeTrace }: KeeperOptions) {
    this.#world = new World(writeTrace === undefined ? { seed } : { seed, writeTrace });
    this.#prng = this.#world.randomFor("scenario");
    this.#network = new SimNetwork(this.#world);
    const prng = this.#prng;
    const tickTimeMs = prng.pick([500, 1000, 2000]);
    const lagMsMax = prng.pick([1, 20, 300]);
    // The leader asks twice in a tick, and the way there and back takes its time, too.
    const tellMsMax = Math.max(tickTimeMs, tickTimeMs / 2 + 2 * lagMsMax);
    const ticksMin = tellMsMax > tickTimeMs ? 4 : 2;
    this.#servers = new EnsembleMachines(this.#world, this.#network, {
      serverCount: prng.pick([1, 3, 3, 5]),
      version: prng.pick(["3.8.0", "3.9.5"]),
      tickTimeMs,
      syncLimit: prng.pick([2, 5, 10]),
      lag: { minMs: 0.1, maxMs: lagMsMax },
      mistake: ensembleMistakes.find((one) => one === mistake),
    });
    const { ensemble, addresses } = this.#servers;
    this.#judge = new Judge(ensemble, (text) => this.#world.fail("judge", new Error(text)));
    ensemble.listen((event) => {
      if (event.type === "leader" && event.index !== undefined) this.#electionCount += 1;
      if (event.type !== "committed") this.#world.note("ensemble", event.type, describe(event));
    });
    const names = ["client-1", "client-2", "client-3", "client-4"].slice(0, prng.integer(2, 4));
    this.#machines = names.map((name) => this.#newMachine(name));
    this.#clients = this.#machines.map(
      (machine) =>
        new KeeperClient({
          ...{ world: this.#world, machine, judge: this.#judge },
          settings: {
            ...{ paths, tellMsMax, connectString: addresses.join(",") },
            sessionTimeoutMs: tickTimeMs * prng.pick([ticksMin, 4, 10]),
            mistake: clientMistakes.find((one) => one === mistake),
          },
        }),
    );
  }

  async run(): Promise<RunResult> {
    for (const client of this.#clients) client.start();
    this.#faults = new FaultSchedule(
      this.#world,
      keeperFaults({
        ...{ world: this.#world, network: this.#network, servers: this.#servers },
        ...{ clients: this.#clients, machines: this.#machines, holdings: this.#judge.holdings },
        isForgetful: this.#world.randomFor("wipes").chance(0.25),
      }),
    );
    // Each phase is left at once when something fails: what follows would only hide the cause.
    const passed = (await this.#work()) && (await this.#calm()) && (await this.#end());
    const { counts, holdings, counting } = this.#judge;
    return resultOf(this.#world, {
      faults: Object.fromEntries(this.#faults.counts),
      counts: {
        ...{ ...counts, ...holdings.counts, ...counting.counts },
        ...{ elections: this.#electionCount, ended: passed ? 1 : 0 },
      },
    });
  }

  async #work(): Promise<boolean> {
    const durationMs = this.#prng.integer(20_000, 90_000);
    return (await this.#world.run({ timeMs: this.#world.nowMs + durationMs })) === "time";
  }

  /** Nothing goes wrong any more: everybody ends what they began, and sees what there is. */
  async #calm(): Promise<boolean> {
    const { ensemble } = this.#servers;
    this.#faults?.stop();
    for (const index of this.#servers.addresses.keys()) {
      this.#servers.restart(index);
      ensemble.reconnect(index);
    }
    const clients = this.#clients;
    const isReady = await this.#reach("everybody is connected, and has what it works with", () =>
      clients.every(({ sessionId, equipment }) => sessionId !== undefined && equipment),
    );
    if (!isReady) return false;
    for (const client of clients) client.finish();
    const isAtRest = await this.#reach("everything that was begun has ended", () =>
      clients.every(({ open }) => open.length === 0),
    );
    if (!isAtRest) return false;
    const isSeen = await this.#reach("whoever watches has seen what there is", () =>
      clients.every((client) => this.#isUpToDate(client)),
    );
    const isHeld = await this.#reach("nodes that are held are there", () =>
      clients.every(
        ({ memberPath, sessionId }) => ensemble.node(memberPath)?.stat.ephemeralOwner === sessionId,
      ),
    );
    const isKnown = await this.#reach("all members know each other", () =>
      clients.every(({ equipment }) => this.#isComplete(equipment?.member.members())),
    );
    const isLed = await this.#reach(
      "one leads",
      () => this.#judge.holdings.holders(lockPaths.latch).length === 1,
    );
    const isCounted = await this.#addUpCounter();
    const agree = await this.#reach(
      "all servers have what was decided",
      () => ensemble.differences().length === 0,
    );
    this.#judge.addUp();
    return (
      isSeen &&
      isHeld &&
      isKnown &&
      isLed &&
      isCounted &&
      agree &&
      this.#world.failures.length === 0
    );
  }

  /** Clients close, and leave nothing behind. */
  async #end(): Promise<boolean> {
    const { ensemble } = this.#servers;
    let closedCount = 0;
    for (const client of this.#clients) {
      client
        .close()
        .then(() => (closedCount += 1))
        .catch((error: unknown) => this.#world.fail(client.name, error));
    }
    const isClosed = await this.#reach(
      "all clients are closed, and their sessions over",
      () => closedCount === this.#clients.length && ensemble.sessionIds.length === 0,
    );
    if (!isClosed) return false;
    const left = ensemble.paths.filter((path) => ensemble.node(path)?.stat.ephemeralOwner !== 0n);
    if (left.length > 0) this.#fail(`left behind: ${left.join(", ")}`);
    this.#servers.close();
    const endMs = this.#world.nowMs + phaseMsMax;
    const end = await this.#world.run({ condition: () => this.#world.nowMs > endMs });
    if (end === "condition") {
      this.#fail("left behind: something still happens after all have closed");
    }
    return end === "idle";
  }

  async #reach(what: string, condition: () => boolean): Promise<boolean> {
    const endMs = this.#world.nowMs + phaseMsMax;
    while (this.#world.nowMs < endMs) {
      if ((await this.#world.run({ timeMs: this.#world.nowMs + 50 })) === "failure") return false;
      if (condition()) return true;
    }
    const open = this.#clients.map((client) => `${client.name}: ${client.open.join(", ")}`);
    this.#fail(
      `liveness: not within ${phaseMsMax / 1000} s: ${what}; open are [${open.join("; ")}]`,
    );
    return false;
  }

  /** What everybody has counted is what the counter says now. */
  async #addUpCounter(): Promise<boolean> {
    const [client] = this.#clients;
    let isRead = false;
    client?.equipment?.counter
      .get({ fresh: true })
      .then((value) => {
        this.#judge.counting.addUp(value);
        isRead = true;
      })
      .catch((error: unknown) => this.#world.fail(client.name, error));
    return this.#reach("the counter is read", () => isRead);
  }

  #isUpToDate({ equipment, isDeceived }: KeeperClient): boolean {
    if (equipment === undefined) return false;
    const { copy, onceCopy, cache } = equipment;
    const [first] = paths;
    const cached = (path: string): string | undefined => {
      const node = cache.get(path);
      return node && textOf(node.data);
    };
    return (
      (isDeceived || onceCopy.get(first) === this.#textAt(first)) &&
      cache.isExact &&
      paths.every((path) =>
        [copy.get(path), cached(path)].every((one) => one === this.#textAt(path)),
      )
    );
  }

  /** Whether these are all members, each in its session. */
  #isComplete(members: ReturnType<GroupMember["members"]> | undefined): boolean {
    const { length } = this.#clients;
    return (
      members?.size === length &&
      this.#clients.every(
        ({ name, sessionId }) => members.get(name)?.stat.ephemeralOwner === sessionId,
      )
    );
  }

  #textAt(path: string): string | undefined {
    const node = this.#servers.ensemble.node(path);
    return node && textOf(node.data);
  }

  #fail(text: string): void {
    this.#world.fail("scenario", new Error(text));
  }

  #newMachine(name: string): Machine {
    const [world, network] = [this.#world, this.#network];
    return new Machine({ world, network, name, disk: worldDisk(world, name) });
  }
}

function textOf(data: Uint8Array | null): string {
  return new TextDecoder().decode(data ?? undefined);
}

/** What the trace says of an event. */
function describe(event: object): string {
  return JSON.stringify(event, (_, value: unknown) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
}
