import { readFileSync, writeFileSync } from "node:fs";
import { readArguments, usage, type Arguments } from "./arguments.ts";
import { humanReport } from "./human-report.ts";
import type { RuleMutation } from "./mutations/rule-mutations.ts";
import { runInProcesses } from "./processes.ts";
import { describeProgram } from "./rules/program.ts";
import { runRules } from "./rules/rules-run.ts";
import { shrink } from "./rules/shrink.ts";
import { kinds, runSeed, runSeeds, type Kind, type RunReport } from "./runner.ts";

/** Failing programs that are made shorter, and how many shorter ones are tried for each. */
const shrunkMax = 3;
const shrinkAttemptsMax = 300;

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 all is well, 1 a seed failed, 2 the command line is not understood */
async function main(words: readonly string[]): Promise<number> {
  let given: Arguments;
  try {
    given = readArguments(words, (name) => readFileSync(name, "utf8"));
  } catch (error) {
    print(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  const { mutation, ruleMutation, mistake, groupMistake } = given.plan;
  if (given.replay !== undefined) return replay(given.replay, given);
  const startMs = performance.now();
  const report = await (given.processes > 1 ? runInProcesses(given) : runHere(given));
  const seconds = (performance.now() - startMs) / 1000;
  print(given.json ? JSON.stringify({ ...report, seconds }) : humanReport(report, seconds));
  if (given.from !== undefined) writeFileSync(given.from, nextSeeds(report));
  // Who started this process looks at failures itself.
  if (given.isPart) return 0;
  const mutated = {
    promises: mutation,
    rules: ruleMutation,
    zookeeper: mistake,
    group: groupMistake,
  };
  let shrunk = 0;
  for (const kind of kinds) {
    for (const { seed } of report[kind]?.failures ?? []) {
      const suffix = mutated[kind] ?? "";
      process.stderr.write(
        `replay with: npm run sim -- --kind ${kind} --seed ${seed}${suffix === "" ? "" : ` --mutate ${suffix}`}\n`,
      );
      if (kind === "rules" && shrunk < shrunkMax) await printShortest(seed, ruleMutation);
      if (kind === "rules") shrunk += 1;
    }
  }
  return kinds.some((kind) => (report[kind]?.failures.length ?? 0) > 0) ? 1 : 0;
}

async function runHere({ plan, json }: Arguments): Promise<RunReport> {
  const progress = process.stderr.isTTY && !json;
  const report = await runSeeds(
    plan,
    () => performance.now(),
    (soFar) => {
      if (!progress) return;
      const counts = kinds.map((kind) => `${soFar[kind]?.seeds ?? 0} ${kind}`);
      process.stderr.write(`\r${counts.join(", ")} `);
    },
  );
  if (progress) process.stderr.write("\r\u001B[K");
  return report;
}

/** Where the next run goes on. */
function nextSeeds(report: RunReport): string {
  const next: Partial<Record<Kind, number>> = {};
  for (const kind of kinds) {
    const row = report[kind];
    if (row !== undefined) next[kind] = row.next;
  }
  return `${JSON.stringify(next)}\n`;
}

/** Prints everything that happens in one seed. */
async function replay(seed: number, { plan, replayKind }: Arguments): Promise<number> {
  const result = await runSeed(replayKind, { seed, plan, writeTrace: print });
  print(`seed ${seed}: ${result.eventCount} events, trace ${result.fingerprint}`);
  for (const problem of result.problems) print(`FAILED: ${problem}`);
  if (result.problems.length === 0) return 0;
  if (replayKind === "rules") await printShortest(seed, plan.ruleMutation);
  return 1;
}

/** Prints the shortest program found that breaks the same rule. */
async function printShortest(seed: number, mutation: RuleMutation | undefined): Promise<void> {
  const whole = await runRules({ seed, mutation });
  const rule = ruleOf(whole.problems);
  const plan = await shrink(
    whole.plan,
    async (candidate) => {
      const { problems } = await runRules({ seed, mutation, plan: candidate });
      return ruleOf(problems) === rule;
    },
    shrinkAttemptsMax,
  );
  const { problems } = await runRules({ seed, mutation, plan });
  print(
    `shortest program of seed ${seed}, ${JSON.stringify({ ...plan.setup, queues: undefined })}`,
  );
  for (const line of describeProgram(plan.rounds)) print(`  ${line}`);
  for (const problem of problems) print(`  FAILED: ${problem}`);
}

/** What is broken: the word before the first colon of what was said. */
function ruleOf(problems: readonly string[]): string | undefined {
  return /ms, [^:]+: ([^:]+):/.exec(problems[0] ?? "")?.[1] ?? problems[0]?.slice(-30);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
