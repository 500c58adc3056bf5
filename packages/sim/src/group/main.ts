import { parseArgs } from "node:util";
import { explore, type Exploration } from "./explore.ts";
import { mistakes, type Mistake } from "./mistakes.ts";
import { walk } from "./walk.ts";
import type { Budget } from "./world.ts";

const usage = `Explores everything that can happen to a replication group, breadth first.

  npm run model -- [options]

  --members N       2 to 5. Default 2
  --min-in-sync N   nothing is committed while fewer are in sync. Default 1
  --states N        stops after so many different worlds. Default 200000
  --walks N         walks at random, so often, until the budget is spent; --seed S, default 1
  --coarse          disks confirm at once, greetings and acknowledgements arrive at once
  --mistake NAME    with a mistake that has to be found: ${mistakes.join(", ")}

How often each thing may happen, 0 to 9:
  --writes, --drops, --crashes, --promotions   default 1
  --wipes, --breaks, --lost (outcomes), --refusals (of the node's old version), --stale-reads,
  --withdrawals (of hints), --duplicates, --hand-overs   default 0
`;

process.exitCode = main(process.argv.slice(2));

/** @returns the exit code: 0 all rules hold, 1 one is broken, 2 the command line is not understood */
function main(words: string[]): number {
  let options: ReturnType<typeof readOptions>;
  try {
    options = readOptions(words);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    return 2;
  }
  const startMs = performance.now();
  const { walkCount, seed } = options;
  const result = walkCount > 0 ? walk(options, walkCount, seed) : explore(options);
  const seconds = (performance.now() - startMs) / 1000;
  process.stdout.write(`${report(result, walkCount)}, ${seconds.toFixed(1)} s\n`);
  return result.failure === null ? 0 : 1;
}

function report(result: Exploration, walkCount: number): string {
  const { stateCount, eventCount, depth, isComplete, failure } = result;
  const seen = walkCount > 0 ? `${walkCount} walks` : `${stateCount} states`;
  const size = `${seen}, ${eventCount} events, depth ${depth}`;
  if (failure === null) {
    return `${isComplete ? "all rules hold in all states" : "all rules hold so far"}: ${size}`;
  }
  const lines = failure.trace.map((what, index) => `${String(index + 1).padStart(4)}  ${what}`);
  return [`${failure.broken}, after`, ...lines, size].join("\n");
}

function readOptions(words: string[]) {
  const text = { type: "string" } as const;
  const names = [
    ["members", "2"],
    ["min-in-sync", "1"],
    ["states", "200000"],
    ["writes", "1"],
    ["drops", "1"],
    ["crashes", "1"],
    ["promotions", "1"],
    ["wipes", "0"],
    ["withdrawals", "0"],
    ["breaks", "0"],
    ["lost", "0"],
    ["refusals", "0"],
    ["stale-reads", "0"],
    ["duplicates", "0"],
    ["hand-overs", "0"],
    ["walks", "0"],
    ["seed", "1"],
  ] as const;
  const options = Object.fromEntries([...names, ["mistake", ""]].map(([name]) => [name, text]));
  const isCoarse = words.includes("--coarse");
  const { values } = parseArgs({ args: words.filter((word) => word !== "--coarse"), options });
  const number = (name: (typeof names)[number][0], min: number, max: number): number => {
    const given = values[name] ?? names.find(([one]) => one === name)?.[1];
    const value = Number(given);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new RangeError(`--${name}: found ${String(given)}, expected ${min} to ${max}`);
  };
  const budget: Budget = {
    write: number("writes", 0, 9),
    drop: number("drops", 0, 9),
    crash: number("crashes", 0, 9),
    promote: number("promotions", 0, 9),
    wipe: number("wipes", 0, 9),
    break: number("breaks", 0, 9),
    withdraw: number("withdrawals", 0, 9),
    lose: number("lost", 0, 9),
    refuse: number("refusals", 0, 9),
    stale: number("stale-reads", 0, 9),
    duplicate: number("duplicates", 0, 9),
    handOver: number("hand-overs", 0, 9),
  };
  const memberCount = number("members", 2, 5);
  return {
    memberCount,
    minInSync: number("min-in-sync", 1, memberCount),
    stateCountMax: number("states", 1, 10_000_000),
    isCoarse,
    walkCount: number("walks", 0, 1_000_000),
    seed: number("seed", 0, 2 ** 31),
    onLevel(depth: number, levelStateCount: number) {
      if (process.stderr.isTTY)
        process.stderr.write(`\rdepth ${depth}, ${levelStateCount} states `);
    },
    budget,
    mistake: mistakeNamed(values["mistake"]),
  };
}

function mistakeNamed(name: unknown): Mistake | undefined {
  const mistake = mistakes.find((one) => one === name);
  if (name === undefined || mistake !== undefined) return mistake;
  throw new RangeError(
    `--mistake: found ${JSON.stringify(name)}, expected one of ${mistakes.join(", ")}`,
  );
}
