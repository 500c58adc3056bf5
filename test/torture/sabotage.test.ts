import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { runTorture } from "./conductor.ts";
import { makePlan } from "./plan.ts";
import type { Sabotage } from "./sabotage.ts";

const cases: readonly [Sabotage | undefined, string][] = [
  [undefined, "nothing"],
  ["drop", "lost"],
  ["double", "duplicated"],
  ["swap", "outOfOrder"],
  ["forget", "unsettled"],
];

for (const [sabotage, word] of cases) {
  test(`of a short run with the sabotage "${sabotage ?? "none"}" the checker finds ${word} wrong`, async () => {
    const { verdict, exitCode } = await shortRun({ sabotage, appliedPerMinuteMin: 1 });
    for (const count of ["lost", "duplicated", "outOfOrder", "unsettled", "phantom"]) {
      assert.equal(verdict[count], count === word ? 1 : 0, count);
    }
    assert.equal(exitCode, sabotage === undefined ? 0 : 1);
  });
}

test("a run in which too little happened fails", async () => {
  const { verdict, exitCode } = await shortRun({ appliedPerMinuteMin: 1_000_000_000 });
  assert.equal(verdict["tooLittle"], true);
  assert.equal(exitCode, 1);
});

/** Without faults, so that nothing but the lie can be wrong. */
async function shortRun(options: {
  readonly sabotage?: Sabotage | undefined;
  readonly appliedPerMinuteMin: number;
}): Promise<{ readonly verdict: Record<string, unknown>; readonly exitCode: number | null }> {
  const { sabotage, appliedPerMinuteMin } = options;
  const folder = mkdtempSync(join(tmpdir(), "everhold-torture-"));
  try {
    const plan = makePlan({
      ...{ seed: 1, seconds: 1, clientCount: 8, processCount: 1, rate: 400 },
      ...{ appliedPerMinuteMin, faultsPerMinuteMin: 0, faults: [], keepsMarks: true },
    });
    const onProgress = (): void => undefined;
    const run = await runTorture({
      plan,
      folder,
      faults: [],
      sabotage,
      client: "everhold",
      against: "everhold",
      groupSize: 0,
      serverCount: 0,
      onProgress,
    });
    const verdict: Record<string, unknown> = JSON.parse(run.output);
    return { verdict, exitCode: run.exitCode };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
