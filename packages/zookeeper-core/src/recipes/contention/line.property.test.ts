import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { lineOf, oneAtATime, type Place } from "./line.ts";

const kinds = ["lock-"];

function nameOf(sequence: number, id: string): string {
  const digits = String(Math.abs(sequence)).padStart(sequence < 0 ? 9 : 10, "0");
  return `_c_${id}-lock-${sequence < 0 ? "-" : ""}${digits}`;
}

test("the line is the order of creation, also where the counter wraps, and in whatever order names come", () => {
  const ids = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(ids, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (all, start) => {
      const created = all.map((id, index) => nameOf((start + index) | 0, id));
      const line = lineOf(created.toSorted(), kinds);
      assert.deepEqual(
        line.map(({ name }) => name),
        created,
      );
    }),
  );
});

test("names of others are not in it", () => {
  const names = ["lock-", "lock-1", "lock-00000000001", "latch-0000000001", "lock-000000000a", "x"];
  assert.deepEqual(lineOf(names, kinds), []);
  assert.equal(lineOf(["lock-0000000001", "other-lock-0000000000"], kinds).length, 2);
});

test("whoever comes and leaves, one has its turn, the first, and who leaves wakes one at most", () => {
  const steps = fc.array(fc.nat({ max: 9 }), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (choices) => {
      let line: Place[] = [];
      let sequence = 0;
      for (const choice of choices) {
        if (choice < 5 || line.length === 0) {
          line.push({ name: `lock-${sequence}`, kind: "lock-", sequence });
          sequence += 1;
        } else {
          const leaving = line[choice % line.length];
          const woken = line.filter((_, index) => oneAtATime(line, index) === leaving);
          assert.ok(woken.length <= 1);
          line = line.filter((place) => place !== leaving);
        }
        const turns = line.filter((_, index) => oneAtATime(line, index) === undefined);
        assert.deepEqual(turns, line.slice(0, 1));
      }
    }),
  );
});
