import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readArchive } from "./archive.ts";
import { BrokerProcess } from "./broker-process.ts";
import type { LedgerReport } from "./effect-ledger.ts";
import { FlightStatistics, type Flight } from "./flight-statistics.ts";
import type { RoleMessage, RoleTask } from "./role-messages.ts";
import { RoleProcess } from "./role-process.ts";

/** Ports that are tried before the demo gives up; the error of the last says why. */
const portAttemptsMax = 100;

/** What the demo is asked for. */
export interface DemoOptions {
  readonly flights: readonly Flight[];
  /** How often the broker is ended with `kill -9` while messages flow. */
  readonly kills: number;
  /** Milliseconds without any progress after which the demo reports what it has. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: DemoProgress) => void;
}

/** How far the demo has come. */
export interface DemoProgress {
  readonly sent: number;
  readonly received: { readonly stats: number; readonly archive: number };
  readonly restarts: number;
}

/** What the demo found. `lost`, `duplicated` and `redelivered` are over both subscribers. */
export interface DemoResult extends DemoProgress {
  readonly lost: number;
  /** Effects beyond the first, unmarked repeats, deliveries after a confirmed settlement. */
  readonly duplicated: number;
  /** Deliveries marked as redelivered: what a crash may cause and an application is told. */
  readonly redelivered: number;
  /** Messages that are still in a subscription at the end. */
  readonly left: number;
  readonly seconds: number;
  /** Whether statistics and archive say exactly what the file says. */
  readonly equal: boolean;
}

/**
 * Sends flights over a topic to two durable subscribers, all in processes of their own, while the
 * broker is killed and restarted, and compares what came with the file.
 *
 * @throws Error when a part fails, or `signal` is aborted
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-demo-"));
  const demo = new Demo(options, folder, new BrokerProcess(join(folder, "data"), await freePort()));
  try {
    return await demo.run();
  } finally {
    await demo.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #folder: string;
  readonly #broker: BrokerProcess;
  readonly #parts: RoleProcess[] = [];
  readonly #ready = new Set<string>();
  readonly #reports = new Map<string, LedgerReport>();
  readonly #received = { stats: 0, archive: 0 };
  #sent = 0;
  #isSendingDone = false;
  #restarts = 0;
  #left = 0;
  #statistics = "";
  #lastProgressMs = performance.now();
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(options: DemoOptions, folder: string, broker: BrokerProcess) {
    this.#options = options;
    this.#folder = folder;
    this.#broker = broker;
  }

  async run(): Promise<DemoResult> {
    const startedMs = performance.now();
    await this.#broker.start();
    this.#start("stats");
    this.#start("archive");
    await this.#until(() => this.#ready.size === 2);
    this.#start("producer");
    for (let kill = 1; kill <= this.#options.kills; kill++) await this.#killBroker(kill);
    await this.#until(() => this.#isSendingDone && this.#reports.size === 2);
    return this.#result((performance.now() - startedMs) / 1_000);
  }

  async end(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.end()));
    await this.#broker.stop();
  }

  #start(role: RoleTask["role"]): void {
    const folder = join(this.#folder, role);
    mkdirSync(folder);
    const task = { role, url: this.#broker.url, total: this.#options.flights.length, folder };
    this.#parts.push(new RoleProcess(task, (message) => this.#onMessage(role, message)));
  }

  /** The kills are spread evenly over the messages, each with messages before and behind it. */
  async #killBroker(kill: number): Promise<void> {
    const { flights, kills } = this.#options;
    const due = Math.floor((flights.length * kill) / (kills + 1));
    await this.#until(() => Math.max(this.#received.stats, this.#received.archive) >= due);
    await this.#broker.kill();
    await this.#broker.start();
    this.#restarts++;
    this.#noteProgress();
  }

  #onMessage(role: RoleTask["role"], message: RoleMessage): void {
    switch (message.kind) {
      case "ready":
        this.#ready.add(role);
        break;
      case "progress":
        if (role === "producer") this.#sent = message.count;
        else this.#received[role] = message.count;
        break;
      case "sent":
        this.#sent = message.count;
        this.#isSendingDone = true;
        break;
      case "received":
        if (role !== "producer") this.#received[role] = message.report.received;
        if (role === "stats") this.#statistics = message.statistics;
        this.#left += message.left;
        this.#reports.set(role, message.report);
        break;
      case "failed":
        this.#failure ??= new Error(message.message);
        break;
    }
    this.#noteProgress();
  }

  #noteProgress(): void {
    this.#lastProgressMs = performance.now();
    this.#options.onProgress(this.#progress());
    this.#wake();
  }

  #progress(): DemoProgress {
    return { sent: this.#sent, received: { ...this.#received }, restarts: this.#restarts };
  }

  /** Waits for `condition`. After a long standstill the parts are asked to report what they have. */
  async #until(condition: () => boolean): Promise<void> {
    const { signal, stallMs } = this.#options;
    let isAskedToFinish = false;
    while (!condition()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (signal.aborted) throw new Error("stopped before the end");
      const stalledMs = performance.now() - this.#lastProgressMs;
      if (stalledMs > stallMs) {
        if (isAskedToFinish || this.#ready.size < 2 || this.#parts.length < 3) {
          throw new Error(`nothing moved for ${Math.round(stalledMs / 1_000)} s`);
        }
        isAskedToFinish = true;
        this.#lastProgressMs = performance.now();
        for (const part of this.#parts) part.finish();
      }
      await this.#change();
    }
  }

  /** Settles when something was told, and at the latest after a while, to look at the clock. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#options;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, 500);
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #result(seconds: number): DemoResult {
    const { flights } = this.#options;
    const expected = new FlightStatistics();
    for (const flight of flights) expected.add(flight);
    const sum = (count: (report: LedgerReport) => number): number =>
      [...this.#reports.values()].reduce((total, report) => total + count(report), 0);
    return {
      ...this.#progress(),
      lost: sum((report) => report.lost),
      duplicated: sum((report) => report.duplicated),
      redelivered: sum((report) => report.redelivered),
      left: this.#left,
      seconds: Math.round(seconds * 100) / 100,
      equal:
        this.#statistics === expected.toText() &&
        readArchive(join(this.#folder, "archive"), flights) === "equal",
    };
  }
}

/**
 * A port that nobody listens on now. None that the system gives by itself, to others who listen or to who
 * connects: a restarted broker must find it free again.
 */
async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = randomInt(10_000, 30_000);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch (error) {
      if (attempt === portAttemptsMax) throw error;
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
