import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Deque } from "./deque.ts";

type Step = "push" | "unshift" | "shift" | "remove" | "drain";

describe("a deque", () => {
  it("behaves as an array does, whatever is done to it", () => {
    const step = fc.constantFrom<Step>(
      "push",
      "push",
      "push",
      "unshift",
      "shift",
      "remove",
      "drain",
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const deque = new Deque<number>();
        let model: number[] = [];
        for (const [value, what] of steps.entries()) {
          if (what === "push") {
            deque.push(value);
            model.push(value);
          } else if (what === "unshift") {
            deque.unshift(value);
            model.unshift(value);
          } else if (what === "shift") {
            assert.equal(deque.shift(), model.shift());
          } else if (what === "remove") {
            const victim = model[model.length >> 1] ?? -1;
            assert.equal(deque.remove(victim), model.includes(victim));
            model = model.filter((other) => other !== victim);
          } else if (value % 5 === 0) {
            assert.deepEqual(deque.drain(), model);
            model = [];
          }
          assert.equal(deque.length, model.length);
          assert.equal(deque.at(model.length >> 1), model[model.length >> 1]);
          assert.equal(deque.at(model.length), undefined);
        }
        assert.deepEqual(deque.drain(), model);
      }),
    );
  });
});
