import assert from "node:assert/strict";
import { test } from "node:test";
import { runLocalRivals } from "./local-rivals.test-support.ts";

test("whatever happens to the processes of a machine, what is done was done once, and a conflict never", async () => {
  const totals = new Map<string, number>();
  for (let seed = 1; seed <= 12; seed += 1) {
    const { problems, counts } = await runLocalRivals(seed);
    assert.deepEqual(problems, [], `seed ${seed}`);
    for (const [name, count] of Object.entries(counts)) {
      totals.set(name, (totals.get(name) ?? 0) + count);
    }
  }
  const all = JSON.stringify([...totals]);
  for (const name of ["done", "conflict", "unknown", "process killed", "power lost"]) {
    assert.ok((totals.get(name) ?? 0) > 5, `${name} happened: ${all}`);
  }
});
