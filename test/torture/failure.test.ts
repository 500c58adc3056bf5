import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { writeFailure } from "./failure.ts";
import { makePlan, writePlan } from "./plan.ts";
import { runProgram } from "./told-process.ts";

test("a run that came to an early end has a verdict, which says why", async () => {
  const folder = mkdtempSync(join(tmpdir(), "everhold-torture-"));
  try {
    writePlan(
      folder,
      makePlan({
        ...{ seed: 1, seconds: 1, clientCount: 8, processCount: 1, rate: 400 },
        ...{ appliedPerMinuteMin: 0, faultsPerMinuteMin: 0, faults: [], keepsMarks: true },
      }),
    );
    writeFailure(folder, new Error("the broker is gone\nand this is its log"));
    const { output, exitCode } = await runProgram("checker.js", [folder]);
    const { ok, failure }: Record<string, unknown> = JSON.parse(output);
    assert.deepEqual({ ok, failure }, { ok: false, failure: "the broker is gone" });
    assert.equal(exitCode, 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
