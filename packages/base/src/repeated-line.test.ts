import assert from "node:assert/strict";
import { test } from "node:test";

import { RepeatedLine } from "./repeated-line.ts";

/** A line whose text can be looked at. */
function lineOf(burst: number): { readonly line: RepeatedLine; readonly written: object[] } {
  const written: object[] = [];
  const warn = (message: string, fields: object = {}): void => {
    assert.equal(message, "It happened");
    written.push(fields);
  };
  return { line: new RepeatedLine({ warn }, "It happened", burst), written };
}

test("a thousand times in a second are two lines, the second of which counts", () => {
  const { line, written } = lineOf(1);
  for (let count = 1; count <= 1_000; count += 1) line.note(5_000, { peer: `peer ${count}` });
  assert.deepEqual(written, [{ peer: "peer 1" }]);
  line.flush(5_999);
  assert.equal(written.length, 1);
  line.flush(6_000);
  assert.deepEqual(written[1], { peer: "peer 1000", times: 999 });
  line.flush(7_000);
  assert.equal(written.length, 2);
});

test("what happens once a second is a line each time, however fast it came before", () => {
  const { line, written } = lineOf(1);
  for (let second = 10; second < 20; second += 1) line.note(second * 1_000, { second });
  assert.deepEqual(
    written,
    Array.from({ length: 10 }, (_, index) => ({ second: index + 10 })),
  );
});

test("the first lines of a burst are written in full, and after silence so are the next", () => {
  const { line, written } = lineOf(3);
  for (let count = 0; count < 10; count += 1) line.note(1_000, { count });
  assert.deepEqual(written, [{ count: 0 }, { count: 1 }, { count: 2 }]);
  line.note(60_000, { count: 10 });
  line.note(60_000, { count: 11 });
  assert.deepEqual(written.slice(3), [{ count: 10, times: 8 }, { count: 11 }]);
});
