/**
 * Runs the compiled tests of every package and of `test/`, a process each and two at a time.
 *
 *   node scripts/test.mjs                  all of them
 *   node scripts/test.mjs wire journal     those of these folders
 *
 * Failures are printed as they come and once more at the end; the last line counts the tests. Exits
 * with 1 when a test failed, when a process did not end in order, or when there was nothing to run.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { run } from "node:test";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";

/** Longer than any package's tests take on a busy machine, and short enough to notice a hang. */
const fileTimeoutMs = 170_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const startedMs = performance.now();
const wanted = process.argv.slice(2);
const files = ["packages", "test"]
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)))
  .filter((folder) => wanted.length === 0 || wanted.includes(basename(folder)))
  .filter(hasTests)
  .map((folder) => join(folder, "dist", "all.test.js"));

/** What one process did. */
const results = new Map(files.map((file) => [file, newResult(file)]));
const failures = [];

if (files.length > 0) {
  // Without this the children would believe that they are part of an outer run of tests.
  delete process.env["NODE_TEST_CONTEXT"];
  for await (const event of run({ files, concurrency: 2, timeout: fileTimeoutMs })) record(event);
}
finish();

/** A folder whose tests were deleted may still have a compiled copy; the source decides. */
function hasTests(folder) {
  const hasSource = ["src/all.test.ts", "all.test.ts"].some((name) =>
    existsSync(join(folder, name)),
  );
  return hasSource && existsSync(join(folder, "dist", "all.test.js"));
}

function newResult(file) {
  const name = relative(root, dirname(dirname(file))).replaceAll("\\", "/");
  return { name, passed: 0, failed: 0, skipped: 0, output: "", lastStarted: "", startedMs: 0 };
}

function record({ type, data }) {
  const result = results.get(data.file);
  if (result === undefined) return;
  const isWholeFile = data.name === data.file;
  if (type === "test:dequeue") {
    if (isWholeFile) result.startedMs = performance.now();
    else result.lastStarted = data.name;
  } else if (type === "test:stdout" || type === "test:stderr") {
    result.output += data.message;
  } else if (type === "test:pass") {
    recordPass(result, data, isWholeFile);
  } else if (type === "test:fail") {
    recordFailure(result, data, isWholeFile);
  } else if (type === "test:complete" && isWholeFile) {
    // The results of a file's tests follow this event; what is printed here is only its time.
    const seconds = ((performance.now() - result.startedMs) / 1000).toFixed(1);
    process.stdout.write(`${result.name} (${seconds} s)\n`);
  }
}

function recordPass(result, data, isWholeFile) {
  if (isWholeFile || data.details.type === "suite") return;
  if (data.skip !== undefined || data.todo !== undefined) result.skipped += 1;
  else result.passed += 1;
}

function recordFailure(result, data, isWholeFile) {
  const error = data.details.error;
  // A parent fails with its children; the children are what there is to see.
  if (error?.failureType === "subtestsFailed") return;
  result.failed += 1;
  const name = isWholeFile ? `the process (last test started: ${result.lastStarted})` : data.name;
  const cause = error?.cause ?? error;
  const detail = typeof cause === "string" ? cause : inspect(cause, { depth: 4 });
  const output = isWholeFile ? `\n${result.output.slice(-8000)}` : "";
  const text = `FAILED ${result.name} › ${name}\n${indent(detail + output)}\n`;
  failures.push(text);
  process.stdout.write(`\n${text}\n`);
}

function indent(text) {
  return text.trimEnd().replaceAll(/^/gm, "    ");
}

function finish() {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { name, passed, failed, skipped } of results.values()) {
    process.stdout.write(`${String(passed + failed + skipped).padStart(6)}  ${name}\n`);
    sum.passed += passed;
    sum.failed += failed;
    sum.skipped += skipped;
  }
  if (failures.length > 1) process.stdout.write(`\nAll failures:\n\n${failures.join("\n")}`);
  const count = sum.passed + sum.failed;
  if (count === 0) process.stdout.write("\nNo tests were found: build first with `npx tsc -b`\n");
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  process.stdout.write(`\n${files.length} processes, ${seconds} s\n`);
  const skippedText = sum.skipped === 0 ? "" : `, ${sum.skipped} skipped`;
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed${skippedText}\n`);
  process.exitCode = count === 0 || sum.failed > 0 ? 1 : 0;
}
