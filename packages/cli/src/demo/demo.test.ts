import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const program = fileURLToPath(new URL("main.js", import.meta.url));

test("flights survive a kill -9 of the broker: none lost, none doubled", async () => {
  const args = [program, "--json", "--flights", "4000", "--kills", "1", "--stall", "120"];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
  assert.equal(stderr, "");
  const result: unknown = JSON.parse(stdout);
  assert.ok(typeof result === "object" && result !== null);
  const {
    seconds: _seconds,
    redelivered: _redelivered,
    ...facts
  } = {
    seconds: 0,
    redelivered: 0,
    ...result,
  };
  assert.deepEqual(facts, {
    sent: 4_000,
    received: { stats: 4_000, archive: 4_000 },
    lost: 0,
    duplicated: 0,
    restarts: 1,
    left: 0,
    equal: true,
  });
});
