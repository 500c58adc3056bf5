import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseSeeds } from "./runner.ts";

describe("the file of seeds", () => {
  it("has one seed a line, and comments", () => {
    assert.deepEqual(parseSeeds("# why\n\n12 # lost a message\n7\n"), [12, 7]);
  });

  it("holds seeds only", () => {
    const text = readFileSync(new URL("../seeds.txt", import.meta.url), "utf8");
    assert.ok(parseSeeds(text).every((seed) => Number.isSafeInteger(seed)));
  });
});
