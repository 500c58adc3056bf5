/** Suites that need Java and Maven, each a file of its own: what `npm run interop`, `failover` and `zookeeper` share. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { runTestFiles } from "./test-runner.mjs";

const test = fileURLToPath(new URL("../test", import.meta.url));
const figuresFile = join(test, "interop", ".cache", "figures.jsonl");

/**
 * Runs the suites of a folder that the command line names, or all, one after the other. A name also stands for all
 * suites whose names begin with it and a dash.
 *
 * @param project the folder of `test` in which it lies. Default `interop`
 * @param command what the files' names end with, before `.ts`, and what messages begin with
 * @param showsProgress whether each test is told of when it is over, and what the suites write, when they do
 * @param byHand suites that run where they are named alone, for as long as they need, and show what they write
 * @param summarize gives lines that say what the figures come to
 */
export async function runSuites({
  project = "interop",
  command,
  folder,
  fileTimeoutMs,
  showsProgress = false,
  byHand = [],
  summarize = () => [],
}) {
  const ending = `.${command}.ts`;
  const suites = readdirSync(join(test, project, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, -ending.length))
    .toSorted();
  const wanted = process.argv.slice(2);
  if (wanted.includes("--list")) return process.stdout.write(`${suites.join("\n")}\n`);
  const refuse = (text) => {
    process.stderr.write(`${command}: ${text}\n`);
    process.exitCode = 2;
  };
  const suitesOf = (name) =>
    suites.filter((suite) => suite === name || suite.startsWith(`${name}-`));
  const unknown = wanted.filter((name) => suitesOf(name).length === 0);
  if (unknown.length > 0) {
    return refuse(`no suite is named ${unknown.join(", ")}; there are ${suites.join(", ")}`);
  }
  const missing = missingTools();
  if (missing.length > 0) return refuse(missing.join("\n"));

  mkdirSync(dirname(figuresFile), { recursive: true });
  rmSync(figuresFile, { force: true });
  const usual = suites.filter((suite) => !byHand.includes(suite));
  const chosen = wanted.length === 0 ? usual : [...new Set(wanted.flatMap(suitesOf))];
  const isByHand = chosen.some((suite) => byHand.includes(suite));
  const files = chosen.map((name) => ({
    file: join(test, project, "dist", folder, `${name}.${command}.js`),
    name: `${command} ${name}`,
    holdsTests: true,
  }));
  process.on("exit", () => printFigures(summarize));
  const ifNone = "No suites were found";
  await runTestFiles(files, {
    processCountMax: 1,
    fileTimeoutMs: isByHand ? Infinity : fileTimeoutMs,
    ifNone,
    showsProgress: showsProgress || isByHand,
  });
}

/** A sentence for each tool that is not here or too old. */
function missingTools() {
  const java = spawnSync("java", ["-version"], { encoding: "utf8" });
  const version = Number(/version "(\d+)/.exec(java.stderr ?? "")?.[1] ?? 0);
  const found = version === 0 ? "none was found" : `found ${version}`;
  const missing = [];
  if (version < 17) missing.push(`Java 17 or newer is needed, ${found}: install a JDK`);
  if (spawnSync("javac", ["-version"]).status !== 0) missing.push("javac is needed: install a JDK");
  if (spawnSync("mvn", ["-version"]).status !== 0) missing.push("Maven is needed: install it");
  return missing;
}

/** What the suites measured, one JSON object a line, and what it comes to. */
function printFigures(summarize) {
  if (!existsSync(figuresFile)) return;
  const text = readFileSync(figuresFile, "utf8");
  process.stdout.write(text);
  const figures = text.split("\n").filter(Boolean);
  const lines = summarize(figures.map((line) => JSON.parse(line)));
  for (const line of lines) process.stdout.write(`${line}\n`);
}
