import assert from "node:assert/strict";
import { test } from "node:test";

import { scheduleFaults } from "./faults.ts";
import { faultKinds } from "./history-line.ts";

const peace = { minMs: 200, maxMs: 1_500 };
const head = (seed: number): unknown[] => scheduleFaults(seed, faultKinds, peace).slice(0, 50);

test("the same seed gives the same faults, another one others", () => {
  assert.deepEqual(head(42), head(42));
  assert.notDeepEqual(head(42), head(43));
});

test("faults of all kinds come, and more of them than a run needs", () => {
  const faults = scheduleFaults(1, faultKinds, peace);
  const others = faultKinds.filter((kind) => kind !== "roll").toSorted();
  const first = faults.slice(0, others.length).map(({ kind }) => kind);
  assert.deepEqual(first.toSorted(), others, "each once before any comes again");
  const third = faults.slice(2 * others.length).slice(0, faultKinds.length);
  assert.deepEqual(third.map(({ kind }) => kind).toSorted(), faultKinds.toSorted());
  assert.ok(faults.length >= 10_000);
});
