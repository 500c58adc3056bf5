import assert from "node:assert/strict";
import { test } from "node:test";
import { runRivals } from "./rivals.test-support.ts";

test("whatever fails, what is done was done once, and a conflict never", async () => {
  const totals = new Map<string, number>();
  for (let seed = 1; seed <= 6; seed += 1) {
    const { problems, counts } = await runRivals(seed);
    assert.deepEqual(problems, [], `seed ${seed}`);
    for (const [name, count] of Object.entries(counts)) {
      totals.set(name, (totals.get(name) ?? 0) + count);
    }
  }
  for (const name of [
    "done",
    "conflict",
    "unknown",
    "answer lost",
    "session ended",
    "process killed",
  ]) {
    assert.ok((totals.get(name) ?? 0) > 5, `${name} happened: ${totals.get(name)}`);
  }
});
