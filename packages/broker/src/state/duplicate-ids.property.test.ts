import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DuplicateIds } from "./duplicate-ids.ts";
import { stateLimits } from "./state-limits.ts";

const id = fc.oneof(
  fc.uint8Array({ maxLength: 2 }),
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.uint8Array({ minLength: 500, maxLength: stateLimits.duplicateIdBytesMax }),
);

describe("DuplicateIds", () => {
  it("remembers what a list of the newest ids remembers", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(id, { maxLength: 400 }),
        (countMax, ids) => {
          const ring = new DuplicateIds(countMax);
          let model: string[] = [];
          for (const one of ids) {
            const name = one.join();
            assert.equal(ring.has(one, 0, one.length), model.includes(name));
            ring.add(one, 0, one.length);
            if (!model.includes(name)) model = [...model, name].slice(-countMax);
          }
          ring.assertInvariants();
          assert.deepEqual(
            Array.from(ring.ids(), (one) => one.join()),
            model,
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it("holds 20,000 ids, forgets the oldest for the next, and takes little memory for it", () => {
    const ring = new DuplicateIds();
    const bytes = new Uint8Array(72);
    const view = new DataView(bytes.buffer);
    for (let index = 0; index < 50_000; index += 1) {
      view.setUint32(0, index);
      ring.add(bytes, 0, bytes.length);
    }
    assert.equal(ring.count, 20_000);
    view.setUint32(0, 29_999);
    assert.equal(ring.has(bytes, 0, bytes.length), false);
    view.setUint32(0, 30_000);
    assert.equal(ring.has(bytes, 0, bytes.length), true);
    ring.assertInvariants();
  });

  it("finds an id in the middle of other bytes", () => {
    const ring = new DuplicateIds();
    ring.add(Uint8Array.of(9, 1, 2, 3, 9), 1, 4);
    assert.equal(ring.has(Uint8Array.of(1, 2, 3), 0, 3), true);
    assert.equal(ring.has(Uint8Array.of(1, 2, 3), 0, 2), false);
  });

  it("knows an id of no bytes", () => {
    const ring = new DuplicateIds();
    assert.equal(ring.has(new Uint8Array(0), 0, 0), false);
    ring.add(new Uint8Array(0), 0, 0);
    assert.equal(ring.has(new Uint8Array(0), 0, 0), true);
    assert.equal(ring.count, 1);
  });
});
