import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { Deliveries } from "./deliveries.ts";

test("any mix of deliveries and settlements behaves as a plain list", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), choice: fc.nat(10) }),
    fc.record({ kind: fc.constant("again" as const), choice: fc.nat(1000) }),
    fc.record({ kind: fc.constant("remove" as const), choice: fc.nat(1000) }),
    fc.record({ kind: fc.constant("shift" as const), choice: fc.nat(3) }),
    fc.record({ kind: fc.constant("through" as const), choice: fc.nat(1000) }),
    fc.record({ kind: fc.constant("unknown" as const), choice: fc.nat(1000) }),
    fc.record({ kind: fc.constant("trim" as const), choice: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const deliveries = new Deliveries();
      const model: { messageId: number; key: number }[] = [];
      const gone: number[] = [];
      let nextId = 1;
      let nextKey = 0;
      for (const { kind, choice } of steps) {
        const chosen = model[choice % Math.max(1, model.length)];
        if (kind === "push" || kind === "again") {
          // A redelivery has an id that was there before, and so breaks the order of ids.
          const old = kind === "again" ? gone.pop() : undefined;
          const messageId = old ?? nextId;
          nextId += old === undefined ? 1 + choice : 0;
          deliveries.push(messageId, nextKey);
          model.push({ messageId, key: nextKey });
          nextKey += 1;
        } else if (kind === "remove" && chosen !== undefined) {
          assert.equal(deliveries.remove(chosen.messageId), chosen.key);
          model.splice(model.indexOf(chosen), 1);
          gone.push(chosen.messageId);
        } else if (kind === "trim") {
          deliveries.trim();
        } else if (kind === "shift") {
          const first = model.shift();
          assert.equal(deliveries.shift(), first?.key ?? -1);
          if (first !== undefined) gone.push(first.messageId);
        } else if (kind === "through" && chosen !== undefined) {
          assert.equal(deliveries.countThrough(chosen.messageId), model.indexOf(chosen) + 1);
        } else if (kind === "unknown") {
          assert.equal(deliveries.remove(nextId + choice), -1);
          assert.equal(deliveries.countThrough(-5), 0);
        }
        assert.equal(deliveries.count, model.length);
      }
    }),
    { numRuns: 300 },
  );
});

test("cutting takes out a delivery and all that came after it, those settled in between left out", () => {
  const deliveries = new Deliveries();
  for (let index = 0; index < 40; index += 1) deliveries.push(1000 + index, index);
  for (let index = 0; index < 10; index += 1) deliveries.shift();
  deliveries.remove(1020);
  deliveries.remove(1039);
  assert.deepEqual(deliveries.cutFrom(1005), []);
  assert.deepEqual(deliveries.cutFrom(1020), []);
  assert.deepEqual(
    deliveries.cutFrom(1018),
    [18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38],
  );
  assert.deepEqual([...deliveries.keys()], [10, 11, 12, 13, 14, 15, 16, 17]);
  deliveries.push(2000, 50);
  assert.deepEqual(deliveries.cutFrom(1010), [10, 11, 12, 13, 14, 15, 16, 17, 50]);
  assert.equal(deliveries.count, 0);
});
