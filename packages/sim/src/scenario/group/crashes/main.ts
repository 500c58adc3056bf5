import { parseArgs } from "node:util";
import { groupMistakes, type GroupMistake } from "../group-mistakes.ts";
import { manners, runCrash } from "./crash-run.ts";
import { crashSteps, type CrashStep } from "./crash-steps.ts";
import { exploreCrashes } from "./explore-crashes.ts";

const usage = `Has a member of a group die at every point of what groups do, come back, and be judged.

  npm run crash-points -- [options]

  --step TEXT     only steps whose name holds this text
  --points N      tries N points of each step, in one manner after the other. Default: all, each in each manner
  --point K       replays one death and prints everything that happens; with --step, --manner
  --manner M      1 to ${manners.length}: ${manners.map(({ name }) => name).join("; ")}. Default 1
  --mutate NAME   with a mistake that has to be found: ${groupMistakes.join(", ")}

Steps: ${crashSteps.map(({ name }) => name).join("; ")}
`;

interface Options {
  readonly steps: readonly CrashStep[];
  readonly pointCountMax: number | undefined;
  readonly point: number | undefined;
  readonly manner: number;
  readonly mistake: GroupMistake | undefined;
}

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 all is well, 1 something is broken, 2 the command line is not understood */
async function main(words: readonly string[]): Promise<number> {
  let options: Options;
  try {
    options = readOptions(words);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  return options.point === undefined ? explore(options) : replay(options, options.point);
}

async function explore({ steps, pointCountMax, mistake }: Options): Promise<number> {
  const startMs = performance.now();
  const total = { points: 0, deaths: 0, failures: 0 };
  for (const step of steps) {
    const { pointCount, deathCount, failures } = await exploreCrashes(step, {
      ...{ pointCountMax, mistake },
    });
    print(`${step.name}: ${pointCount} points, ${deathCount} deaths, ${failures.length} failed`);
    for (const { point, manner, diedAfter = "nothing", problems } of failures.slice(0, 5)) {
      const how = manner === undefined ? "nobody dies" : `after "${diedAfter}" it ${manner.name}`;
      print(`  at point ${point}, ${how}: ${problems.join("; ")}`);
    }
    total.points += pointCount;
    total.deaths += deathCount;
    total.failures += failures.length;
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const { points, deaths, failures } = total;
  print(`${points} points, ${deaths} deaths, ${failures} failed, ${seconds} s`);
  return failures === 0 ? 0 : 1;
}

async function replay({ steps, manner: number, mistake }: Options, point: number): Promise<number> {
  const [step] = steps;
  const manner = manners[number - 1];
  if (step === undefined || manner === undefined) return 2;
  const { diedAfter, problems } = await runCrash({
    ...{ step, manner, point, mistake },
    writeTrace: print,
  });
  print(`${step.name}, point ${point}: died after ${diedAfter ?? "nothing: the step was over"}`);
  for (const problem of problems) print(`FAILED: ${problem}`);
  return problems.length === 0 ? 0 : 1;
}

function readOptions(words: readonly string[]): Options {
  const text = { type: "string" } as const;
  const options = { step: text, points: text, point: text, manner: text, mutate: text };
  const { values } = parseArgs({ args: [...words], options });
  const steps = crashSteps.filter(({ name }) => name.includes(values.step ?? ""));
  if (steps.length === 0) {
    throw new RangeError(`--step: found ${String(values.step)}, expected a part of a step's name`);
  }
  const mistake = groupMistakes.find((name) => name === values.mutate);
  if (values.mutate !== undefined && mistake === undefined) {
    const known = groupMistakes.join(", ");
    throw new RangeError(`--mutate: found ${values.mutate}, expected one of ${known}`);
  }
  const integer = (name: "points" | "point" | "manner", min: number, max: number): number => {
    const value = Number(values[name] ?? 1);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`--${name}: found ${String(values[name])}, expected ${min} to ${max}`);
  };
  return {
    steps,
    pointCountMax: values.points === undefined ? undefined : integer("points", 1, 100_000),
    point: values.point === undefined ? undefined : integer("point", 0, 1_000_000),
    manner: integer("manner", 1, manners.length),
    mistake,
  };
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
