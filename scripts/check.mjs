/**
 * Everything about the code that a tool can judge: format, types, lint, dead code, tidiness.
 *
 *   npm run check              says what is wrong; exits with 1 when anything is
 *   npm run check -- --fix     first puts right what a tool can: lint fixes, format, generated documents
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fix = process.argv.includes("--fix");
let failedCount = 0;

if (fix) {
  await step("lint --fix", tool("oxlint", "--fix"));
  await step("format --fix", tool("oxfmt"));
  if (await step("build", tool("tsc", "-b"))) {
    await step("documents", ["node", join(root, "scripts", "docs.mjs")]);
  }
  // What could not be put right is said below, once.
  failedCount = 0;
}

const [built] = await Promise.all([
  step("build", tool("tsc", "-b", "--pretty", "false")),
  step("format", tool("oxfmt", "--check")),
  step("dead code", tool("knip", "--no-progress")),
]);
// Lint and tidy read the types and the documents that the build has made.
if (built) {
  await Promise.all([
    step("lint", tool("oxlint")),
    step("tidy", ["node", join(root, "scripts", "test.mjs"), "tidy"]),
  ]);
} else {
  process.stdout.write("skip   lint, tidy: they need the build\n");
}

process.stdout.write(failedCount === 0 ? "All checks pass\n" : `${failedCount} checks fail\n`);
process.exitCode = failedCount === 0 ? 0 : 1;

/** The command line of a tool that `npm ci` has installed. */
function tool(name, ...args) {
  return [join(root, "node_modules", ".bin", name), ...args];
}

/** Runs a command, prints one line about it, and its output if it failed. Whether it passed. */
async function step(name, [command, ...args]) {
  const startedMs = performance.now();
  const { code, output } = await execute(command === "node" ? process.execPath : command, args);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const passed = code === 0;
  if (!passed) failedCount += 1;
  process.stdout.write(`${passed ? "ok  " : "FAIL"}   ${name} (${seconds} s)\n`);
  if (!passed) process.stdout.write(`${output.trimEnd()}\n\n`);
  return passed;
}

function execute(command, args) {
  return new Promise((resolve, reject) => {
    const shell = process.platform === "win32";
    const child = spawn(command, args, { cwd: root, shell, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (output += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}
