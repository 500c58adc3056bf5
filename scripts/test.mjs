/**
 * Runs the compiled tests of every package and of `test/`, a process each and two at a time.
 *
 *   node scripts/test.mjs                  all of them
 *   node scripts/test.mjs wire journal     those of these folders
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { runTestFiles } from "./test-runner.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
// What takes longest is in `test`: begun last, it would run alone at the end.
const files = ["test", "packages"]
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)))
  .filter((folder) => wanted.length === 0 || wanted.includes(basename(folder)))
  .filter(hasTests)
  .map((folder) => ({
    file: join(folder, "dist", "all.test.js"),
    name: relative(root, folder).replaceAll("\\", "/"),
    holdsTests: hasTestFiles(join(folder, "dist")),
  }));

await runTestFiles(files, {
  processCountMax: 2,
  // Far longer than any package's tests take on a busy machine, and short enough to notice a hang.
  fileTimeoutMs: 1_800_000,
  ifNone: "No tests were found; `npm run build` first",
});

/** A folder whose tests were deleted may still have a compiled copy; the source decides. */
function hasTests(folder) {
  const hasSource = ["src/all.test.ts", "all.test.ts"].some((name) =>
    existsSync(join(folder, name)),
  );
  return hasSource && existsSync(join(folder, "dist", "all.test.js"));
}

/** Whether a `dist` folder holds tests besides the file that lists them. */
function hasTestFiles(folder) {
  return readdirSync(folder, { recursive: true }).some(
    (name) => name.endsWith(".test.js") && basename(name) !== "all.test.js",
  );
}
