import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EnsembleMistake, ensembleMistakes } from "../ensemble-types.ts";
import { runKeeper } from "./keeper-run.ts";

/** A mistake that hides for this many seeds would hide in practice too. */
const seedsPerMistake = 25;

/** Where the search for each mistake begins, so that it is short. */
const firstSeeds: Readonly<Record<EnsembleMistake, number>> = {
  "end-sessions-early": 3,
  "forget-watches": 1,
  "write-twice": 1,
  "sync-alone": 3,
};

describe("ZooKeeper clients among faults", () => {
  it("hear the truth about what they do, and leave nothing behind", async () => {
    for (const seed of [1, 2, 3, 4]) {
      const { problems, counts } = await runKeeper({ seed });
      assert.deepEqual(problems, [], `npm run sim -- --kind zookeeper --seed ${seed}`);
      assert.equal(counts["ended"], 1);
      assert.ok((counts["reads"] ?? 0) > 50, "much was looked at");
    }
  });

  it("go the same way each time, watched or not", async () => {
    const lines: string[] = [];
    const watched = await runKeeper({ seed: 7, writeTrace: (line) => lines.push(line) });
    const again = await runKeeper({ seed: 7 });
    assert.equal(again.fingerprint, watched.fingerprint);
    assert.ok(lines.length > 1000);
  });
});

describe("what servers do wrong on purpose", () => {
  for (const mistake of ensembleMistakes) {
    it(`${mistake} is found`, async () => {
      for (let turn = 0; turn < seedsPerMistake; turn += 1) {
        const { problems } = await runKeeper({ seed: firstSeeds[mistake] + turn, mistake });
        if (problems.length > 0) return;
      }
      assert.fail(`${mistake} hid for ${seedsPerMistake} seeds`);
    });
  }
});
