import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { curatorVersion } from "../support/curator-programs.ts";
import { zooKeeperVersions, type ZooKeeperVersion } from "../support/class-path.ts";
import { zooKeeperFolder } from "../support/folders.ts";
import type { Results, Run } from "./results.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenarios.ts";
import { tryWrongChroot } from "./wrong-chroot.ts";

const help = `npm run curator [-- options]    Curator and our client under the same faults, side by side

  --runs N       times that each scenario is played; default 3
  --only ID,ID   only these; the results of the others stay as they are
  --version V    of ZooKeeper: ${zooKeeperVersions.join(", ")}; default the newest
  --list         the ids
  --out FILE     default test/zookeeper/curator/results.json, which docs/CURATOR.md is made from (npm run docs)

Needs Java 17 and Maven, which fetches Curator and the servers from Maven Central.
`;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    only: { type: "string" },
    version: { type: "string", default: zooKeeperVersions.at(-1) ?? "" },
    list: { type: "boolean", default: false },
    out: { type: "string", default: join(zooKeeperFolder, "curator", "results.json") },
    help: { type: "boolean", default: false },
  },
});
const ids = [...scenarios.map(({ id }) => id), "wrong-chroot"];
const wanted = values.only?.split(",") ?? ids;
const unknown = wanted.filter((id) => !ids.includes(id));
const runCount = Number(values.runs);
const version = zooKeeperVersions.find((each) => each === values.version);
if (values.help) process.stdout.write(help);
else if (values.list) process.stdout.write(`${ids.join("\n")}\n`);
else if (unknown.length > 0)
  refuse(`there is no ${unknown.join(", ")}; there are ${ids.join(", ")}`);
else if (!Number.isInteger(runCount) || runCount < 1)
  refuse(`--runs is ${values.runs}, expected 1 or more`);
else if (version === undefined)
  refuse(`--version is ${values.version}, expected one of ${zooKeeperVersions.join(", ")}`);
else await play(version);

async function play(zookeeper: ZooKeeperVersion): Promise<void> {
  const before = resultsBefore(values.out);
  if (before !== undefined && before.versions.zookeeper !== zookeeper)
    throw new Error(`${values.out} is of ${before.versions.zookeeper}: name another --out`);
  const results: { -readonly [K in keyof Results]: Results[K] } = {
    versions: {
      curator: curatorVersion,
      zookeeper,
      node: process.versions.node,
      java: javaVersion(),
    },
    scenarios: before?.scenarios ?? {},
    wrongChroot: before?.wrongChroot ?? { curator: {}, everhold: {} },
  };
  for (const scenario of scenarios) {
    if (!wanted.includes(scenario.id)) continue;
    const runs = await runScenario(scenario, runCount, zookeeper);
    results.scenarios = { ...results.scenarios, [scenario.id]: runs };
    for (const run of runs) print(scenario.id, run);
    save(results);
  }
  if (wanted.includes("wrong-chroot")) {
    results.wrongChroot = await tryWrongChroot();
    process.stdout.write(`wrong-chroot ${JSON.stringify(results.wrongChroot)}\n`);
    save(results);
  }
}

function print(id: string, run: Run): void {
  for (const [kind, result] of Object.entries(run)) {
    process.stdout.write(`${id} ${kind} ${JSON.stringify(result)}\n`);
  }
}

function save(results: Results): void {
  writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`);
}

function resultsBefore(file: string): Results | undefined {
  if (!existsSync(file)) return undefined;
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (isResults(value)) return value;
  throw new Error(`cannot go on with ${file}: expected results of this command`);
}

function isResults(value: unknown): value is Results {
  return (
    typeof value === "object" && value !== null && "scenarios" in value && "wrongChroot" in value
  );
}

function javaVersion(): string {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  return /version "([^"]+)"/.exec(stderr)?.[1] ?? "unknown";
}

function refuse(text: string): void {
  process.stderr.write(`curator: ${text}\n`);
  process.exitCode = 2;
}
