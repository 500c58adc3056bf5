/** `npm run torture -- --zookeeper` in short: it finds nothing where all is well, and finds out who does wrong. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { zooKeeperVersions } from "../support/class-path.ts";
import { patienceMs } from "../support/until.ts";

const program = fileURLToPath(new URL("../../../torture/dist/torture.js", import.meta.url));

/** In each of these runs somebody believes to have the lock when another one has it. */
const shortRun = [
  ...["--zookeeper", "--json", "--seed", "3", "--seconds", "8", "--servers", "1"],
  ...["--processes", "3", "--faults", "overtaken", "--minimum", "1", "--minimum-faults", "1"],
];

for (const version of zooKeeperVersions) {
  describe(`torture on ZooKeeper ${version}`, () => {
    it("with their tokens, contenders that are overtaken do no harm", async () => {
      const { verdict, exitCode } = await run(["--version", version]);
      assert.deepEqual(wrong(verdict), []);
      assert.equal(exitCode, 0);
    });

    it("contenders that do not show the store their tokens are found out", async () => {
      const { verdict, exitCode } = await run(["--version", version, "--sabotage", "token"]);
      assert.ok(wrong(verdict).includes("tokenOrder"));
      assert.ok(wrong(verdict).includes("twoWritersUnderOneToken"));
      assert.equal(exitCode, 1);
    });

    it("contenders that hold a lock until they are told otherwise are found out", async () => {
      const { verdict, exitCode } = await run(["--version", version, "--sabotage", "trust"]);
      assert.deepEqual(wrong(verdict), ["heldTogether"]);
      assert.equal(exitCode, 1);
    });
  });
}

describe("torture", () => {
  it("a run in which too little happened fails", async () => {
    const { verdict, exitCode } = await run(["--faults", "none", "--minimum", "1000000"]);
    assert.deepEqual(wrong(verdict), []);
    assert.equal(exitCode, 1);
  });
});

async function run(
  more: readonly string[],
): Promise<{ readonly verdict: object; readonly exitCode: number | null }> {
  const words = [program, ...shortRun, ...more];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, words, { timeout: patienceMs }, (_, output, said) => {
      try {
        const verdict: unknown = JSON.parse(output);
        assert.ok(typeof verdict === "object" && verdict !== null);
        resolve({ verdict, exitCode: child.exitCode });
      } catch {
        reject(new Error(`expected a verdict, found ${output}${said}`));
      }
    });
  });
}

/** The violations that there are. */
function wrong(verdict: object): string[] {
  assert.ok("violations" in verdict);
  const counts: [string, unknown][] = Object.entries(verdict.violations ?? {});
  return counts.filter(([, count]) => count !== 0).map(([name]) => name);
}
