import assert from "node:assert/strict";
import { test } from "node:test";

import fc from "fast-check";

import { limits } from "../limits.ts";
import { nullAnswer, ResendCache } from "./resend-cache.ts";
import { ResendRoom } from "./resend-room.ts";

const mebibyte = 1024 * 1024;

function frameOf(length: number): Uint8Array {
  return new Uint8Array(length);
}

test("a resend cache has what was not confirmed, in order", () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 100 }) }),
    fc.record({ confirm: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ answers: fc.integer({ min: 1, max: 30 }) }),
    fc.constant({ trim: true }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const room = new ResendRoom(mebibyte);
      const cache = new ResendCache(room);
      const model: (Uint8Array | number)[] = [];
      let confirmed = 0;
      for (const one of steps) {
        if ("add" in one) {
          const frame = frameOf(one.add);
          cache.add(frame);
          model.push(frame);
        } else if ("answers" in one) {
          for (let number = 0; number < one.answers; number += 1) {
            cache.addNull(number);
            model.push(number);
          }
        } else if ("confirm" in one) {
          const count = Math.min(one.confirm, model.length);
          confirmed += count;
          assert.equal(cache.confirm(confirmed - 1), true);
          model.splice(0, count);
        } else cache.trim();
        assert.equal(cache.count, model.length);
        model.forEach((expected, index) => {
          const isAnswer = typeof expected === "number";
          assert.equal(cache.frameAt(index), isAnswer ? nullAnswer : expected);
          assert.equal(cache.numberAt(index), isAnswer ? expected : 0);
        });
      }
      cache.drop();
      assert.equal(room.bytes, 0);
      assert.equal(cache.bytes, 0);
    }),
  );
});

test("a resend cache refuses the confirmation of what was never sent", () => {
  const cache = new ResendCache(new ResendRoom(mebibyte));
  for (let number = 0; number < 4; number += 1) cache.addNull(number);
  assert.equal(cache.confirm(1), true);
  assert.equal(cache.confirm(4), false);
  assert.equal(cache.count, 2);
});

test("a resend cache loses nothing to a confirmation that comes late, behind a newer one", () => {
  const cache = new ResendCache(new ResendRoom(mebibyte));
  for (let number = 0; number < 6; number += 1) cache.addNull(number);
  assert.equal(cache.confirm(3), true);
  for (const late of [1, -1]) assert.equal(cache.confirm(late), true);
  assert.equal(cache.count, 2);
  assert.equal(cache.numberAt(0), 4);
  assert.equal(cache.confirm(4), true);
  assert.equal(cache.count, 1);
});

test("a resend cache knows whom it can send the rest", () => {
  const cache = new ResendCache(new ResendRoom(mebibyte));
  for (let number = 0; number < 4; number += 1) cache.addNull(number);
  assert.equal(cache.canFollow(-1), true);
  assert.equal(cache.confirm(1), true);
  const ids = [-2, -1, 0, 1, 2, 3, 4];
  assert.deepEqual(
    ids.filter((id) => cache.canFollow(id)),
    [1, 2, 3],
  );
});

test("a resend cache that holds more than a session may is lost, and takes nothing any more", () => {
  const room = new ResendRoom(Infinity);
  const byBytes = new ResendCache(room);
  byBytes.add(frameOf(limits.resendBytesMax));
  const byFrames = new ResendCache(room);
  for (let count = 0; count <= limits.resendFramesMax; count += 1) byFrames.addNull(count);
  for (const cache of [byBytes, byFrames]) {
    assert.equal(cache.isLost, true);
    cache.add(frameOf(10));
    cache.addNull(1);
    assert.equal(cache.count, 0);
    assert.equal(cache.bytes, 0);
  }
  assert.equal(room.bytes, 0);
});

test("a session that confirms nothing leaves room for those that do", () => {
  const room = new ResendRoom(mebibyte);
  const small = new ResendCache(room);
  const greedy = new ResendCache(room);
  small.add(frameOf(10_000));
  let most = 0;
  while (!greedy.isLost) {
    greedy.add(frameOf(1_000));
    most = Math.max(most, room.bytes);
    small.add(frameOf(10));
    assert.equal(small.isLost, false);
  }
  assert.ok(most > 0.4 * mebibyte, `it held ${most} bytes`);
  assert.ok(most < 0.6 * mebibyte, `it held ${most} bytes`);
  assert.equal(room.bytes, small.bytes + ringBytes(small));
});

/** Bytes of a cache's rings, which double when they are full. */
function ringBytes({ count }: ResendCache): number {
  return 20 * 2 ** Math.max(4, Math.ceil(Math.log2(count)));
}
