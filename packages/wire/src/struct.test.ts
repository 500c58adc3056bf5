import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex } from "@everhold/test-world";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { bytesMax, bytesMin, notationOf, type ValueOf } from "./field.ts";
import {
  blob,
  bytes,
  counter,
  f64,
  flag,
  list,
  long,
  nullable,
  simpleString,
  string,
  u16,
  u32,
  u8,
} from "./fields.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { readValue, struct, when, writeValue } from "./struct.ts";
import { valueOf } from "./testing/arbitraries.test-support.ts";

/** A record as the journal might define it. */
const queueRecord = struct({
  id: u32,
  name: simpleString(100),
  filter: nullable(string(200)),
  durable: flag,
  offset: counter,
  weight: f64,
  raw: long,
  key: bytes(16),
  limit: when("durable", true, u16),
  members: list(struct({ kind: u8, payload: blob(64) }), 10),
});
type QueueRecord = ValueOf<typeof queueRecord>;

function encode(value: QueueRecord): Uint8Array {
  const writer = new ByteWriter();
  writeValue(queueRecord, writer, value);
  return writer.toBytes();
}

function decode(input: Uint8Array): QueueRecord {
  return readValue(queueRecord, new ByteReader(input, { strict: true }), "queue record");
}

test("a record of our own survives strict reading, within the size it promises", () => {
  fc.assert(
    fc.property(valueOf(queueRecord, 0), (value) => {
      const encoded = encode(value);
      assert.deepEqual(decode(encoded), value);
      assert.ok(encoded.length >= bytesMin(queueRecord.shape, 0));
      assert.ok(encoded.length <= bytesMax(queueRecord.shape, 0));
    }),
  );
});

test("whatever strict reading accepts is written with the same bytes", () => {
  fc.assert(
    fc.property(
      valueOf(queueRecord, 0),
      fc.nat(),
      fc.integer({ min: 0, max: 255 }),
      (value, at, byte) => {
        const encoded = encode(value);
        encoded[at % encoded.length] = byte;
        let decoded: QueueRecord;
        try {
          decoded = decode(encoded);
        } catch {
          return;
        }
        // Float bits are excepted: a NaN has many forms.
        if (!Number.isNaN(decoded.weight)) assert.deepEqual(encode(decoded), encoded);
      },
    ),
  );
});

test("a record that is cut short anywhere is refused", () => {
  fc.assert(
    fc.property(valueOf(queueRecord, 0), (value) => {
      const encoded = encode(value);
      for (let length = 0; length < encoded.length; length += 1) {
        assert.throws(() => decode(encoded.slice(0, length)), { code: "EVH_PROTOCOL" });
      }
    }),
    { numRuns: 20 },
  );
});

test("strict reading refuses trailing bytes, odd booleans and counters beyond 2^53 - 1", () => {
  const small = struct({ on: flag, at: counter });
  const strict = (hex: string): unknown =>
    readValue(small, new ByteReader(fromHex(hex), { strict: true }), "small");
  assert.deepEqual(strict("01 0000000000000005"), { on: true, at: 5 });
  assert.throws(() => strict("01 0000000000000005 00"), {
    code: "EVH_PROTOCOL",
    message: "cannot read small: found 1 bytes after its end, expected none",
  });
  assert.throws(() => strict("02 0000000000000005"), {
    code: "EVH_PROTOCOL",
    message: "on: cannot read boolean at byte 0: found 2, expected 0 or 1",
  });
  assert.throws(() => strict("01 0020000000000000"), {
    code: "EVH_PROTOCOL",
    message:
      "at: cannot read i64 at byte 1: found 9007199254740992, expected at most 2^53 - 1 either way",
  });
  assert.throws(() => strict("01 ffffffffffffffff"), { code: "EVH_PROTOCOL" });
});

test("lenient reading takes any non-zero byte for true and ignores what follows", () => {
  const small = struct({ on: flag });
  assert.deepEqual(readValue(small, new ByteReader(fromHex("7f ff")), "small"), { on: true });
});

test("values that do not fit their field are not written", () => {
  const writer = new ByteWriter();
  assert.throws(() => writeValue(u8, writer, 256), RangeError);
  assert.throws(() => writeValue(u16, writer, -1), RangeError);
  assert.throws(() => writeValue(u32, writer, 1.5), RangeError);
  assert.throws(() => writeValue(counter, writer, 2 ** 53), RangeError);
  assert.throws(() => writeValue(simpleString(2), writer, "abc"), RangeError);
  assert.throws(() => writeValue(blob(2), writer, new Uint8Array(3)), RangeError);
  assert.throws(() => writeValue(bytes(2), writer, new Uint8Array(1)), RangeError);
  assert.throws(() => writeValue(list(u8, 1), writer, [1, 2]), RangeError);
  const gated = struct({ on: flag, extra: when("on", true, u8) });
  assert.throws(() => writeValue(gated, writer, { on: true, extra: null }), RangeError);
  assert.throws(() => writeValue(gated, writer, { on: false, extra: 1 }), RangeError);
});

test("a list cannot claim more items than its bytes can hold", () => {
  const names = list(simpleString(100), 1_000_000);
  assert.throws(
    () => readValue(names, new ByteReader(fromHex("000f4240 00000000 00000000")), "names"),
    {
      code: "EVH_PROTOCOL",
      message: "cannot read list at byte 0: found length 1000000, but only 8 bytes follow",
    },
  );
});

test("the fingerprint changes with type, name, order and limit", () => {
  const prints = [
    struct({ a: u8, b: u16 }),
    struct({ a: u8, b: u32 }),
    struct({ b: u16, a: u8 }),
    struct({ a: u8, c: u16 }),
    struct({ a: simpleString(1) }),
    struct({ a: simpleString(2) }),
  ].map((one) => fingerprintOf(one.shape));
  assert.equal(new Set(prints).size, prints.length);
  assert.equal(fingerprintOf(struct({ a: u8 }).shape), fingerprintOf(struct({ a: u8 }).shape));
  assert.equal(notationOf(struct({ a: u8, b: nullable(flag) }).shape), "{a: u8, b: flag?}");
});
