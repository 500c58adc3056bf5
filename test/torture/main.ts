import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { runTorture } from "./conductor.ts";
import { faultKinds, groupFaultKinds, type FaultKind } from "./history-line.ts";
import { makePlan } from "./plan.ts";
import { sabotages } from "./sabotage.ts";

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
  --keep            keeps the folder with data and histories`;

const { values } = parseArgs({
  options: {
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
    keep: { type: "boolean", default: false },
    folder: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  process.stdout.write(`${usage}\n`);
} else {
  await main();
}

async function main(): Promise<void> {
  const sabotage = sabotages.find((name) => name === values.sabotage);
  if (values.sabotage !== undefined && sabotage === undefined) {
    throw new Error(`expected --sabotage ${sabotages.join("|")}, found ${values.sabotage}`);
  }
  const { client } = values;
  if (client !== "everhold" && client !== "java") {
    throw new Error(`expected --client everhold|java, found ${client}`);
  }
  const { against } = values;
  if (against !== "everhold" && against !== "artemis") {
    throw new Error(`expected --against everhold|artemis, found ${against}`);
  }
  const groupSize = wholeNumber("group");
  const possible = faultKinds.filter((kind) => groupSize > 0 || !isOfGroup(kind));
  const usual = possible.filter((kind) => kind !== "drop" || client === "everhold");
  const asked = values.faults?.split(",").map((word) => faultKind(word, possible)) ?? usual;
  const faults = values.kill === "none" ? [] : asked;
  const plan = makePlan({
    seed: wholeNumber("seed"),
    seconds: wholeNumber("seconds"),
    clientCount: wholeNumber("clients"),
    processCount:
      client === "java" ? 1 : Math.min(wholeNumber("processes"), wholeNumber("clients")),
    // Of a pair's clients some wait at any time, and make up for nothing.
    rate: values.rate === undefined ? (against === "artemis" ? 8_000 : 4_000) : wholeNumber("rate"),
    appliedPerMinuteMin: wholeNumber("minimum"),
    faultsPerMinuteMin: faults.length === 0 ? 0 : wholeNumber("minimum-faults"),
    faults,
    keepsMarks: against === "everhold",
  });
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
    serverCount: wholeNumber("zookeeper"),
    onProgress,
  });
  process.stdout.write(output);
  process.exitCode = exitCode ?? 1;
  // What is to be looked into stays.
  if (values.folder !== undefined || values.keep || exitCode !== 0) onProgress(`kept ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}

function wholeNumber(
  name:
    | "group"
    | "zookeeper"
    | "seed"
    | "seconds"
    | "clients"
    | "processes"
    | "rate"
    | "minimum"
    | "minimum-faults",
): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`expected a whole number for --${name}, found ${values[name]}`);
}

function isOfGroup(kind: FaultKind): boolean {
  return groupFaultKinds.some((name) => name === kind);
}

function faultKind(word: string, possible: readonly FaultKind[]): FaultKind {
  const kind = possible.find((name) => name === word);
  if (kind !== undefined) return kind;
  throw new Error(`expected --faults of ${possible.join(",")}, found ${word}`);
}
