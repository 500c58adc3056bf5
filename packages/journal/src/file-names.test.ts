import { strict as assert } from "node:assert";
import { test } from "node:test";
import { fileRole, segmentName, snapshotName, spareName } from "./file-names.ts";

test("names say position and role, and are read back", () => {
  for (const position of [0, 4096, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER]) {
    assert.deepEqual(fileRole(segmentName(position)), { role: "segment", position });
    assert.deepEqual(fileRole(snapshotName(position)), { role: "snapshot", position });
  }
  assert.deepEqual(fileRole(spareName(12)), { role: "spare", ordinal: 12 });
});

test("names sort as their positions do", () => {
  const names = [2 ** 45, 3, 2 ** 20].map(segmentName);
  assert.deepEqual(names.toSorted(), [3, 2 ** 20, 2 ** 45].map(segmentName));
});

test("what only resembles our names is told from what is foreign", () => {
  for (const name of [
    "0.journal",
    "00000000000000zz.journal",
    "ffffffffffffffff.journal",
    "a.index",
  ]) {
    assert.equal(fileRole(name).role, "misnamed");
  }
  for (const name of ["lock", "notes.txt", "spare-x.segment"]) {
    assert.equal(fileRole(name).role, "other");
  }
});
