import assert from "node:assert/strict";
import { test } from "node:test";

import { nearestName } from "./nearest-name.ts";

const names = ["name", "data", "acceptors", "journal", "addressSettings"];

test("a wrong, missing, added or swapped letter is forgiven", () => {
  assert.equal(nearestName("jurnal", names), "journal");
  assert.equal(nearestName("acceptor", names), "acceptors");
  assert.equal(nearestName("adressSetings", names), "addressSettings");
  assert.equal(nearestName("dtaa", names), "data");
  assert.equal(nearestName("NAME", names), "name");
});

test("a name that is like none gets no suggestion", () => {
  assert.equal(nearestName("colour", names), undefined);
  assert.equal(nearestName("x", names), undefined);
});
