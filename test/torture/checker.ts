import { readdirSync } from "node:fs";
import { join } from "node:path";

import { readHistory } from "./history-file.ts";
import { isFaultless, judge } from "./judge.ts";
import { readFailure } from "./failure.ts";
import { readGroupEnd } from "./group-end.ts";
import { readPlan } from "./plan.ts";

/**
 * Judges a run by its files alone: `node checker.js FOLDER`. Prints one line of JSON, and exits with 1 where
 * something went wrong, or too little happened to mean anything.
 */
const folder = process.argv[2];
if (folder === undefined) throw new Error("expected the folder of a run");

const plan = readPlan(folder);
// The one that drained the queues comes last, as it did.
const isDrain = (name: string): boolean => name.startsWith("drain");
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".history"))
  .toSorted((left, right) => Number(isDrain(left)) - Number(isDrain(right)));
const { harms, ...group } = readGroupEnd(folder) ?? { harms: undefined, diverged: undefined };
const { examples, ...found } = judge(
  plan,
  names.map((name) => readHistory(join(folder, name))),
  harms,
);

/** A run that takes so long has faults of all kinds. */
const wholeMinutes = 3;
const minutes = plan.seconds / 60;
const faultCount = Object.values(found.faults).reduce((sum, count) => sum + count, 0);
const isEnough =
  found.applied >= plan.appliedPerMinuteMin * minutes &&
  faultCount >= plan.faultsPerMinuteMin * minutes &&
  (minutes < wholeMinutes || plan.faults.every((kind) => found.faults[kind] > 0));
const failure = readFailure(folder);
const isOneGroup = group.diverged === undefined || group.diverged === 0;
const ok = isFaultless({ ...found, examples }) && isEnough && isOneGroup && failure === undefined;
for (const example of examples) process.stderr.write(`${example}\n`);
process.stdout.write(
  `${JSON.stringify({ ok, tooLittle: !isEnough, failure, seed: plan.seed, ...found, ...group })}\n`,
);
if (!ok) process.exitCode = 1;
