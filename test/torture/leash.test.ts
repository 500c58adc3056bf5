import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { until } from "#group/until.js";
import { runTool } from "#run-tool";

test("what a run has started ends when the run is killed, also what stands still", async () => {
  const folder = mkdtempSync(join(tmpdir(), "everhold-torture-"));
  try {
    const program = fileURLToPath(new URL("abandoned.js", import.meta.url));
    const child = spawn(process.execPath, [program, folder], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: folder },
    });
    const closed = once(child, "close");
    const pids: number[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      pids.push(Number(line));
      if (pids.length === 3) break;
    }
    assert.equal(pids.length, 3);
    assert.deepEqual(pids.filter(isRunning), pids);
    child.kill("SIGKILL");
    await closed;
    await until(
      "the end of all of them",
      () => !pids.some(isRunning),
      () => `running: ${pids.filter(isRunning).join(", ")}`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
});

test("a tool that is given up ends at once", async () => {
  const giving = new AbortController();
  const script = 'process.stdout.write("it runs"); setInterval(() => undefined, 60_000);';
  const { code, stdout } = await runTool(process.execPath, ["-e", script], {
    onStdout: () => giving.abort(),
    signal: giving.signal,
  });
  assert.deepEqual({ code, stdout }, { code: null, stdout: "it runs" });
});

/** Not one that has ended and that nobody has asked how. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, "utf8"));
}
