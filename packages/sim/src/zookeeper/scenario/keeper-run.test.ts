import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type KeeperMistake, keeperMistakes, runKeeper } from "./keeper-run.ts";

/** A mistake that hides for this many seeds would hide in practice too. */
const seedsPerMistake = 40;

/** Something is held for longer than by its session, or by more than there is. */
const outlived = /judge: (lease: .* for held, and its session is over|lock:)/;

/** What each mistake breaks, and where the search for it begins, so that it is short. */
const mistakes: Readonly<Record<KeeperMistake, { readonly breaks: RegExp; firstSeed: number }>> = {
  "end-sessions-early": { breaks: outlived, firstSeed: 5 },
  "forget-watches": { breaks: /judge: generation:|has seen what there is/, firstSeed: 1 },
  "write-twice": { breaks: /judge: effect: .* was written 2 times/, firstSeed: 1 },
  "sync-alone": { breaks: /judge: stale read:/, firstSeed: 1 },
  "hold-on-pongs": { breaks: outlived, firstSeed: 6 },
  "count-from-answer": { breaks: outlived, firstSeed: 11 },
  "hold-by-flag": { breaks: outlived, firstSeed: 3 },
  "repeat-creates": { breaks: /judge: effect: .* was written 2 times/, firstSeed: 1 },
  "forget-one-shots": { breaks: /has seen what there is|one leads/, firstSeed: 1 },
  "hush-sessions": { breaks: /session: epoch \d+ has begun, and nobody was told/, firstSeed: 1 },
  "hasty-generation": { breaks: /judge: generation:/, firstSeed: 1 },
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

describe("what servers and clients do wrong on purpose", () => {
  for (const mistake of keeperMistakes) {
    const { breaks, firstSeed } = mistakes[mistake];
    it(`${mistake} is found by what it breaks`, async () => {
      const others = new Set<string>();
      for (let turn = 0; turn < seedsPerMistake; turn += 1) {
        const { problems } = await runKeeper({ seed: firstSeed + turn, mistake });
        if (problems.some((problem) => breaks.test(problem))) return;
        for (const problem of problems) others.add(problem);
      }
      assert.fail(`hid for ${seedsPerMistake} seeds; found were [${[...others].join("; ")}]`);
    });
  }
});
