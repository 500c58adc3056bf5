import assert from "node:assert/strict";
import { test } from "node:test";

import type { RegisterName } from "./history.ts";
import { Store, type StoreRequest } from "./store.ts";

test("the fenced register refuses who is older than one that it has seen, if only to read", () => {
  const store = new Store();
  assert.equal(store.answer(request("fenced", "write", 5, 1)).isTaken, true);
  assert.deepEqual(store.answer(request("fenced", "read", 7)), { id: 1, isTaken: true, value: 1 });
  assert.deepEqual(store.answer(request("fenced", "write", 5, 2)), {
    id: 1,
    isTaken: false,
    value: 1,
  });
  assert.equal(store.answer(request("fenced", "read", 6)).isTaken, false);
  assert.equal(store.answer(request("fenced", "write", 7, 2)).value, 2);
});

test("the other registers take everything, and each has its own value", () => {
  const store = new Store();
  store.answer(request("fenced", "write", 9, 4));
  store.answer(request("asked", "write", 7, 2));
  store.answer(request("asked", "write", 5, 1));
  assert.equal(store.answer(request("asked", "read", 7)).value, 1);
  assert.equal(store.answer(request("unasked", "read", 7)).value, 0);
});

function request(
  register: RegisterName,
  access: "read" | "write",
  token: number,
  value = 0,
): StoreRequest {
  return { id: 1, register, access, process: 0, token, grant: token, value };
}
