import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { explore, formGroup } from "./explore.ts";
import type { Mistake } from "./mistakes.ts";
import { emptyBudget, type Budget } from "./world.ts";

describe("the model of a group", () => {
  for (const memberCount of [2, 3]) {
    it(`a group of ${memberCount} forms from empty disks by its own rules`, () => {
      const { hosts, node, committed } = formGroup(memberCount, memberCount - 1);
      assert.equal(node.state.inSync.length, memberCount);
      assert.deepEqual(
        hosts.map(({ log, durable, member }) => [log, durable, member?.role.kind === "live"]),
        hosts.map((_, index) => ["1", 1, index === 0]),
      );
      assert.equal(committed, "1");
    });
  }

  const sound: readonly (readonly [string, number, Partial<Budget>])[] = [
    ["a write and a promotion", 2, { write: 1, promote: 1 }],
    ["a write, a crash and a break", 2, { write: 1, crash: 1, break: 1 }],
    ["a member given up while its outcome is lost", 2, { drop: 1, lose: 1 }],
    ["a wiped disk", 2, { crash: 1, wipe: 1, promote: 1 }],
    ["a hand-over", 2, { write: 1, handOver: 1 }],
    ["a frame that comes twice", 2, { write: 1, duplicate: 1 }],
  ];
  for (const [what, memberCount, budget] of sound) {
    it(`all rules hold in all states with ${what}`, () => {
      const result = explore({ ...shape(memberCount), budget: { ...emptyBudget, ...budget } });
      assert.deepEqual(result.failure, null);
      assert.ok(result.isComplete, `${result.stateCount} states`);
    });
  }

  const found: readonly (readonly [Mistake, Partial<Budget>, RegExp])[] = [
    ["release-before-shrink", { write: 1, promote: 1, drop: 1 }, /^I/],
    ["promote-without-fence", { write: 1, promote: 1, crash: 1 }, /^I/],
    ["stale-incarnation", { crash: 1, wipe: 1 }, /^I/],
    ["truncate-to-commit", { write: 1, break: 1 }, /^(I|B stopped itself)/],
    ["trust-heartbeat", { write: 1 }, /^I/],
  ];
  for (const [mistake, budget, rule] of found) {
    it(`finds the mistake ${mistake}`, () => {
      const whole = { ...emptyBudget, ...budget };
      const { failure } = explore({ ...shape(2), budget: whole, mistake });
      assert.match(failure?.broken ?? "nothing", rule);
    });
  }
});

function shape(memberCount: number) {
  return { memberCount, minInSync: 1, stateCountMax: 60_000 };
}
