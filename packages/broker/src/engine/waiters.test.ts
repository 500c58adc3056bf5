import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { Waiters, type Answer, type Waiting } from "./waiters.ts";

class Recorder implements Waiting {
  readonly settled: number[] = [];

  settle(correlation: number, _answer: Answer, _countedBytes: number): void {
    this.settled.push(correlation);
  }
}

test("waiters are settled in the order in which they came, up to the commit position", () => {
  const waiters = new Waiters();
  const recorder = new Recorder();
  for (const [position, correlation] of [
    [100, 1],
    [200, 2],
    [300, 3],
  ] as const) {
    waiters.push(position, recorder, correlation, true, 0);
  }
  waiters.drain(199);
  assert.deepEqual(recorder.settled, [1]);
  waiters.drain(300);
  assert.deepEqual(recorder.settled, [1, 2, 3]);
  assert.equal(waiters.count, 0);
});

test("a waiter for an earlier position does not overtake one that came before it", () => {
  const waiters = new Waiters();
  const recorder = new Recorder();
  waiters.push(200, recorder, 1, true, 0);
  waiters.push(0, recorder, 2, true, 0);
  waiters.drain(199);
  assert.deepEqual(recorder.settled, []);
  waiters.drain(200);
  assert.deepEqual(recorder.settled, [1, 2]);
});

test("any mix of pushes and drains behaves as a plain list", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push" as const), by: fc.nat(50), times: fc.nat(3000) }),
    fc.record({ kind: fc.constant("drain" as const), by: fc.nat(2000), times: fc.constant(1) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const waiters = new Waiters();
      const recorder = new Recorder();
      const expected: number[] = [];
      const model: { position: number; correlation: number }[] = [];
      let end = 0;
      let commit = 0;
      let correlation = 0;
      for (const { kind, by, times } of steps) {
        for (let time = 0; time < times; time += 1) {
          if (kind === "push") {
            end += by;
            correlation += 1;
            waiters.push(end, recorder, correlation, true, 0);
            model.push({ position: end, correlation });
          } else {
            commit = Math.min(end, commit + by);
            waiters.drain(commit);
            while ((model[0]?.position ?? Infinity) <= commit) {
              expected.push(model.shift()?.correlation ?? 0);
            }
          }
        }
      }
      assert.deepEqual(recorder.settled, expected);
      assert.equal(waiters.count, model.length);
    }),
    { numRuns: 50 },
  );
});
