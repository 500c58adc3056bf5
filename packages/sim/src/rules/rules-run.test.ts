import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ruleMutations, type RuleMutation } from "../mutations/rule-mutations.ts";
import { runRules } from "./rules-run.ts";
import { shrink } from "./shrink.ts";

/** A mutation that hides for this many seeds would hide in practice too. */
const seedsPerMutation = 25;

/** Where the search for each mistake begins, so that it is short. */
const firstSeeds: Readonly<Record<RuleMutation, number>> = {
  "deliver-too-early": 3,
  "deliver-expired": 1,
  "ignore-priority": 2,
  "ignore-filters": 4,
  "ignore-duplicates": 2,
  "lose-order-at-rollback": 4,
  "one-attempt-more": 3,
  "redeliver-at-once": 16,
  "split-groups": 1,
  "keep-old-values": 13,
  "keep-one-too-many": 4,
  "drop-when-full": 10,
  "forget-attempts-at-recovery": 12,
  "forget-duplicates-at-recovery": 2,
  "forget-deliveries-at-recovery": 3,
  "bury-twice": 3,
};

describe("a program of rules", () => {
  it("leaves every message where the rules say", async () => {
    for (const seed of [1, 2]) {
      const { problems, counts } = await runRules({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --kind rules --seed ${seed}`);
      assert.ok(counts.rounds > 10 && counts.observed > 20, "much was looked at");
    }
  });

  it("goes the same way each time, watched or not", async () => {
    const lines: string[] = [];
    const first = await runRules({ seed: 4, writeTrace: (line) => lines.push(line) });
    assert.ok(lines.length > first.eventCount);
    assert.equal((await runRules({ seed: 4 })).fingerprint, first.fingerprint);
  });

  it("can be made shorter while it still fails", async () => {
    const mutation = "ignore-duplicates";
    const { plan, problems } = await runRules({ seed: 1, mutation });
    assert.match(problems[0] ?? "", /duplicate/);
    const shortest = await shrink(
      plan,
      async (candidate) => {
        const result = await runRules({ seed: 1, mutation, plan: candidate });
        return /duplicate: .* was taken 2 times/.test(result.problems[0] ?? "");
      },
      60,
    );
    const steps = shortest.rounds.flatMap((round) => round.steps);
    assert.ok(steps.length <= 4, JSON.stringify(steps));
    assert.ok(steps.some((step) => step.do === "send" && step.duplicate >= 0));
  });
});

describe("a mistake in the rules", () => {
  for (const mutation of ruleMutations) {
    it(`is found: ${mutation}`, async () => {
      const first = firstSeeds[mutation];
      for (let seed = first; seed < first + seedsPerMutation; seed += 1) {
        const { problems } = await runRules({ seed, mutation });
        if (problems.length > 0) return;
      }
      assert.fail(`nothing was noticed in ${seedsPerMutation} seeds`);
    });
  }
});
