import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ProducerMarks } from "./producer-marks.ts";
import { judgeSequence, type ProducerVerdict } from "./producer-verdict.ts";
import { stateLimits } from "./state-limits.ts";

function idOf(number: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(4, number);
  return id;
}

describe("judgeSequence", () => {
  /** The rule once more, in other words: what is asked first decides. */
  function expected(
    isKnown: boolean,
    epoch: "lower" | "same" | "higher",
    distance: number,
    sequence: number,
    wasRefused: boolean,
  ): ProducerVerdict {
    if (isKnown && epoch === "lower") return "fenced";
    if (sequence < 1) return "gap";
    if (!isKnown) return sequence === 1 ? "new" : "unknown";
    if (epoch === "higher") return sequence === 1 ? "new" : "gap";
    if (distance === 1) return "new";
    if (distance > 1) return "gap";
    return wasRefused ? "repeat-refused" : "repeat-applied";
  }

  it("decides every combination as the table says", () => {
    let count = 0;
    for (const isKnown of [true, false]) {
      for (const epoch of ["lower", "same", "higher"] as const) {
        for (const lastSequence of [0, 1, 2, 7]) {
          for (let sequence = -1; sequence <= lastSequence + 3; sequence += 1) {
            for (const wasRefused of [true, false]) {
              const knownEpoch = 5;
              const verdict = judgeSequence({
                isKnown,
                knownEpoch,
                lastSequence,
                wasRefused,
                epoch: { lower: 4, same: 5, higher: 6 }[epoch],
                sequence,
              });
              const distance = sequence - lastSequence;
              const wanted = expected(isKnown, epoch, distance, sequence, wasRefused);
              assert.equal(verdict, wanted, `${isKnown} ${epoch} ${lastSequence} ${sequence}`);
              count += 1;
            }
          }
        }
      }
    }
    assert.equal(count, 360);
  });
});

describe("ProducerMarks", () => {
  it("answers a repeat with its own outcome and the position to wait for", () => {
    const marks = new ProducerMarks();
    const id = idOf(1);
    assert.equal(marks.judge(id, 0, 1, 1), "new");
    marks.advance(id, 0, 1, 1, 100);
    marks.refuse(marks.advance(id, 0, 1, 3, 200), 2, 3, "EVH_ADDRESS_FULL");
    marks.advance(id, 0, 1, 4, 300);
    assert.equal(marks.judge(id, 0, 1, 1), "repeat-applied");
    assert.equal(marks.judge(id, 0, 1, 2), "repeat-refused");
    assert.equal(marks.verdictCode, "EVH_ADDRESS_FULL");
    assert.equal(marks.verdictPosition, 300);
    assert.equal(marks.judge(id, 0, 1, 3), "repeat-refused");
    assert.equal(marks.judge(id, 0, 1, 4), "repeat-applied");
    assert.equal(marks.judge(id, 0, 1, 5), "new");
    assert.equal(marks.judge(id, 0, 1, 6), "gap");
    assert.equal(marks.judge(id, 0, 0, 5), "fenced");
    assert.equal(marks.judge(idOf(2), 0, 1, 5), "unknown");
  });

  it("starts anew with a higher epoch and forgets the refusals of the old one", () => {
    const marks = new ProducerMarks();
    const id = idOf(1);
    marks.refuse(marks.advance(id, 0, 1, 9, 100), 1, 9, "EVH_REJECTED");
    const slot = marks.advance(id, 0, 2, 1, 200);
    assert.equal(marks.lastSequenceOf(slot), 1);
    assert.deepEqual(marks.refusalsOf(slot), []);
    assert.equal(marks.judge(id, 0, 2, 1), "repeat-applied");
  });

  it("stays with the newest incarnation when a transaction of an older one is decided late", () => {
    const marks = new ProducerMarks();
    const id = idOf(1);
    marks.advance(id, 0, 2, 1, 100);
    marks.advance(id, 0, 1, 9, 200);
    marks.revoke({ id, epoch: 1, first: 1, last: 1 }, 300);
    assert.equal(marks.judge(id, 0, 2, 1), "repeat-applied");
    assert.equal(marks.judge(id, 0, 2, 2), "new");
    assert.equal(marks.judge(id, 0, 1, 10), "fenced");
  });

  it("refuses what was rolled back late, and nothing that others did before and since", () => {
    const marks = new ProducerMarks();
    const id = idOf(1);
    const slot = marks.advance(id, 0, 1, 2, 100);
    marks.refuse(slot, 2, 2, "EVH_SECURITY");
    marks.advance(id, 0, 1, 6, 200);
    marks.advance(id, 0, 1, 8, 300);
    marks.refuse(slot, 8, 8, "EVH_TRANSACTION_ROLLED_BACK");
    marks.revoke({ id, epoch: 1, first: 3, last: 5 }, 400);
    marks.revoke({ id, epoch: 1, first: 7, last: 20 }, 500);
    assert.deepEqual(marks.refusalsOf(slot), [
      { first: 2, last: 2, code: "EVH_SECURITY" },
      { first: 3, last: 5, code: "EVH_TRANSACTION_ROLLED_BACK" },
      { first: 7, last: 8, code: "EVH_TRANSACTION_ROLLED_BACK" },
    ]);
    assert.equal(marks.judge(id, 0, 1, 6), "repeat-applied");
    assert.equal(marks.judge(id, 0, 1, 9), "new");
    assert.equal(marks.positionOf(slot), 500);
    marks.assertInvariants();
    marks.revoke({ id: idOf(2), epoch: 1, first: 1, last: 1 }, 600);
    assert.equal(marks.find(idOf(2), 0), -1);
  });

  it("remembers a bounded number of refusals, joining those that follow each other", () => {
    const marks = new ProducerMarks();
    const id = idOf(1);
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const slot = marks.advance(id, 0, 1, sequence, sequence);
      marks.refuse(slot, sequence, sequence, "EVH_SECURITY");
      assert.equal(marks.refusalsOf(slot).length, 1);
    }
    const max = stateLimits.refusalsPerProducerMax;
    for (let sequence = 12; sequence <= 12 + max * 2; sequence += 2) {
      const slot = marks.advance(id, 0, 1, sequence, sequence);
      marks.refuse(slot, sequence, sequence, "EVH_SECURITY");
    }
    const slot = marks.find(id, 0);
    assert.equal(marks.refusalsOf(slot).length, max);
    assert.equal(marks.refusalOf(slot, 5), undefined);
    marks.assertInvariants();
  });

  it("finds and forgets producers as a map does", () => {
    const change = fc.tuple(fc.integer({ min: 0, max: 300 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(change, { maxLength: 800 }), (changes) => {
        const marks = new ProducerMarks();
        const model = new Map<number, number>();
        for (const [number, isAdded] of changes) {
          const id = idOf(number);
          const slot = marks.find(id, 0);
          assert.equal(slot >= 0, model.has(number));
          if (isAdded) {
            const last = (model.get(number) ?? 0) + 1;
            model.set(number, last);
            marks.advance(id, 0, 1, last, last);
          } else if (slot >= 0) {
            marks.forget(slot);
            model.delete(number);
          }
        }
        marks.assertInvariants();
        assert.equal(marks.count, model.size);
        for (const [number, last] of model) {
          assert.equal(marks.lastSequenceOf(marks.find(idOf(number), 0)), last);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("names those that are idle for longest", () => {
    const marks = new ProducerMarks();
    for (let number = 0; number < 100; number += 1) {
      marks.advance(idOf(number), 0, 1, 1, 1000 - number);
    }
    const slots = marks.idle(950, 3);
    assert.deepEqual(
      slots.map((slot) => marks.positionOf(slot)),
      [901, 902, 903],
    );
    assert.equal(marks.idle(901, 10).length, 0);
  });
});
