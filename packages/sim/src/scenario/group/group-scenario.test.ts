import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GroupMistake } from "./group-mistakes.ts";
import { runGroup } from "./group-scenario.ts";

/** Seeds that show the mistake soon. */
const seedsOfMistakes: readonly (readonly [GroupMistake, readonly number[]])[] = [
  ["early-disks", [19, 41, 49]],
  ["overwrite-state", [12, 71, 85]],
  ["slow-clock", [71, 105, 95]],
  ["release-before-shrink", [1, 2, 5]],
  ["stale-incarnation", [43, 49, 48]],
  ["truncate-to-commit", [2, 30, 32]],
  ["trust-heartbeat", [4, 3, 5]],
];

describe("a group of brokers", () => {
  it("keeps every promise, whatever dies meanwhile", async () => {
    let [applied, reigns] = [0, 0];
    for (const seed of [6, 10, 12]) {
      const { problems, counts } = await runGroup({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --kind group --seed ${seed}`);
      applied += counts.applied;
      reigns += counts.reigns;
    }
    assert.ok(applied > 200, `${applied} sends were applied`);
    assert.ok(reigns > 3, `${reigns} times another member led`);
  });

  it("goes the same way each time", async () => {
    const first = await runGroup({ seed: 5 });
    const again = await runGroup({ seed: 5 });
    assert.equal(again.fingerprint, first.fingerprint);
  });

  for (const [mistake, seeds] of seedsOfMistakes) {
    it(`shows a mistake made on purpose: ${mistake}`, async () => {
      for (const seed of seeds) {
        const { problems } = await runGroup({ seed, mistake });
        if (problems.length > 0) return;
      }
      assert.fail(`nothing was noticed in the seeds ${seeds.join(", ")}`);
    });
  }
});
