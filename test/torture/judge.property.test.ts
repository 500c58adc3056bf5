import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { Prng } from "@everhold/base";

import { formatHistoryLine } from "./history-line.ts";
import { isFaultless, judge } from "./judge.ts";
import { isPossible } from "./naive-judge.test-support.ts";
import { randomHistory, smallPlan } from "./random-history.test-support.ts";

test("the judge finds fault exactly where no choice of what is in doubt explains a history", () => {
  const counts = { good: 0, bad: 0 };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (seed) => {
      const events = randomHistory(new Prng(seed));
      const plan = { ...smallPlan, keepsMarks: seed % 4 > 0 };
      const verdict = judge(plan, [events]);
      const expected = isPossible(plan, events);
      counts[expected ? "good" : "bad"] += 1;
      const history = events.map(formatHistoryLine).join("");
      assert.equal(isFaultless(verdict), expected, `${history}${verdict.examples.join("\n")}`);
    }),
    { numRuns: 5_000 },
  );
  // Else it would say nothing.
  assert.ok(counts.good > 250 && counts.bad > 250, JSON.stringify(counts));
});
