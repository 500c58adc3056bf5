/**
 * Everhold beside other people's software: unmodified Artemis clients, tools and brokers. Needs Java 17
 * and Maven, which fetches the rest from Maven Central. What is missing is an error, never a skip.
 *
 *   npm run interop                          every suite, one after the other
 *   npm run interop -- java-clients spring   these
 *   npm run interop -- --list                their names
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { runTestFiles } from "./test-runner.mjs";

const folder = fileURLToPath(new URL("../test/interop", import.meta.url));
const figuresFile = join(folder, ".cache", "figures.jsonl");
const ending = ".interop.ts";
const suites = readdirSync(join(folder, "suites"))
  .filter((name) => name.endsWith(ending))
  .map((name) => name.slice(0, -ending.length))
  .toSorted();
const wanted = process.argv.slice(2);

if (wanted.includes("--list")) process.stdout.write(`${suites.join("\n")}\n`);
else await main();

async function main() {
  const unknown = wanted.filter((name) => !suites.includes(name));
  if (unknown.length > 0) {
    return refuse(`no suite is named ${unknown.join(", ")}; there are ${suites.join(", ")}`);
  }
  const missing = missingTools();
  if (missing.length > 0) return refuse(missing.join("\n"));

  mkdirSync(join(folder, ".cache"), { recursive: true });
  rmSync(figuresFile, { force: true });
  const chosen = wanted.length === 0 ? suites : wanted;
  const files = chosen.map((name) => ({
    file: join(folder, "dist", "suites", `${name}.interop.js`),
    name: `interop ${name}`,
    holdsTests: true,
  }));
  process.on("exit", printFigures);
  await runTestFiles(files, {
    processCountMax: 1,
    // A first run also waits for Maven's downloads.
    fileTimeoutMs: 1_200_000,
    ifNone: "No suites were found",
  });
}

function refuse(text) {
  process.stderr.write(`interop: ${text}\n`);
  process.exitCode = 2;
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

/** What the suites measured, one JSON object a line. */
function printFigures() {
  if (existsSync(figuresFile)) process.stdout.write(`${readFileSync(figuresFile, "utf8")}`);
}
