import type { Mutation } from "./mutations/mutations.ts";
import type { RuleMutation } from "./mutations/rule-mutations.ts";
import { runRules } from "./rules/rules-run.ts";
import type { RunResult } from "./run-result.ts";
import type { GroupMistake } from "./scenario/group/group-mistakes.ts";
import { runGroup } from "./scenario/group/group-scenario.ts";
import { runScenario } from "./scenario/scenario.ts";
import { type KeeperMistake, runKeeper } from "./zookeeper/scenario/keeper-run.ts";

/**
 * Kinds of runs: `promises` has everybody at work at the same time and adds up at the end; `rules` goes round by
 * round and knows after each where every message may be; `zookeeper` has ZooKeeper clients at work on a model of its
 * servers; `group` has a group of brokers at work for clients, with ZooKeeper as the model has it.
 */
export const kinds = ["promises", "rules", "zookeeper", "group"] as const;

/** One of {@link kinds}. */
export type Kind = (typeof kinds)[number];

/** Seeds of one kind. */
export interface SeedRow {
  /** Run first, whatever else is asked for: seeds that failed once. */
  readonly recorded: readonly number[];
  /** The first seed of a row. */
  readonly first: number;
}

/** Which seeds to run. */
export interface SeedPlan {
  /** Kinds without a row are not run. */
  readonly rows: Partial<Record<Kind, SeedRow>>;
  /** From one seed to the next. */
  readonly stride: number;
  /** How many seeds of each row; without end when only time limits it. */
  readonly count: number;
  /** No new seed begins after so many ms of real time. */
  readonly realMsMax: number;
  readonly mutation: Mutation | undefined;
  readonly ruleMutation: RuleMutation | undefined;
  readonly mistake: KeeperMistake | undefined;
  readonly groupMistake: GroupMistake | undefined;
}

/** What came out of all seeds of one kind together. */
export interface KindReport {
  seeds: number;
  /** Of the seeds: those that were recorded because they failed once. */
  recorded: number;
  /** The first seed that was not run. */
  next: number;
  /** Virtual time of all seeds together, in ms. */
  simulatedMs: number;
  events: number;
  /** Real time that was spent, in ms. */
  realMs: number;
  /** What happened, by words for it. */
  readonly counts: Record<string, number>;
  readonly faults: Record<string, number>;
  readonly failures: { readonly seed: number; readonly problems: readonly string[] }[];
}

/** What came out of all seeds. */
export type RunReport = Partial<Record<Kind, KindReport>>;

/** Which seed to run. */
export interface SeedRun {
  readonly seed: number;
  readonly plan: Pick<SeedPlan, "mutation" | "ruleMutation" | "mistake" | "groupMistake">;
  /** Takes the trace, line by line. */
  readonly writeTrace?: (line: string) => void;
}

/**
 * Runs one seed after the other, of each kind as long as of the others. A failing seed does not stop the rows.
 *
 * @param nowMs real time, for the limit
 * @param onSeed is told after each seed
 */
export async function runSeeds(
  plan: SeedPlan,
  nowMs: () => number,
  onSeed: (report: RunReport) => void,
): Promise<RunReport> {
  const report: RunReport = {};
  const rows = kinds.flatMap((kind) => {
    const row = plan.rows[kind];
    if (row === undefined) return [];
    const one = newReport(row.first);
    report[kind] = one;
    return [{ kind, row, report: one }];
  });
  const endMs = nowMs() + plan.realMsMax;
  while (nowMs() < endMs) {
    const open = rows.filter((each) => each.report.seeds < seedCount(each.row, plan));
    const [least] = open.toSorted((a, b) => a.report.realMs - b.report.realMs);
    if (least === undefined) break;
    const startMs = nowMs();
    const seed = nextSeed(least.row, least.report, plan.stride);
    add(least.report, await runSeed(least.kind, { seed, plan }));
    least.report.realMs += nowMs() - startMs;
    onSeed(report);
  }
  return report;
}

/** The seeds of a file: one a line, a comment behind `#`. */
export function parseSeeds(text: string): number[] {
  return text.split("\n").flatMap((line) => {
    const value = (line.split("#")[0] ?? "").trim();
    return value === "" ? [] : [Number(value)];
  });
}

/** Adds up what several processes have found, each of which ran a part of the seeds. */
export function addReports(reports: readonly RunReport[]): RunReport {
  const sum: RunReport = {};
  for (const kind of kinds) {
    const parts = reports.flatMap((report) => report[kind] ?? []);
    const [first, ...others] = parts;
    if (first !== undefined) sum[kind] = others.reduce(addKind, first);
  }
  return sum;
}

function addKind(one: KindReport, other: KindReport): KindReport {
  return {
    seeds: one.seeds + other.seeds,
    recorded: one.recorded + other.recorded,
    // Seeds between are run twice rather than never.
    next: Math.min(one.next, other.next),
    simulatedMs: one.simulatedMs + other.simulatedMs,
    events: one.events + other.events,
    realMs: one.realMs + other.realMs,
    counts: addCounts(one.counts, other.counts),
    faults: addCounts(one.faults, other.faults),
    failures: [...one.failures, ...other.failures],
  };
}

function addCounts(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum = { ...one };
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}

function seedCount({ recorded }: SeedRow, { count }: SeedPlan): number {
  return recorded.length + count;
}

function nextSeed({ recorded }: SeedRow, report: KindReport, stride: number): number {
  const again = recorded[report.seeds];
  if (again !== undefined) {
    report.recorded += 1;
    return again;
  }
  const seed = report.next;
  report.next += stride;
  return seed;
}

/** Runs one seed with the mistake that the plan has for its kind. */
export async function runSeed(kind: Kind, { seed, plan, writeTrace }: SeedRun): Promise<RunResult> {
  const watched = { seed, ...(writeTrace === undefined ? {} : { writeTrace }) };
  if (kind === "rules") {
    const result = await runRules({ ...watched, mutation: plan.ruleMutation });
    return { ...result, counts: { ...result.counts } };
  }
  if (kind === "group") {
    const result = await runGroup({ ...watched, mistake: plan.groupMistake });
    return { ...result, counts: { ...result.counts } };
  }
  if (kind === "zookeeper") return runKeeper({ ...watched, mistake: plan.mistake });
  const result = await runScenario({ ...watched, mutation: plan.mutation });
  return { ...result, counts: { ...result.counts } };
}

function newReport(next: number): KindReport {
  return {
    seeds: 0,
    recorded: 0,
    next,
    simulatedMs: 0,
    events: 0,
    realMs: 0,
    counts: {},
    faults: {},
    failures: [],
  };
}

function add(report: KindReport, result: RunResult): void {
  report.seeds += 1;
  report.simulatedMs += result.simulatedMs;
  report.events += result.eventCount;
  Object.assign(report.counts, addCounts(report.counts, result.counts));
  Object.assign(report.faults, addCounts(report.faults, result.faults));
  if (result.problems.length > 0) {
    report.failures.push({ seed: result.seed, problems: result.problems });
  }
}
