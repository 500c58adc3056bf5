import assert from "node:assert/strict";
import { test } from "node:test";

import { outagesByCause } from "./outages.ts";

test("an outage belongs to the last that was done before it, and has its place among those", () => {
  const causes = [
    { name: "live killed", atMicroseconds: 1_000_000 },
    { name: "cut", atMicroseconds: 2_000_000 },
    { name: "live killed", atMicroseconds: 3_000_000 },
    { name: "backup killed", atMicroseconds: 4_000_000 },
  ];
  const outages = [
    { downMicroseconds: 999_999, lengthMicroseconds: 7_000 },
    { downMicroseconds: 1_000_000, lengthMicroseconds: 300_000 },
    { downMicroseconds: 3_999_999, lengthMicroseconds: 100_000 },
    { downMicroseconds: 3_500_000, lengthMicroseconds: 200_000 },
    { downMicroseconds: 2_500_000, lengthMicroseconds: 20_400 },
  ];
  assert.deepEqual(outagesByCause(causes, outages), {
    "backup killed": { times: 1, outages: 0, medianMs: 0, worstMs: 0 },
    cut: { times: 1, outages: 1, medianMs: 20, worstMs: 20 },
    "live killed": { times: 2, outages: 3, medianMs: 200, worstMs: 300 },
    nothing: { times: 0, outages: 1, medianMs: 7, worstMs: 7 },
  });
});
