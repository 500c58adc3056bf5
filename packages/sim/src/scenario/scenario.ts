import type { Prng } from "@everhold/base";
import type { SimDisk } from "../disk/sim-disk.ts";
import { worldDisk } from "../disk/world-disk.ts";
import { mutate, type Mutation } from "../mutations/mutations.ts";
import { SimNetwork } from "../network/sim-network.ts";
import { resultOf, type RunResult } from "../run-result.ts";
import { FaultSchedule, type FaultKind } from "../world/faults.ts";
import { Machine } from "../world/machine.ts";
import { World } from "../world/world.ts";
import { Accounts } from "./accounts.ts";
import { BrokerProcess } from "./broker-process.ts";
import { newCast } from "./cast.ts";
import { Company } from "./company.ts";
import { ConfirmationWatch } from "./confirmation-watch.ts";
import { brokerHost, brokerUrls } from "./everhold.ts";
import { Intruder } from "./intruder.ts";
import { managedQueue, Manager } from "./manager.ts";
import { Oracle, type OracleCounts } from "./oracle.ts";
import { Returns, type Moment, type ReturnCounts } from "./returns.ts";

/** What to run. */
export interface ScenarioOptions {
  readonly seed: number;
  /** A mistake to make on purpose. */
  readonly mutation?: Mutation | undefined;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/** How it went. */
export type ScenarioResult = RunResult<
  OracleCounts & ReturnCounts & Readonly<Record<string, number>>
>;

/** Virtual ms in which everything must be set up, come to rest once nothing goes wrong, and end. */
const phaseMsMax = 300_000;

/**
 * One broker and several clients, all of them the real code, work while machines die, cables are cut and
 * disks forget. Then the faults stop, everything comes to rest, and the oracle says whether every promise
 * was kept.
 */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  return new Scenario(options).run();
}

class Scenario {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #network: SimNetwork;
  readonly #oracle: Oracle;
  readonly #disk: SimDisk;
  readonly #broker: BrokerProcess;
  readonly #returns = new Returns();
  readonly #confirmations: ConfirmationWatch;
  readonly #timelyFaults: Record<string, number> = {};
  readonly #brokerMachine: Machine;
  readonly #company: Company;
  /** In every other seed somebody manages the broker meanwhile. */
  readonly #manager: Manager | undefined;
  /** In every fourth seed the broker asks who comes. */
  readonly #accounts: Accounts | undefined;
  readonly #intruder: Intruder | undefined;
  #faults: FaultSchedule | undefined;

  constructor(options: ScenarioOptions) {
    const { seed, writeTrace, mutation } = options;
    this.#world = new World(writeTrace === undefined ? { seed } : { seed, writeTrace });
    this.#prng = this.#world.randomFor("scenario");
    this.#network = new SimNetwork(this.#world);
    this.#disk = worldDisk(this.#world, brokerHost);
    this.#brokerMachine = this.#newMachine(brokerHost, this.#disk);
    this.#oracle = new Oracle((text) => this.#world.fail("oracle", new Error(text)), {
      moment: () => this.#world.nowMs,
      latestSince: (moment) => this.#brokerMachine.latestWallMsSince(moment),
    });
    this.#confirmations = new ConfirmationWatch((text) => {
      // A disk that lies to its broker is to be found by what is lost.
      if (mutation !== "confirm-before-sync") this.#world.fail("confirmations", new Error(text));
    });
    if (this.#world.randomFor("login").chance(0.25)) {
      const accounts = new Accounts(this.#world);
      const machine = this.#newMachine("intruder", worldDisk(this.#world, "intruder"));
      this.#accounts = accounts;
      this.#intruder = new Intruder({ world: this.#world, machine, accounts });
    }
    const maxDeliveryAttempts = this.#prng.pick([-1, 10, 3]);
    this.#broker = new BrokerProcess({
      world: this.#world,
      machine: this.#brokerMachine,
      disk: this.#disk,
      mutate: (ports) => mutate(ports, mutation),
      logins: this.#accounts?.logins,
      onFrame: (frame) => {
        this.#intruder?.onFrame(frame);
        this.#returns.onFrame(frame);
        this.#confirmations.onFrame(frame);
      },
      onDisk: (event) => this.#confirmations.onDisk(event),
      onEnded: () => this.#confirmations.onEnded(),
      setup: {
        journal: {
          segmentBytes: this.#prng.pick([256 * 1024, 512 * 1024, 2048 * 1024]),
          snapshotBytes: this.#prng.pick([32 * 1024, 128 * 1024, 1024 * 1024]),
          tailCacheBytes: this.#prng.pick([64 * 1024, 1024 * 1024]),
        },
        maxSizeBytes: this.#prng.pick([-1, -1, 30_000]),
        addressFullPolicy: this.#prng.pick(["block", "fail"]),
        maxDeliveryAttempts,
      },
    });
    const isManaged = this.#world.randomFor("manager").chance(0.5);
    if (isManaged) {
      this.#manager = new Manager(this.#world, this.#broker);
      this.#oracle.queueManaged(managedQueue);
    }
    const cast = newCast(this.#prng, maxDeliveryAttempts !== -1);
    this.#company = new Company({
      ...{ world: this.#world, network: this.#network, oracle: this.#oracle },
      ...{ returns: this.#returns, accounts: this.#accounts, mutation },
      ...{ urls: brokerUrls, cast },
    });
  }

  async run(): Promise<ScenarioResult> {
    // Each phase is left at once when something fails: what follows would only hide the cause.
    const passed =
      (await this.#setUp()) &&
      (await this.#work()) &&
      (await this.#calm()) &&
      (await this.#end()) &&
      (await this.#recover());
    if (passed) this.#oracle.finish(new Map());
    return this.#result();
  }

  async #setUp(): Promise<boolean> {
    this.#broker.start();
    if (!(await this.#reach("the broker starts", () => this.#broker.broker !== undefined)))
      return false;
    const { consumers } = this.#company;
    for (const process of consumers) process.start();
    return this.#reach("the consumers listen", () => consumers.every(({ ready }) => ready));
  }

  /** Everything works, and everything goes wrong. */
  async #work(): Promise<boolean> {
    for (const process of this.#company.producers) process.start();
    this.#intruder?.start();
    this.#disk.faults.delayMsMax = this.#prng.pick([1, 5, 30]);
    this.#disk.faults.shortWriteProbability = this.#prng.pick([0, 0.05]);
    this.#disk.faults.writeErrorProbability = this.#prng.pick([0, 0, 0.002]);
    this.#faults = new FaultSchedule(this.#world, this.#faultKinds());
    const endMs = this.#world.nowMs + this.#prng.integer(5_000, 40_000);
    while (this.#world.nowMs < endMs) {
      if (!(await this.#runSlice())) return false;
    }
    return true;
  }

  /** Nothing goes wrong any more: all that was sent must arrive, and all that was begun must end. */
  async #calm(): Promise<boolean> {
    this.#faults?.stop();
    this.#broker.disarm();
    this.#returns.disarm();
    this.#accounts?.calm();
    this.#intruder?.stop();
    this.#brokerMachine.correctWallClock();
    this.#world.note("scenario", "faults stop");
    this.#disk.faults.shortWriteProbability = 0;
    this.#disk.faults.writeErrorProbability = 0;
    this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    return this.#reach("everything comes to rest", () => {
      this.#manager?.tidy();
      return this.#isAtRest();
    });
  }

  async #end(): Promise<boolean> {
    const haveEnded = this.#company.end();
    const ended = await this.#reach("the clients end", haveEnded);
    const { open } = this.#company;
    if (open.length > 0) this.#fail(`these never settled: ${open.slice(0, 10).join(", ")}`);
    return ended && open.length === 0;
  }

  /** The broker stops in order; what it leaves on the disk must be what it knew. */
  async #recover(): Promise<boolean> {
    const before = this.#broker.broker?.fingerprint();
    let stopped = false;
    this.#broker
      .stop()
      .then(() => (stopped = true))
      .catch((error: unknown) => this.#world.fail(brokerHost, error));
    if (!(await this.#reach("the broker stops", () => stopped))) return false;
    this.#broker.compareRecoveries(before);
    return this.#reach("the folder is recovered twice", () => !this.#broker.checking);
  }

  #isAtRest(): boolean {
    const { broker } = this.#broker;
    if (broker === undefined || this.#broker.checking) return false;
    if (!this.#company.isAtRest) return false;
    return broker.queues().every(({ messageCount }) => messageCount === 0);
  }

  /** Invariants are looked at every now and then: after each event that would cost more than the event. */
  async #runSlice(): Promise<boolean> {
    const end = await this.#world.run({ timeMs: this.#world.nowMs + 50 });
    if (end === "failure") return false;
    this.#broker.broker?.assertInvariants();
    return true;
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
    const filled = this.#broker.broker?.queues().filter(({ messageCount }) => messageCount > 0);
    const queues = filled?.map(({ name, messageCount }) => `${name} ${messageCount}`).join(", ");
    return `queues hold [${queues}], open are [${this.#company.open.slice(0, 12).join("; ")}]`;
  }

  #fail(text: string): void {
    this.#world.fail("scenario", new Error(text));
  }

  #faultKinds(): FaultKind[] {
    // Where the broker dies all the time, sessions are seldom kept.
    const rarer = this.#world.randomFor("deaths").pick([1, 1, 20]);
    return [
      {
        name: "broker killed",
        meanMs: 16_000 * rarer,
        strike: () => this.#broker.crash({ power: false }),
      },
      {
        name: "broker lost power",
        meanMs: 16_000 * rarer,
        strike: () => this.#broker.crash({ power: true }),
      },
      {
        name: "broker killed while writing",
        meanMs: 6_000 * rarer,
        strike: () => this.#broker.crashWhileWriting({ power: false }),
      },
      {
        name: "broker lost power while writing",
        meanMs: 6_000 * rarer,
        strike: () => this.#broker.crashWhileWriting({ power: true }),
      },
      ...this.#company.faults,
      {
        name: "disk full",
        meanMs: 40_000,
        strike: (prng) => {
          this.#fillDisk(prng.integer(0, 500_000), prng.integer(100, 5_000));
          return true;
        },
      },
      {
        name: "clock jumped",
        meanMs: 20_000,
        strike: (prng) => {
          this.#brokerMachine.jumpWallClock(prng.integer(-3_600_000, 3_600_000));
          return true;
        },
      },
      ...(this.#world.randomFor("lost ways").chance(0.25) ? this.#company.lostWays : []),
      ...this.#timelyKinds(rarer),
      ...(this.#manager?.kinds ?? []),
      ...(this.#accounts?.kinds ?? []),
    ];
  }

  /** Faults at moments that those of a time picked at random seldom meet. They are counted when they strike. */
  #timelyKinds(rarer: number): FaultKind[] {
    const kind = (
      what: "connection cut" | "broker killed",
      moment: Moment,
      meanMs: number,
    ): FaultKind => {
      const name = `${what} in a ${moment}`;
      return {
        name,
        meanMs,
        strike: (prng) => {
          const [delayMs, power] = [prng.fraction() * 5, prng.chance(0.5)];
          this.#returns.onNext[moment] = (link) =>
            this.#strikeLater(delayMs, name, () =>
              what === "connection cut"
                ? this.#network.cutLink(link)
                : this.#broker.crash({ power }),
            );
          return false;
        },
      };
    };
    return [
      kind("connection cut", "return", 8_000),
      kind("broker killed", "return", 20_000 * rarer),
      kind("connection cut", "commit", 3_000),
      kind("broker killed", "commit", 10_000 * rarer),
      kind("connection cut", "send", 1_500),
    ];
  }

  #strikeLater(delayMs: number, name: string, strike: () => boolean): void {
    this.#world.after(delayMs, "faults", name, () => {
      if (strike()) this.#timelyFaults[name] = (this.#timelyFaults[name] ?? 0) + 1;
    });
  }

  /** Leaves room for so many bytes, for a while. */
  #fillDisk(freeBytes: number, durationMs: number): void {
    this.#disk.capacityBytes = this.#disk.usedBytes + freeBytes;
    this.#world.after(durationMs, brokerHost, "disk has room again", () => {
      this.#disk.capacityBytes = Number.MAX_SAFE_INTEGER;
    });
  }

  #newMachine(name: string, disk: SimDisk): Machine {
    return new Machine({ world: this.#world, network: this.#network, name, disk });
  }

  #result(): ScenarioResult {
    const faults = Object.fromEntries(this.#faults?.counts ?? []);
    const disk = this.#disk.counts;
    return resultOf(this.#world, {
      faults: {
        ...faults,
        ...this.#timelyFaults,
        "write torn": disk.tornWrites,
        "write lost": disk.lostWrites,
        "write short": disk.shortWrites,
        "write failed": disk.writeErrors,
        "cached sector lost": disk.lostCacheSectors,
        "recovery compared": this.#broker.checkCount,
      },
      counts: {
        ...this.#oracle.counts,
        ...this.#returns.counts,
        sendsConfirmed: this.#confirmations.confirmedCount,
        ...this.#accounts?.counts,
        ...(this.#intruder && { intrusionsRefused: this.#intruder.refusedCount }),
      },
    });
  }
}
