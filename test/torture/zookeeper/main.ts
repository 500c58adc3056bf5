import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { zooKeeperVersions } from "#zookeeper/class-path.js";

import { oneOf, readOptions, wholeNumber } from "../command-line.ts";
import { runTorture } from "./conductor.ts";
import { sabotages } from "./contender-settings.ts";
import { contests } from "./contest.ts";
import { faultKinds } from "./faults.ts";
import type { TortureEvent } from "./history.ts";

/** `npm run torture -- --zookeeper`: see `usage`. */
const usage = `npm run torture -- --zookeeper [--seconds 120] [--seed N]

  Processes take a lock on a real ensemble again and again, while servers, processes and what is between them are
  harmed. Whoever has the lock counts in registers, with its fencing token and without. The last line is the verdict
  as JSON; exit code 1 where anything was wrong, or too little happened.

  --seconds N         how long (120)
  --processes N       how many want the lock (10)
  --lock NAME         by what they agree: ${contests.join(", ")} (${contests[0]})
  --version V         of ZooKeeper: ${zooKeeperVersions.join(", ")} (the newest; of ZOOKEEPER_VERSION where it is set)
  --servers N         (3)
  --session-timeout N  in ms (4000)
  --faults LIST       only these: ${faultKinds.join(",\n                      ")}; none: nothing is harmed
  --seed N            of the faults; the same seed gives the same ones (the time)
  --minimum N         turns a minute, below which a run means nothing (20)
  --minimum-faults N  faults a minute, the same (10)
  --sabotage KIND     ${sabotages.join(", ")}: contenders do wrong, and have to be found out
  --json              no progress
  --keep              keeps the folder with the history`;

const values = readOptions({
  zookeeper: { type: "boolean", default: true },
  seconds: { type: "string", default: "120" },
  processes: { type: "string", default: "10" },
  lock: { type: "string", default: contests[0] },
  version: { type: "string", default: zooKeeperVersions.at(-1) ?? "" },
  servers: { type: "string", default: "3" },
  "session-timeout": { type: "string", default: "4000" },
  faults: { type: "string" },
  seed: { type: "string", default: String(Date.now() % 1_000_000) },
  minimum: { type: "string", default: "20" },
  "minimum-faults": { type: "string", default: "10" },
  sabotage: { type: "string" },
  json: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
});

if (values.help) process.stdout.write(`${usage}\n`);
else await main();

async function main(): Promise<void> {
  const faults =
    values.faults === "none"
      ? []
      : (values.faults?.split(",").map((word) => oneOf("faults", word, faultKinds)) ?? faultKinds);
  const plan = {
    seed: wholeNumber("seed", values.seed),
    seconds: wholeNumber("seconds", values.seconds),
    processCount: wholeNumber("processes", values.processes),
    version: oneOf("version", values.version, zooKeeperVersions),
    serverCount: wholeNumber("servers", values.servers),
    sessionTimeout: wholeNumber("session-timeout", values["session-timeout"]),
    contest: oneOf("lock", values.lock, contests),
    faults,
    sabotage:
      values.sabotage === undefined ? undefined : oneOf("sabotage", values.sabotage, sabotages),
    turnsPerMinuteMin: wholeNumber("minimum", values.minimum),
    faultsPerMinuteMin:
      faults.length === 0 ? 0 : wholeNumber("minimum-faults", values["minimum-faults"]),
  };
  const folder = mkdtempSync(join(tmpdir(), "everhold-torture-"));
  const startedMs = performance.now();
  const onProgress = (words: string): void => {
    if (values.json) return;
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    process.stderr.write(`${seconds.padStart(6)} s  ${words}\n`);
  };
  onProgress(`seed ${plan.seed}, folder ${folder}`);
  const processes = join(folder, "processes");
  mkdirSync(processes);
  const onHistory = (events: readonly TortureEvent[]): void => {
    const lines = events.map((event) => `${JSON.stringify(event)}\n`);
    writeFileSync(join(folder, "history.jsonl"), lines.join(""));
  };
  const verdict = await runTorture({ plan, folder: processes, onProgress, onHistory });
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
  process.exitCode = verdict.ok ? 0 : 1;
  // What is to be looked into stays.
  if (values.keep || !verdict.ok) process.stderr.write(`kept ${folder}\n`);
  else rmSync(folder, { recursive: true, force: true });
}
