import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import {
  encodeProducerMark,
  isProducerMark,
  parseProducerMark,
  producerMarkEpoch,
  producerMarkSequence,
  writeProducerMark,
} from "./producer-mark.ts";

const id = fromHex("000102030405060708090a0b0c0d0e0f");
const marks = fc.record(
  {
    id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    epoch: fc.integer({ min: 0, max: 0xffff_ffff }),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  },
  { noNullPrototype: true },
);

test("a mark is magic, id, epoch and sequence in 32 bytes", () => {
  const bytes = encodeProducerMark({ id, epoch: 2, sequence: 0x1_0000_0003 });
  assert.equal(toHex(bytes), "45564831000102030405060708090a0b0c0d0e0f000000020000000100000003");
});

test("any mark survives, wherever it lies", () => {
  fc.assert(
    fc.property(marks, fc.nat(20), (mark, before) => {
      const bytes = new Uint8Array(before + 40);
      writeProducerMark(bytes, before, mark);
      assert.deepEqual(parseProducerMark(bytes, before, before + 32), mark);
      const view = new DataView(bytes.buffer);
      assert.ok(isProducerMark(view, before, before + 32));
      assert.equal(producerMarkEpoch(view, before), mark.epoch);
      assert.equal(producerMarkSequence(view, before), mark.sequence);
    }),
  );
});

test("an application's own duplicate id is not a mark", () => {
  const bytes = encodeProducerMark({ id, epoch: 0, sequence: 1 });
  assert.equal(parseProducerMark(bytes, 0, 31), undefined);
  assert.equal(parseProducerMark(new Uint8Array(0)), undefined);
  bytes[3] = 0x32;
  assert.equal(parseProducerMark(bytes), undefined);
});

test("a mark whose sequence is 0 or beyond 2^53 - 1 is refused", () => {
  for (const sequence of ["0000000000000000", "0020000000000000", "ffffffffffffffff"]) {
    const bytes = fromHex(`45564831 ${toHex(id)} 00000000 ${sequence}`);
    assert.throws(() => parseProducerMark(bytes), { code: "EVH_PROTOCOL" });
  }
});

test("a mark that is not valid is not written", () => {
  assert.throws(
    () => encodeProducerMark({ id: new Uint8Array(15), epoch: 0, sequence: 1 }),
    RangeError,
  );
  assert.throws(() => encodeProducerMark({ id, epoch: -1, sequence: 1 }), RangeError);
  assert.throws(() => encodeProducerMark({ id, epoch: 0, sequence: 0 }), RangeError);
  assert.throws(() => encodeProducerMark({ id, epoch: 0, sequence: 2 ** 53 }), RangeError);
});
