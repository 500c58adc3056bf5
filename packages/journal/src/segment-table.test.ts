import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SegmentTable } from "./segment-table.ts";

const sizeBytes = 1_000;

/** Two segments, of which the second is written; one row in the first. */
function tableWithRow(): SegmentTable {
  const table = new SegmentTable();
  table.finishRecovery("memory");
  table.add({ base: 0, sizeBytes, seed: 1, previousEnd: 0 });
  table.add({ base: sizeBytes, sizeBytes, seed: 2, previousEnd: sizeBytes });
  table.retain(100);
  return table;
}

describe("a segment without rows", () => {
  it("is taken once no snapshot needs it", () => {
    const table = tableWithRow();
    table.release(100, 1_500);
    assert.equal(table.takeDead(sizeBytes - 1, 2_000), undefined);
    table.mayHaveDead = true;
    assert.equal(table.takeDead(sizeBytes, 2_000)?.base, 0);
    assert.equal(table.takeDead(sizeBytes, 2_000), undefined);
    assert.equal(table.mayHaveDead, false);
  });

  it("stays until it is committed that its last row went, for a crash would bring the row back", () => {
    const table = tableWithRow();
    table.release(100, 1_500);
    assert.equal(table.takeDead(sizeBytes, 1_400), undefined);
    assert.equal(table.mayHaveDead, true);
    assert.equal(table.takeDead(sizeBytes, 1_500)?.base, 0);
  });

  it("stays when it has got a row again meanwhile", () => {
    const table = tableWithRow();
    table.release(100, 1_500);
    table.retain(200);
    assert.equal(table.takeDead(sizeBytes, 2_000), undefined);
    table.release(200, 2_500);
    assert.equal(table.takeDead(sizeBytes, 2_000), undefined);
    assert.equal(table.takeDead(sizeBytes, 2_500)?.base, 0);
  });
});
