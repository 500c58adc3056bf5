import type { Prng } from "@everhold/base";
import { SimDisk } from "../../disk/sim-disk.ts";
import { SimNetwork } from "../../network/sim-network.ts";
import { FaultSchedule, type FaultKind } from "../../world/faults.ts";
import { Machine } from "../../world/machine.ts";
import { World } from "../../world/world.ts";
import { EnsembleMachines } from "../ensemble-machines.ts";
import type { EnsembleMistake } from "../ensemble-types.ts";
import { Judge } from "./judge.ts";
import { KeeperClient } from "./keeper-client.ts";

/** What to run. */
export interface KeeperOptions {
  readonly seed: number;
  /** A mistake to make on purpose. */
  readonly mistake?: EnsembleMistake | undefined;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/** How it went. */
export interface KeeperResult {
  readonly seed: number;
  /** Broken promises; empty when all is well. */
  readonly problems: readonly string[];
  readonly simulatedMs: number;
  readonly eventCount: number;
  readonly fingerprint: string;
  /** How often each kind of fault happened. */
  readonly faults: Readonly<Record<string, number>>;
  readonly counts: Readonly<Record<string, number>>;
}

/** Virtual ms in which everything must come to rest once nothing goes wrong, and end. */
const phaseMsMax = 300_000;

const paths = ["/data/a", "/data/ab", "/data/b", "/data/a/below"] as const;

/**
 * ZooKeeper clients, all of them the real code, at work on servers that die, lose their leader and fall behind. Then
 * the faults stop, everything comes to rest, and the judge says whether every promise was kept.
 */
export async function runKeeper(options: KeeperOptions): Promise<KeeperResult> {
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
    this.#servers = new EnsembleMachines(this.#world, this.#network, {
      serverCount: prng.pick([1, 3, 3, 5]),
      version: prng.pick(["3.8.0", "3.9.5"]),
      tickTimeMs,
      syncLimit: prng.pick([2, 5, 10]),
      lag: { minMs: 0.1, maxMs: prng.pick([1, 20, 300]) },
      mistake,
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
          ...{ world: this.#world, machine, judge: this.#judge, paths },
          connectString: addresses.join(","),
          sessionTimeoutMs: tickTimeMs * prng.pick([2, 4, 10]),
        }),
    );
  }

  async run(): Promise<KeeperResult> {
    for (const client of this.#clients) client.start();
    this.#faults = new FaultSchedule(this.#world, this.#faultKinds());
    // Each phase is left at once when something fails: what follows would only hide the cause.
    const passed = (await this.#work()) && (await this.#calm()) && (await this.#end());
    const { counts } = this.#judge;
    return {
      seed: this.#world.seed,
      problems: this.#world.failures.map(
        ({ source, timeMs, error }) => `at ${timeMs.toFixed(3)} ms, ${source}: ${error.message}`,
      ),
      simulatedMs: this.#world.nowMs,
      eventCount: this.#world.eventCount,
      fingerprint: this.#world.trace.fingerprint,
      faults: Object.fromEntries(this.#faults.counts),
      counts: { ...counts, elections: this.#electionCount, ended: passed ? 1 : 0 },
    };
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
    const isReady = await this.#reach("everybody is connected and watches", () =>
      clients.every((client) => client.sessionId !== undefined && client.watches),
    );
    if (!isReady) return false;
    for (const client of clients) client.finish();
    const isAtRest = await this.#reach("everything that was begun has ended", () =>
      clients.every(({ open }) => open.length === 0),
    );
    if (!isAtRest) return false;
    const isSeen = await this.#reach("whoever watches has seen what there is", () =>
      clients.every(({ cache }) => paths.every((path) => cache.get(path) === this.#textAt(path))),
    );
    const isHeld = await this.#reach("nodes that are held are there", () =>
      clients.every(
        ({ memberPath, sessionId }) => ensemble.node(memberPath)?.stat.ephemeralOwner === sessionId,
      ),
    );
    const agree = await this.#reach(
      "all servers have what was decided",
      () => ensemble.differences().length === 0,
    );
    this.#judge.addUp();
    return isSeen && isHeld && agree && this.#world.failures.length === 0;
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

  #textAt(path: string): string | undefined {
    const node = this.#servers.ensemble.node(path);
    return node && new TextDecoder().decode(node.data ?? undefined);
  }

  #fail(text: string): void {
    this.#world.fail("scenario", new Error(text));
  }

  #faultKinds(): FaultKind[] {
    const network = this.#network;
    const { ensemble, addresses } = this.#servers;
    const anyServer = (prng: Prng): number => prng.integer(0, addresses.length - 1);
    const always = (strike: (prng: Prng) => void) => (prng: Prng) => {
      strike(prng);
      return true;
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
        strike: always((prng) => network.partition(prng.integer(100, 20_000))),
      },
      {
        name: "client cut off",
        meanMs: 15_000,
        strike: always((prng) => {
          const client = this.#clients[prng.integer(0, this.#clients.length - 1)];
          if (client !== undefined) network.isolate(client.name, prng.integer(500, 20_000));
        }),
      },
      {
        name: "holder of the lock cut off",
        meanMs: 10_000,
        strike: (prng) => {
          const [holder] = this.#judge.holders;
          if (holder !== undefined) network.isolate(holder, prng.integer(500, 20_000));
          return holder !== undefined;
        },
      },
      {
        name: "client crashed",
        meanMs: 30_000,
        strike: (prng) => {
          const client = this.#clients[prng.integer(0, this.#clients.length - 1)];
          return client?.crash({ power: prng.chance(0.5) }) ?? false;
        },
      },
      {
        name: "server died",
        meanMs: 15_000,
        strike: (prng) => this.#killForAWhile(anyServer(prng), prng),
      },
      {
        name: "leader died",
        meanMs: 25_000,
        strike: (prng) => this.#killForAWhile(ensemble.leaderIndex, prng),
      },
      {
        name: "server cut off from the others",
        meanMs: 12_000,
        strike: (prng) => {
          const index = anyServer(prng);
          if (addresses.length === 1) return false;
          ensemble.cutFromLeader(index);
          const delayMs = prng.integer(50, 25_000);
          this.#world.after(delayMs, "faults", "reaches the others again", () =>
            ensemble.reconnect(index),
          );
          return true;
        },
      },
      {
        name: "session ended by somebody else",
        meanMs: 30_000,
        strike: (prng) => {
          const { sessionIds } = ensemble;
          const sessionId = sessionIds[prng.integer(0, sessionIds.length - 1)];
          if (sessionId !== undefined) ensemble.endSession(sessionId);
          return sessionId !== undefined;
        },
      },
      {
        name: "clock jumped",
        meanMs: 30_000,
        strike: always((prng) => {
          const machine = this.#machines[prng.integer(0, this.#machines.length - 1)];
          machine?.jumpWallClock(prng.integer(-3_600_000, 3_600_000));
        }),
      },
    ];
  }

  #killForAWhile(index: number | undefined, prng: Prng): boolean {
    if (index === undefined || !this.#servers.ensemble.isRunning(index)) return false;
    this.#servers.kill(index, { power: prng.chance(0.5) });
    this.#world.after(prng.integer(100, 15_000), "faults", "server boots", () =>
      this.#servers.restart(index),
    );
    return true;
  }

  #newMachine(name: string): Machine {
    const world = this.#world;
    const scheduler = {
      after: (delayMs: number, task: () => void): unknown =>
        world.after(delayMs, `${name} disk`, "done", task),
    };
    const disk = new SimDisk({ seed: world.randomFor(`${name} disk`).uint32(), scheduler });
    return new Machine({ world, network: this.#network, name, disk });
  }
}

/** What the trace says of an event. */
function describe(event: object): string {
  return JSON.stringify(event, (_, value: unknown) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
}
