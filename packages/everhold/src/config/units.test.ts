import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { parseDurationMs, parseSizeBytes } from "./units.ts";

test("sizes know decimal and binary units, in any case", () => {
  assert.equal(parseSizeBytes("128MiB"), 134_217_728);
  assert.equal(parseSizeBytes("128 mib"), 134_217_728);
  assert.equal(parseSizeBytes("10MB"), 10_000_000);
  assert.equal(parseSizeBytes("1.5KiB"), 1_536);
  assert.equal(parseSizeBytes("1TiB"), 1_099_511_627_776);
  assert.equal(parseSizeBytes("1.5TB"), 1_500_000_000_000);
  assert.equal(parseSizeBytes("512"), 512);
  assert.equal(parseSizeBytes("512B"), 512);
});

test("durations know milliseconds to days", () => {
  assert.equal(parseDurationMs("250ms"), 250);
  assert.equal(parseDurationMs("5s"), 5_000);
  assert.equal(parseDurationMs("1.5h"), 5_400_000);
  assert.equal(parseDurationMs("2m"), 120_000);
  assert.equal(parseDurationMs("1d"), 86_400_000);
});

test("what is no quantity is not guessed", () => {
  for (const text of [
    "",
    "MiB",
    "-1KiB",
    "1e3",
    "1.0001KiB",
    "9007199254740993",
    "1 2",
    "5 lightyears",
  ]) {
    assert.equal(parseSizeBytes(text), undefined, text);
  }
  assert.equal(parseDurationMs("5MiB"), undefined);
});

test("any text is either a safe quantity or none", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const bytes = parseSizeBytes(text);
      assert.ok(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0));
    }),
  );
});
