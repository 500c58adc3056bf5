import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import fc from "fast-check";

import { redeliveryDelayMs, type DelaySettings } from "./redelivery-delay.ts";

const plain: DelaySettings = {
  redeliveryDelay: 100,
  redeliveryDelayMultiplier: 1,
  redeliveryCollisionAvoidanceFactor: 0,
  maxRedeliveryDelay: -1,
};

function delays(settings: Partial<DelaySettings>, count: number): number[] {
  const random = new Prng(1);
  return Array.from({ length: count }, (_, index) =>
    redeliveryDelayMs({ ...plain, ...settings }, index + 1, random),
  );
}

test("without a multiplier each redelivery waits for as long", () => {
  assert.deepEqual(delays({}, 3), [100, 100, 100]);
});

test("a multiplier makes the delay grow with each attempt, up to ten times the first one", () => {
  assert.deepEqual(delays({ redeliveryDelayMultiplier: 2 }, 6), [100, 200, 400, 800, 1000, 1000]);
});

test("a fraction of a millisecond is dropped", () => {
  assert.deepEqual(delays({ redeliveryDelay: 3, redeliveryDelayMultiplier: 1.5 }, 3), [3, 4, 6]);
});

test("the longest delay is what is said, also below the first one", () => {
  const settings = { redeliveryDelayMultiplier: 10, maxRedeliveryDelay: 5000 };
  assert.deepEqual(delays(settings, 4), [100, 1000, 5000, 5000]);
  assert.deepEqual(delays({ maxRedeliveryDelay: 30 }, 2), [30, 30]);
});

test("no delay stays none, whatever else is said", () => {
  assert.deepEqual(
    delays({ redeliveryDelay: 0, redeliveryCollisionAvoidanceFactor: 1 }, 2),
    [0, 0],
  );
});

test("after thousands of attempts the delay is still a whole number", () => {
  const settings = { ...plain, redeliveryDelayMultiplier: 1000 };
  assert.equal(redeliveryDelayMs(settings, 65_535, new Prng(1)), 1000);
});

test("chance varies the delay by its factor both ways, and never above the longest one", () => {
  const seen = fc.sample(fc.nat(), { numRuns: 500, seed: 1 }).map((seed) => {
    const settings = { redeliveryCollisionAvoidanceFactor: 0.2, maxRedeliveryDelay: 110 };
    return redeliveryDelayMs({ ...plain, ...settings }, 1, new Prng(seed));
  });
  assert.ok(seen.every((delay) => delay >= 80 && delay <= 110));
  assert.ok(seen.some((delay) => delay < 85));
  assert.ok(seen.some((delay) => delay === 110));
});
