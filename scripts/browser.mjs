/**
 * The client in a real browser: Chromium without a window, against brokers in processes of their own. Needs
 * Chromium; where it is not in a usual place, CHROMIUM says where. Without it the run fails, it does not skip.
 *
 *   npm run browser
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { runTestFiles } from "./test-runner.mjs";

const folder = new URL("../test/browser/dist/", import.meta.url);
const file = fileURLToPath(new URL("client.browser.js", folder));
const figures = new URL("figures.jsonl", folder);
rmSync(figures, { force: true });
process.on("exit", () => {
  // What was measured, one JSON object a line.
  if (existsSync(figures)) process.stdout.write(readFileSync(figures, "utf8"));
});
await runTestFiles([{ file, name: "browser", holdsTests: true }], {
  processCountMax: 1,
  fileTimeoutMs: 1_200_000,
  ifNone: "No tests were found",
});
