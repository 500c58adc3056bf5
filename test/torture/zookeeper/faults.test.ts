import assert from "node:assert/strict";
import { test } from "node:test";

import { contenderFaults, scheduleFaults, type Fault } from "./faults.ts";

const options = { kinds: contenderFaults, sessionTimeout: 4_000, peaceMs: 1_000 };

test("the same seed gives the same faults of contenders, another one others", () => {
  assert.deepEqual(head(42), head(42));
  assert.notDeepEqual(head(42), head(43));
});

test("faults of all kinds come to contenders, and some outlast a session", () => {
  const faults = head(1);
  const seen = new Set(faults.map(({ kind }) => kind));
  assert.deepEqual([...seen].toSorted(), [...contenderFaults].toSorted());
  assert.ok(faults.some(({ durationMs }) => durationMs > options.sessionTimeout));
  assert.ok(faults.some(({ durationMs }) => durationMs < options.sessionTimeout));
});

test("without kinds of faults there are none", () => {
  assert.deepEqual(scheduleFaults({ ...options, kinds: [], seed: 1 }), []);
});

function head(seed: number): Fault[] {
  return scheduleFaults({ ...options, seed }).slice(0, 50);
}
