import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import type { StoreEvent } from "./history.ts";
import { judgeAccesses } from "./judge-accesses.ts";
import { Store } from "./store.ts";

const holderCount = 5;

test("in whatever order holders read and write the fenced register, nothing is interleaved or lost", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(holderCount - 1), { maxLength: 60 }), (order) => {
      const { writes, ...wrong } = judgeAccesses(accessesOf(order), "fenced");
      assert.deepEqual(wrong, { interleavedWrites: 0, lostUpdates: 0, sharedTokens: 0 });
      assert.ok(writes <= order.length);
    }),
  );
});

/** Holders read and write in turns of their own, the next step being that of the next in `order`, late ones included. */
function accessesOf(order: readonly number[]): StoreEvent[] {
  const store = new Store();
  const found = new Map<number, number>();
  return order.map((holder, at) => {
    const token = holder + 1;
    const read = found.get(holder);
    const access = read === undefined ? "read" : "write";
    const to = { register: "fenced", access, process: holder, token, grant: token } as const;
    const { isTaken, value } = store.answer({ id: at, ...to, value: (read ?? 0) + 1 });
    if (access === "write") found.delete(holder);
    else if (isTaken) found.set(holder, value);
    return {
      kind: "access",
      ...to,
      value: access === "write" ? (read ?? 0) + 1 : value,
      isTaken,
      at,
    };
  });
}
