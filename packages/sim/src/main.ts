import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseSeeds, runSeeds, type RunReport, type SeedPlan } from "./runner.ts";
import { mutations, type Mutation } from "./mutations/mutations.ts";
import { runScenario } from "./scenario/scenario.ts";

const usage = `Usage: npm run sim -- [options]

  --seeds N       how many seeds, after those of seeds.txt (default 200, or no limit with --minutes)
  --start S       the first of them (default 1)
  --minutes M     begin no further seed after M minutes
  --seed S        replay one seed and print everything that happens
  --mutate NAME   break something on purpose, which must be found: ${mutations.join(", ")}
  --json          one line of JSON at the end`;

/** What the command line asks for. */
interface Arguments {
  readonly plan: SeedPlan;
  readonly replay: number | undefined;
  readonly json: boolean;
}

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 all is well, 1 a seed failed, 2 the command line is not understood */
async function main(words: readonly string[]): Promise<number> {
  let given: Arguments;
  try {
    given = readArguments(words);
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  if (given.replay !== undefined) return replay(given.replay, given.plan.mutation);
  const progress = process.stderr.isTTY && !given.json;
  const startMs = performance.now();
  const report = await runSeeds(
    given.plan,
    () => performance.now(),
    (soFar) => {
      if (progress)
        process.stderr.write(`\r${soFar.seeds} seeds, ${soFar.failures.length} failed `);
    },
  );
  if (progress) process.stderr.write("\r\u001B[K");
  const seconds = (performance.now() - startMs) / 1000;
  print(given.json ? JSON.stringify({ ...report, seconds }) : humanReport(report, seconds));
  for (const { seed } of report.failures) printReplay(seed, given.plan.mutation);
  return report.failures.length > 0 ? 1 : 0;
}

async function replay(seed: number, mutation: Mutation | undefined): Promise<number> {
  const result = await runScenario({ seed, mutation, writeTrace: print });
  print(`seed ${seed}: ${result.eventCount} events, trace ${result.fingerprint}`);
  for (const problem of result.problems) print(`FAILED: ${problem}`);
  return result.problems.length > 0 ? 1 : 0;
}

function readArguments(words: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...words],
    options: {
      seeds: { type: "string" },
      seed: { type: "string" },
      start: { type: "string" },
      minutes: { type: "string" },
      mutate: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const mutation = mutations.find((name) => name === values.mutate);
  if (values.mutate !== undefined && mutation === undefined) {
    throw new Error(
      `cannot use --mutate ${values.mutate}: expected one of ${mutations.join(", ")}`,
    );
  }
  const minutes = values.minutes === undefined ? Infinity : numberOf("minutes", values.minutes);
  const count = values.minutes === undefined ? 200 : Infinity;
  const seedsFile = new URL("../seeds.txt", import.meta.url);
  return {
    plan: {
      recorded: mutation === undefined ? parseSeeds(readFileSync(seedsFile, "utf8")) : [],
      first: values.start === undefined ? 1 : integerOf("start", values.start),
      count: values.seeds === undefined ? count : integerOf("seeds", values.seeds),
      realMsMax: minutes * 60_000,
      mutation,
    },
    replay: values.seed === undefined ? undefined : integerOf("seed", values.seed),
    json: values.json,
  };
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0) return value;
  throw new Error(`cannot use --${name} ${text}: expected a number of 0 or more`);
}

function integerOf(name: string, text: string): number {
  const value = numberOf(name, text);
  if (Number.isSafeInteger(value)) return value;
  throw new Error(`cannot use --${name} ${text}: expected a whole number`);
}

function humanReport(report: RunReport, seconds: number): string {
  const faults = Object.entries(report.faults).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const recorded = report.recorded === 0 ? "" : `, ${report.recorded} of them from seeds.txt`;
  const lines = [
    `${report.seeds} seeds in ${seconds.toFixed(1)} s${recorded}`,
    `  simulated   ${(report.simulatedMs / 60_000).toFixed(1)} minutes, ${report.events.toLocaleString("en-US")} events`,
    `  messages    ${report.sends} sent, ${report.delayed} of them for later, ${report.refused} refused, ${report.unknown} unknown`,
    `  deliveries  ${report.deliveries}, ${report.repeats} of them repeats, ${report.deadLetters} dead letters`,
    `  also        ${report.transactions} transactions`,
    ...faults.map(([kind, count], index) => {
      const label = index === 0 ? "faults" : "";
      return `  ${label.padEnd(12)}${kind.padEnd(32)}${String(count).padStart(7)}`;
    }),
    `  failures    ${report.failures.length}`,
  ];
  for (const { seed, problems } of report.failures) {
    lines.push(`  seed ${seed}: ${problems[0] ?? ""}`);
    if (problems.length > 1) lines.push(`    and ${problems.length - 1} more`);
  }
  return lines.join("\n");
}

function printReplay(seed: number, mutation: Mutation | undefined): void {
  const suffix = mutation === undefined ? "" : ` --mutate ${mutation}`;
  process.stderr.write(`replay with: npm run sim -- --seed ${seed}${suffix}\n`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
