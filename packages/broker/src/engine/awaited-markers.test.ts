import assert from "node:assert/strict";
import { test } from "node:test";

import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import { AwaitedMarkers } from "./awaited-markers.ts";

test("sequences come back in the order of asking, with gaps and from anywhere", () => {
  const markers = new AwaitedMarkers();
  const asked = [5, 6, 7, 7, 3, 4, -2, -1, 9];
  for (const sequence of asked) markers.add(sequence);
  const taken: number[] = [];
  while (!markers.isEmpty) taken.push(markers.take());
  assert.deepEqual(taken, asked);
});

test("what is added while others wait comes behind them", () => {
  const markers = new AwaitedMarkers();
  markers.add(0);
  markers.add(1);
  assert.equal(markers.take(), 0);
  markers.add(2);
  assert.deepEqual([markers.take(), markers.take(), markers.isEmpty], [1, 2, true]);
});

test("gaps are limited, what follows on is not", () => {
  const markers = new AwaitedMarkers();
  for (let run = 0; run < limits.forcedDeliveryRunsMax; run += 1) markers.add(run * 2);
  const last = (limits.forcedDeliveryRunsMax - 1) * 2;
  for (let step = 1; step <= 1000; step += 1) markers.add(last + step);
  assert.throws(
    () => markers.add(0),
    (error: unknown) =>
      EverholdError.is(error, "EVH_PROTOCOL") &&
      error.message.includes("sequence 0 does not follow"),
  );
});
