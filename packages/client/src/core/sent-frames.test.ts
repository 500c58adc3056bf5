import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SentFrames } from "./sent-frames.ts";

/** A frame of so many bytes, which says its own length, and a number. */
function frame(bytes: number, number: number): Uint8Array {
  const result = new Uint8Array(bytes).fill(number & 0xff);
  new DataView(result.buffer).setUint32(0, bytes - 4);
  return result;
}

test("frames that nobody confirmed are there, in order, whatever came between", () => {
  const step = fc.oneof(
    fc.record({ bytes: fc.integer({ min: 13, max: 400 }) }),
    fc.record({ confirm: fc.integer({ min: 0, max: 12 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const sent = new SentFrames(2_000);
      const model: Uint8Array[] = [];
      let first = 0;
      for (const [number, one] of steps.entries()) {
        if ("bytes" in one) {
          const added = frame(one.bytes, number);
          const padded = new Uint8Array(one.bytes + 7);
          padded.set(added, 3);
          sent.add(padded, 3, 3 + one.bytes);
          model.push(added);
          const total = (): number => model.reduce((sum, { length }) => sum + length, 0);
          while (total() > 2_000) {
            model.shift();
            first += 1;
          }
        } else {
          const id = first - 2 + one.confirm;
          sent.confirm(id);
          if (id >= first + model.length) {
            model.length = 0;
            first = id + 1;
          } else {
            while (first <= id) {
              model.shift();
              first += 1;
            }
          }
        }
        assert.equal(sent.count, model.length);
        assert.deepEqual(
          [...sent.frames()].map((kept) => Buffer.from(kept)),
          model.map((kept) => Buffer.from(kept)),
        );
        assert.equal(sent.canFollow(first - 1), true);
        assert.equal(sent.canFollow(first - 2), false);
        assert.equal(sent.canFollow(first + model.length - 1), true);
        assert.equal(sent.canFollow(first + model.length), false);
      }
    }),
  );
});
