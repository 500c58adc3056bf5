import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { EverholdError } from "@everhold/base";
import type { DataComparison } from "everhold";

import { readArchive } from "./archive.ts";
import { DemoGroup, type GroupView, type Settling } from "./demo-group.ts";
import type { LedgerReport } from "./effect-ledger.ts";
import { FlightStatistics, type Flight } from "./flight-statistics.ts";
import type { RoleMessage, RoleTask } from "./role-messages.ts";
import { RoleProcess } from "./role-process.ts";

/** How often the members are asked what they are while that is waited for. */
const lookAgainMs = 100;

/** Kills that lie further apart than the steps in which progress is told. */
export const killsMax = 50;

/** Flights for each kill, and as many behind the last, so that some are under way at each. */
export const flightsPerKillMin = 20;

/** What the demo is asked for. */
export interface DemoOptions {
  readonly flights: readonly Flight[];
  readonly settling: Settling;
  /** How often the live is ended with `kill -9` while messages flow, at most {@link killsMax}. */
  readonly kills: number;
  /** Milliseconds without any progress after which the demo reports what it has. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: DemoProgress) => void;
  readonly onEvent: (event: DemoEvent) => Promise<void>;
}

/** What happens to the group. Times are in whole ms. */
export type DemoEvent =
  | { readonly kind: "leads"; readonly member: string; readonly backups: readonly string[] }
  | { readonly kind: "killed"; readonly member: string }
  /** `outageMs`: from the kill to the first answer to anybody. */
  | { readonly kind: "took over"; readonly member: string; readonly outageMs: number }
  /** `afterMs`: from its new start until it was in sync. */
  | { readonly kind: "in sync"; readonly member: string; readonly afterMs: number };

/** How far the demo has come. */
export interface DemoProgress {
  readonly sent: number;
  readonly received: { readonly stats: number; readonly archive: number };
  readonly kills: number;
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
  /** From each kill to the first answer to anybody, in ms. */
  readonly outagesMs: readonly number[];
  readonly members: number;
  readonly settledBy: Settling["kind"];
  /** How the members' journals compare when all have stopped, byte for byte. */
  readonly journals: DataComparison["verdict"];
  readonly seconds: number;
  /** Whether statistics and archive say exactly what the file says. */
  readonly equal: boolean;
}

/**
 * Sends flights over a topic to two durable subscribers, all in processes of their own, through a group whose live is
 * killed again and again, and compares what came with the file, and the members' journals with each other.
 *
 * @throws EverholdError EVH_ABORTED; EVH_TIMEOUT when nothing moves any more
 * @throws Error when a part or a member fails
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const folder = mkdtempSync(join(tmpdir(), "everhold-demo-"));
  const demo = new Demo(options, folder);
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
  readonly #parts: RoleProcess[] = [];
  readonly #ready = new Set<string>();
  readonly #reports = new Map<string, LedgerReport>();
  readonly #received = { stats: 0, archive: 0 };
  readonly #outagesMs: number[] = [];
  #group: DemoGroup | undefined;
  #sent = 0;
  #kills = 0;
  /** Of a kill after which nobody has had an answer yet. */
  #killedMs: number | undefined;
  #left = 0;
  #statistics = "";
  #lastProgressMs = performance.now();
  #failure: Error | undefined;
  #wake: () => void = () => undefined;

  constructor(options: DemoOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<DemoResult> {
    const { settling, kills, onEvent } = this.#options;
    const startedMs = performance.now();
    const group = await DemoGroup.make(this.#folder, settling, (error) => {
      this.#failure ??= error;
      this.#wake();
    });
    this.#group = group;
    group.start();
    const live = await this.#liveOf(group, ({ isWhole }) => isWhole);
    const backups = group.members.flatMap(({ id }) => (id === live ? [] : [id]));
    await onEvent({ kind: "leads", member: live, backups });
    this.#start("stats", group);
    this.#start("archive", group);
    await this.#until(() => this.#ready.size === 2);
    this.#start("producer", group);
    this.#allow(1.5);
    while (this.#kills < kills) await this.#killLive(group);
    await this.#until(() => this.#reports.size === 2);
    const last = await this.#liveOf(group, ({ isWhole, isLevel }) => isWhole && isLevel);
    await group.stop(last);
    return this.#result(group, (performance.now() - startedMs) / 1_000);
  }

  async end(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.end()));
    await Promise.all(this.#group?.members.map((member) => member.kill()) ?? []);
  }

  #start(role: RoleTask["role"], { url }: DemoGroup): void {
    const folder = join(this.#folder, role);
    mkdirSync(folder);
    const task = { role, url, total: this.#options.flights.length, folder };
    this.#parts.push(new RoleProcess(task, (message) => this.#onMessage(role, message)));
  }

  /**
   * Lets the producer send as much as so many of the parts that the kills divide the flights into; all when no kill is
   * left. So each kill, however long the one before was to be waited for, has messages before, under and behind it.
   */
  #allow(parts: number): void {
    const { flights, kills } = this.#options;
    const isAll = this.#kills === kills;
    const count = isAll ? flights.length : Math.floor((flights.length * parts) / (kills + 1));
    for (const part of this.#parts) part.allow(count);
  }

  /** Kills who leads, waits for another one, and starts the killed again; returns when that is in sync. */
  async #killLive(group: DemoGroup): Promise<void> {
    const { flights, kills, onEvent } = this.#options;
    const killed = await this.#liveOf(group, ({ isWhole }) => isWhole);
    const due = Math.floor((flights.length * (this.#kills + 1)) / (kills + 1));
    await this.#until(() => Math.max(this.#received.stats, this.#received.archive) >= due);
    this.#killedMs = performance.now();
    await group.member(killed).kill();
    this.#kills++;
    this.#allow(this.#kills + 0.75);
    await onEvent({ kind: "killed", member: killed });
    const next = await this.#liveOf(group, ({ live }) => live !== killed);
    await this.#until(() => this.#killedMs === undefined);
    await onEvent({ kind: "took over", member: next, outageMs: this.#outagesMs.at(-1) ?? 0 });
    const startedMs = performance.now();
    group.member(killed).start();
    await this.#liveOf(group, ({ isWhole }) => isWhole);
    const afterMs = Math.round(performance.now() - startedMs);
    await onEvent({ kind: "in sync", member: killed, afterMs });
    this.#allow(this.#kills + 1.5);
  }

  /** Waits until a member lets clients in and the group is as it should be. */
  async #liveOf(group: DemoGroup, isAsItShouldBe: (view: GroupView) => boolean): Promise<string> {
    let found: string | undefined;
    await this.#until(async () => {
      const view = await group.look();
      if (isAsItShouldBe(view)) found = view.live;
      return found !== undefined;
    });
    if (found === undefined) throw new Error("nobody leads");
    return found;
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
      case "answered":
        if (this.#killedMs !== undefined) {
          this.#outagesMs.push(Math.round(performance.now() - this.#killedMs));
        }
        this.#killedMs = undefined;
        break;
      case "sent":
        this.#sent = message.count;
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
    return { sent: this.#sent, received: { ...this.#received }, kills: this.#kills };
  }

  /** Waits for `condition`. After a long standstill the parts are asked to report what they have. */
  async #until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const { signal, stallMs } = this.#options;
    let isAskedToFinish = false;
    while (!(await condition())) {
      // Ctrl-C reaches the members, too: that they end is no news then.
      if (signal.aborted) throw new EverholdError("EVH_ABORTED", "stopped before the end");
      if (this.#failure !== undefined) throw this.#failure;
      const stalledMs = performance.now() - this.#lastProgressMs;
      if (stalledMs > stallMs) {
        if (isAskedToFinish || this.#ready.size < 2 || this.#parts.length < 3) {
          const words =
            this.#group?.members.map(({ id, lastWords }) => `${id}: ${lastWords}`) ?? [];
          throw new EverholdError(
            "EVH_TIMEOUT",
            `nothing moved for ${Math.round(stalledMs / 1_000)} s; ${words.join("; ")}`,
          );
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
      const timer = setTimeout(done, lookAgainMs);
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  async #result(group: DemoGroup, seconds: number): Promise<DemoResult> {
    const { flights, settling } = this.#options;
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
      outagesMs: this.#outagesMs,
      members: group.members.length,
      settledBy: settling.kind,
      journals: await group.compare(),
      seconds: Math.round(seconds * 100) / 100,
      equal:
        this.#statistics === expected.toText() &&
        readArchive(join(this.#folder, "archive"), flights) === "equal",
    };
  }
}
