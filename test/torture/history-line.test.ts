import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import fc from "fast-check";

import { HistoryFile, readHistory } from "./history-file.ts";
import { formatHistoryLine, parseHistoryLine } from "./history-line.ts";
import { anyEvent } from "./random-history.test-support.ts";

test("every event is read as it was written", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const line = formatHistoryLine(event);
      assert.deepEqual(parseHistoryLine(line.slice(0, -1)), { ...event });
    }),
  );
});

test("a line with too few, too many or wrong numbers is refused", () => {
  for (const line of ["S 1 2 3", "S 1 2 3 4 5", "s 1 2 7", "K 1.5", "K x", "Z", "", "K 1 "]) {
    assert.throws(() => parseHistoryLine(line), /expected a line of a history/, line);
  }
});

test("half a line that a killed process left counts for nothing", () => {
  const folder = mkdtempSync(join(tmpdir(), "everhold-history-"));
  try {
    const path = join(folder, "client.history");
    const file = new HistoryFile(path);
    file.write({ kind: "begin", process: 3 });
    file.close();
    appendFileSync(path, "S 12 3");
    assert.deepEqual(readHistory(path), [{ kind: "begin", process: 3 }]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
