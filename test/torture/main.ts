import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { oneOf, readOptions, refuse, wholeNumber } from "./command-line.ts";
import { runTorture } from "./conductor.ts";
import { faultKinds, groupFaultKinds } from "./history-line.ts";
import { makePlan } from "./plan.ts";
import { sabotages } from "./sabotage.ts";

/** See `GroupTarget.make`. */
const groupSizeMax = 5;

/** `npm run torture`: see `usage`. */
const usage = `npm run torture -- [--clients 50] [--seconds 60] [--kill broker|none] [--group 3] [--seed N]

  Producers and consumers on queues and topics, while the broker is killed, stopped, and its connections cut. A
  separate checker judges what they wrote down; the last line is its verdict as JSON.

  --clients N       so many producers, and as many consumers (50)
  --processes N     in so many processes (4)
  --seconds N       how long messages are sent (60)
  --kill broker     what is killed and stopped, beside the cuts (broker); none: nothing is disturbed at all
  --faults LIST     only these kinds: kill,stop,cut,drop,delay (all; with Java clients all but drop, which they miss
                    for a minute); with --group also part,disk,handover,roll (all)
  --rate N          messages a second of all producers together (4000; against Artemis 8000)
  --seed N          of the faults; the same seed gives the same ones (the time)
  --minimum N       applied sends a minute, below which a run means nothing (100000)
  --minimum-faults N  faults a minute, the same (20)
  --group N         against a group of N members on this machine, settled by a folder: the live and backups are killed,
                    stopped, restarted in order, lose their data, are cut off from each other, and their disks are slow,
                    full, or fail; at the end all must have the same (\`diverged\`)
  --zookeeper N     with --group: settled by a real ensemble of N servers, which are killed and cut off, too. Needs Java
  --client java     the same load from unmodified Java clients with duplicate ids, in one process
  --against artemis  the same load on a real pair of Artemis with replication, instead of our broker
  --sabotage KIND ${sabotages.join(", ")}: a lie in what is written down, which the checker must find
  --patience N      so many seconds behind its own a run has, to come to rest and to an end (600); then it has failed
  --keep            keeps the folder with data and histories`;

const values = readOptions({
  clients: { type: "string", default: "50" },
  processes: { type: "string", default: "4" },
  seconds: { type: "string", default: "60" },
  kill: { type: "string", default: "broker" },
  faults: { type: "string" },
  rate: { type: "string" },
  seed: { type: "string", default: String(Date.now() % 1_000_000) },
  minimum: { type: "string", default: "100000" },
  "minimum-faults": { type: "string", default: "20" },
  client: { type: "string", default: "everhold" },
  against: { type: "string", default: "everhold" },
  group: { type: "string", default: "0" },
  zookeeper: { type: "string", default: "0" },
  sabotage: { type: "string" },
  patience: { type: "string", default: "600" },
  keep: { type: "boolean", default: false },
  folder: { type: "string" },
  help: { type: "boolean", default: false },
});

if (values.help) {
  process.stdout.write(`${usage}\n`);
} else {
  await main();
}

async function main(): Promise<void> {
  const { sabotage: lie } = values;
  const sabotage = lie === undefined ? undefined : oneOf("sabotage", lie, sabotages);
  const client = oneOf("client", values.client, ["everhold", "java"]);
  const against = oneOf("against", values.against, ["everhold", "artemis"]);
  const kill = oneOf("kill", values.kill, ["broker", "none"]);
  const groupSize = wholeNumber("group", values.group);
  if (groupSize === 1 || groupSize > groupSizeMax) {
    refuse(`expected 2 to ${groupSizeMax} for --group, or 0 for none, found ${groupSize}`);
  }
  const possible = faultKinds.filter((kind) => groupSize > 0 || !isOfGroup(kind));
  const usual = possible.filter((kind) => kind !== "drop" || client === "everhold");
  const asked = values.faults?.split(",").map((word) => oneOf("faults", word, possible)) ?? usual;
  const faults = kill === "none" ? [] : asked;
  const clientCount = wholeNumber("clients", values.clients, 1);
  const processCount = Math.min(wholeNumber("processes", values.processes, 1), clientCount);
  // Of a pair's clients some wait at any time, and make up for nothing.
  const usualRate = against === "artemis" ? "8000" : "4000";
  const plan = makePlan({
    seed: wholeNumber("seed", values.seed),
    seconds: wholeNumber("seconds", values.seconds, 1),
    clientCount,
    processCount: client === "java" ? 1 : processCount,
    rate: wholeNumber("rate", values.rate ?? usualRate, 1),
    appliedPerMinuteMin: wholeNumber("minimum", values.minimum),
    faultsPerMinuteMin:
      faults.length === 0 ? 0 : wholeNumber("minimum-faults", values["minimum-faults"]),
    faults,
    keepsMarks: against === "everhold",
  });
  const serverCount = wholeNumber("zookeeper", values.zookeeper);
  const patienceMs = 1_000 * wholeNumber("patience", values.patience);
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), "everhold-torture-"));
  mkdirSync(folder, { recursive: true });
  const startedMs = performance.now();
  const onProgress = (words: string): void => {
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
    process.stderr.write(`${seconds.padStart(6)} s  ${words}\n`);
  };
  onProgress(`seed ${plan.seed}, folder ${folder}`);
  const { output, exitCode } = await runTorture({
    plan,
    folder,
    faults,
    sabotage,
    client,
    against,
    groupSize,
    serverCount,
    patienceMs,
    onProgress,
  });
  process.stdout.write(output);
  process.exitCode = exitCode ?? 1;
  // What is to be looked into stays.
  if (values.folder !== undefined || values.keep || exitCode !== 0) onProgress(`kept ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  // Of a run that was given up something may still be under way.
  process.exit();
}

function isOfGroup(kind: string): boolean {
  return groupFaultKinds.some((name) => name === kind);
}
