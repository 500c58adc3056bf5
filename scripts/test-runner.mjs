/**
 * Runs compiled test files, a process each, and says what failed: what `npm test` and `npm run interop`
 * have in common.
 */
import { run } from "node:test";
import { inspect } from "node:util";

/**
 * Runs every file and prints a line about each. Failures are printed as they come, named once more at
 * the end, and the last line counts. Sets the exit code to 1 when a test failed, when a process did not
 * end in order, or when there was nothing to run.
 *
 * @param {{ file: string, name: string, holdsTests: boolean }[]} files `holdsTests`: that it runs no test is a failure
 * @param {{ processCountMax: number, fileTimeoutMs: number, ifNone: string, showsProgress?: boolean }} options
 *   `showsProgress`: what processes write is printed at once, and each test that passes
 */
export async function runTestFiles(
  files,
  { processCountMax, fileTimeoutMs, ifNone, showsProgress = false },
) {
  const startedMs = performance.now();
  const results = [];
  const failures = [];
  // Without this the children would believe that they are part of an outer run of tests.
  delete process.env["NODE_TEST_CONTEXT"];
  // So that a failure points at the line that was written, not at the one that was compiled.
  process.env["NODE_OPTIONS"] = `${process.env["NODE_OPTIONS"] ?? ""} --enable-source-maps`;

  const waiting = [...files];
  await Promise.all(Array.from({ length: processCountMax }, runWaiting));
  finish();

  async function runWaiting() {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runFile(next, { fileTimeoutMs, showsProgress }, failures);
      results.push(result);
    }
  }

  function finish() {
    const sum = (kind) => results.reduce((total, result) => total + result[kind], 0);
    const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
    if (failures.length > 0) process.stdout.write(`\nFailed:\n${indent(failures.join("\n"))}\n`);
    if (passed + failed === 0) process.stdout.write(`\n${ifNone}\n`);
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    process.stdout.write(`\n${results.length} processes, ${seconds} s\n`);
    const skippedText = skipped === 0 ? "" : `, ${skipped} skipped`;
    process.stdout.write(`${passed} passed, ${failed} failed${skippedText}\n`);
    process.exitCode = passed + failed === 0 || failed > 0 ? 1 : 0;
  }
}

async function runFile({ file, name, holdsTests }, { fileTimeoutMs, showsProgress }, failures) {
  const counts = { passed: 0, failed: 0, skipped: 0, open: 0 };
  const result = { name, ...counts, output: "", lastStarted: "", failures };
  const fileStartedMs = performance.now();
  for await (const { type, data } of run({ files: [file], timeout: fileTimeoutMs })) {
    const isProcess = data.name === file;
    if (type === "test:dequeue" && !isProcess) {
      result.lastStarted = data.name;
      result.open += 1;
    } else if (type === "test:stdout" || type === "test:stderr") {
      result.output += data.message;
      if (showsProgress) process.stdout.write(data.message);
    } else if (type === "test:diagnostic" && data.nesting > 0) {
      process.stdout.write(`    ${data.message}\n`);
    } else if (type === "test:pass" && !isProcess) {
      recordPass(result, data);
      if (showsProgress && data.details.type !== "suite") printPass(data);
    } else if (type === "test:fail") {
      if (isProcess) recordProcessFailure(result, data.details.error);
      else recordFailure(result, data);
    }
  }
  // A process that exits with 0 in the middle of a test looks like one that has done its work.
  const isCutShort = result.open > 0 || (countOf(result) === 0 && holdsTests);
  if (isCutShort && result.failed === 0) recordProcessFailure(result, undefined);
  const seconds = ((performance.now() - fileStartedMs) / 1000).toFixed(1);
  process.stdout.write(`${String(countOf(result)).padStart(6)} tests  ${name} (${seconds} s)\n`);
  return result;
}

function countOf(result) {
  return result.passed + result.failed + result.skipped;
}

function recordPass(result, data) {
  result.open -= 1;
  if (data.details.type === "suite") return;
  if (data.skip !== undefined || data.todo !== undefined) result.skipped += 1;
  else result.passed += 1;
}

function recordFailure(result, data) {
  result.open -= 1;
  const error = data.details.error;
  // A parent fails with its children; the children are what there is to see.
  if (error?.failureType === "subtestsFailed") return;
  report(result, data.name, describe(error?.cause ?? error));
}

function printPass({ name, details }) {
  process.stdout.write(`passed: ${name} (${(details.duration_ms / 1000).toFixed(1)} s)\n`);
}

/** What a process wrote says why it died. */
function recordProcessFailure(result, error) {
  if (error?.failureType === "subtestsFailed") return;
  const { cause, exitCode, signal } = error ?? {};
  const how =
    error?.failureType === "testTimeoutFailure"
      ? String(cause)
      : `the process ended early, exit code ${exitCode ?? 0}, signal ${signal ?? "none"}`;
  const last = `the last test it started: ${result.lastStarted}`;
  report(result, "(process)", `${how}; ${last}\n${result.output.slice(-8000)}`);
}

function report(result, testName, detail) {
  result.failed += 1;
  result.failures.push(`${result.name}: ${testName}`);
  process.stdout.write(`\nFAILED  ${result.name}: ${testName}\n${indent(detail)}\n\n`);
}

/** An error, its causes, and of their stacks only the lines that are ours. */
function describe(error, depth = 0) {
  if (typeof error !== "object" || error === null) return String(error);
  const stack = String(error.stack ?? inspect(error))
    .split("\n")
    .filter((line) => !/^ {4}at .*(node:internal|node:async_hooks|<anonymous>\)$)/.test(line))
    .join("\n");
  if (error.cause === undefined || depth === 3) return stack;
  return `${stack}\ncaused by ${describe(error.cause, depth + 1)}`;
}

function indent(text) {
  return text.trimEnd().replaceAll(/^/gm, "    ");
}
