import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { journalFormatDocument, layouts } from "./journal-format.ts";

test("fields of a layout neither overlap nor leave its bytes", () => {
  for (const { title, totalBytes, fields } of layouts) {
    let end = 0;
    for (const [name, { at, bytes }] of Object.entries<{ at: number; bytes: number }>(fields)) {
      assert.ok(at >= end, `${title}: ${name} begins behind the field before`);
      end = at + bytes;
    }
    assert.ok(end <= totalBytes, `${title}: the last field ends inside`);
  }
});

test("the document lists every field", () => {
  const document = journalFormatDocument();
  for (const { fields } of layouts) {
    for (const name of Object.keys(fields)) assert.ok(document.includes(`| ${name} |`), name);
  }
});

test("the layout is the one that was written down for version 1", () => {
  const golden = readFileSync(new URL("../testdata/journal-format-1.txt", import.meta.url), "utf8");
  assert.equal(journalFormatDocument(), golden);
});
