import type { Mutation } from "./mutations/mutations.ts";
import { runScenario, type ScenarioResult } from "./scenario/scenario.ts";

/** Which seeds to run. */
export interface SeedPlan {
  /** Run first, whatever else is asked for: seeds that failed once. */
  readonly recorded: readonly number[];
  /** The first seed of a row. */
  readonly first: number;
  /** How many seeds of that row; without end when only time limits it. */
  readonly count: number;
  /** No new seed begins after so many ms of real time. */
  readonly realMsMax: number;
  readonly mutation: Mutation | undefined;
}

/** What came out of all seeds together. */
export interface RunReport {
  seeds: number;
  /** Of the seeds: those that were recorded because they failed once. */
  recorded: number;
  /** Virtual time of all seeds together, in ms. */
  simulatedMs: number;
  events: number;
  sends: number;
  /** Of the sends: refused, and those whose sender will never know. */
  refused: number;
  unknown: number;
  deliveries: number;
  repeats: number;
  deadLetters: number;
  delayed: number;
  transactions: number;
  readonly faults: Record<string, number>;
  readonly failures: { readonly seed: number; readonly problems: readonly string[] }[];
}

/**
 * Runs one seed after the other. A failing seed does not stop the row.
 *
 * @param nowMs real time, for the limit
 * @param onSeed is told after each seed
 */
export async function runSeeds(
  plan: SeedPlan,
  nowMs: () => number,
  onSeed: (report: RunReport) => void,
): Promise<RunReport> {
  const report = newReport();
  const endMs = nowMs() + plan.realMsMax;
  for (const seed of seedsOf(plan)) {
    if (nowMs() >= endMs) break;
    if (report.seeds < plan.recorded.length) report.recorded += 1;
    add(report, await runScenario({ seed, mutation: plan.mutation }));
    onSeed(report);
  }
  return report;
}

/** The seeds of `seeds.txt`: one a line, a comment behind `#`. */
export function parseSeeds(text: string): number[] {
  return text.split("\n").flatMap((line) => {
    const value = (line.split("#")[0] ?? "").trim();
    return value === "" ? [] : [Number(value)];
  });
}

function* seedsOf(plan: SeedPlan): Generator<number> {
  yield* plan.recorded;
  for (let index = 0; index < plan.count; index += 1) yield plan.first + index;
}

function newReport(): RunReport {
  return {
    seeds: 0,
    recorded: 0,
    simulatedMs: 0,
    events: 0,
    sends: 0,
    refused: 0,
    unknown: 0,
    deliveries: 0,
    repeats: 0,
    deadLetters: 0,
    delayed: 0,
    transactions: 0,
    faults: {},
    failures: [],
  };
}

function add(report: RunReport, result: ScenarioResult): void {
  report.seeds += 1;
  report.simulatedMs += result.simulatedMs;
  report.events += result.eventCount;
  report.sends += result.counts.sends;
  report.refused += result.counts.none;
  report.unknown += result.counts.unknown;
  report.deliveries += result.counts.deliveries;
  report.deadLetters += result.counts.deadLetters;
  report.delayed += result.counts.delayed;
  report.repeats += result.counts.repeats;
  report.transactions += result.counts.transactions;
  for (const [kind, count] of Object.entries(result.faults)) {
    report.faults[kind] = (report.faults[kind] ?? 0) + count;
  }
  if (result.problems.length > 0) {
    report.failures.push({ seed: result.seed, problems: result.problems });
  }
}
