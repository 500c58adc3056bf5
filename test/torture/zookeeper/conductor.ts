import { setTimeout as pause } from "node:timers/promises";

import { connectTo } from "#zookeeper/clients.js";
import { Ensemble } from "#zookeeper/ensemble.js";

import { ContenderHarm } from "./contender-harm.ts";
import { Contenders } from "./contenders.ts";
import { contestPath } from "./contest.ts";
import { contenderFaults, scheduleFaults, serverFaults, type Fault } from "./faults.ts";
import { nowMicroseconds, type TortureEvent } from "./history.ts";
import type { Plan } from "./plan.ts";
import { ServerHarm } from "./server-harm.ts";
import { leaseTickTime } from "./turn.ts";
import { makeVerdict, type Ending, type Verdict } from "./verdict.ts";
import { WatchCounter } from "./watch-counter.ts";
import { epochPath, registerPath } from "./zookeeper-register.ts";

/** What a run is made of, besides its plan. */
export interface TortureOptions {
  readonly plan: Plan;
  /** Holds a folder for each process. */
  readonly folder: string;
  readonly onProgress: (words: string) => void;
  /** Is given everything that was told. */
  readonly onHistory: (events: readonly TortureEvent[]) => void;
}

/**
 * A server that is cut off goes on answering for 10 s, longer than a session lasts. One that was elected, and hears of
 * nobody, gives up after 3 s: then whoever wanted to follow it too soon comes again.
 */
const properties = { tickTime: leaseTickTime / 2, syncLimit: 40, initLimit: 12 };

/** Two contenders are harmed at a time. */
const contenderLineSeeds = [1, 2];

/** How long nodes of sessions that were given up may stay when all have gone, in session timeouts. */
const afterlifeTimeouts = 5;

/** Runs contenders and faults on a real ensemble, and judges what was told. */
export async function runTorture(options: TortureOptions): Promise<Verdict> {
  const { plan, onProgress, onHistory } = options;
  const { version, serverCount: size } = plan;
  await using ensemble = await Ensemble.start({ version, size, properties, canBeCut: size > 1 });
  await prepare(ensemble);
  const { folder } = options;
  const { sessionTimeout, contest, sabotage, seed, processCount } = plan;
  const shared = { sessionTimeout, contest, sabotage, seed, processCount };
  await using contenders = await Contenders.start(ensemble, folder, shared);
  onProgress(`${processCount} processes at work for ${plan.seconds} s`);
  const run = new Run(options, ensemble, contenders);
  const ending = await run.toTheEnd();
  onHistory(contenders.events);
  if (contenders.output !== "") onProgress(contenders.output);
  return makeVerdict(plan, contenders.events, ending);
}

async function prepare(ensemble: Ensemble): Promise<void> {
  await using client = await connectTo(ensemble.connectString);
  await client.create(contestPath, "", { parents: true });
  await client.create(epochPath, "0");
  await client.create(registerPath, "0");
}

class Run {
  readonly #options: TortureOptions;
  readonly #ensemble: Ensemble;
  readonly #contenders: Contenders;
  readonly #watches: WatchCounter;
  #endMs = 0;

  constructor(options: TortureOptions, ensemble: Ensemble, contenders: Contenders) {
    this.#options = options;
    this.#ensemble = ensemble;
    this.#contenders = contenders;
    this.#watches = new WatchCounter(ensemble);
  }

  async toTheEnd(): Promise<Ending> {
    const { plan, onProgress } = this.#options;
    const failures: string[] = [];
    const fail = (error: unknown): void => {
      failures.push(error instanceof Error ? error.message : String(error));
    };
    this.#endMs = performance.now() + plan.seconds * 1_000;
    const lines = [this.#disturb(), this.#look()].map(async (line) => {
      try {
        await line;
      } catch (error) {
        fail(error);
        // Whoever still harms something stops.
        this.#endMs = 0;
      }
    });
    await Promise.all(lines);
    this.#contenders.note({ kind: "stopping", at: nowMicroseconds() });
    onProgress("all end");
    const late: number[] = [];
    const counts = { wakeups: 0, leakedSockets: 0, nodesLeft: 0 };
    // What was told until then is judged all the same.
    try {
      for (const { number } of await this.#contenders.end()) late.push(number);
      for (const number of late) onProgress(`process ${number} did not end`);
      counts.wakeups = await this.#watches.look();
      counts.leakedSockets = await this.#waitFor(() => this.#contenders.openCount, 10_000);
      counts.nodesLeft = await this.#nodesLeft();
    } catch (error) {
      fail(error);
    }
    return { ...counts, late, failure: failures.length === 0 ? undefined : failures.join("; ") };
  }

  /** Harms a server and two contenders at a time, until the time is over. */
  async #disturb(): Promise<void> {
    const { plan, folder } = this.#options;
    const { seed, sessionTimeout, faults } = plan;
    const servers = new ServerHarm(this.#ensemble, this.#contenders);
    const contenders = new ContenderHarm({
      ...{ contenders: this.#contenders, servers, folder, sessionTimeout },
    });
    const ofServers = serverFaults.filter((kind) => faults.includes(kind));
    const ofContenders = contenderFaults.filter((kind) => faults.includes(kind));
    const serverLine = { seed, kinds: ofServers, sessionTimeout, peaceMs: sessionTimeout };
    const peaceMs = sessionTimeout / 2;
    const contenderLines = contenderLineSeeds.map((extra) => {
      return { seed: seed + extra, kinds: ofContenders, sessionTimeout, peaceMs };
    });
    await Promise.all([
      this.#inflict(scheduleFaults(serverLine), (fault) => servers.inflict(fault)),
      ...contenderLines.map((line) =>
        this.#inflict(scheduleFaults(line), (fault) => contenders.inflict(fault)),
      ),
      pause(this.#endMs - performance.now()),
    ]);
  }

  async #inflict<F extends Fault>(
    schedule: readonly F[],
    inflict: (fault: F) => Promise<boolean>,
  ): Promise<void> {
    for (const fault of schedule) {
      if (performance.now() + fault.pauseMs >= this.#endMs) return;
      await pause(fault.pauseMs);
      const at = nowMicroseconds();
      const { kind, durationMs, isAboutHolder } = fault;
      this.#options.onProgress(`${kind} ${durationMs} ms${isAboutHolder ? ", the holder's" : ""}`);
      if (await inflict(fault)) this.#contenders.note({ kind: "fault", fault: kind, at });
    }
  }

  /** Counts wakeups often, and asks at quarters what processes take. */
  async #look(): Promise<void> {
    const quarterMs = (this.#options.plan.seconds * 1_000) / 4;
    const startMs = this.#endMs - 4 * quarterMs;
    let quarter = 1;
    while (performance.now() < this.#endMs) {
      await pause(Math.min(500, Math.max(1, this.#endMs - performance.now())));
      await this.#watches.look();
      if (performance.now() < startMs + quarter * quarterMs) continue;
      quarter += 1;
      this.#contenders.measure();
    }
  }

  /** Contenders' nodes, after all that may take. */
  async #nodesLeft(): Promise<number> {
    await this.#ensemble.startAll();
    await using client = await connectTo(this.#ensemble.connectString);
    const patienceMs = afterlifeTimeouts * this.#options.plan.sessionTimeout;
    return this.#waitFor(
      async () => (await client.getChildren(contestPath, { fresh: true })).children.length,
      patienceMs,
    );
  }

  /** Asks until it is 0, or for so long. */
  async #waitFor(ask: () => number | Promise<number>, patienceMs: number): Promise<number> {
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      const count = await ask();
      if (count === 0 || performance.now() > deadlineMs) return count;
      await pause(100);
    }
  }
}
