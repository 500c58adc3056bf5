import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";

test("integers are written big-endian and read back", () => {
  const writer = new ByteWriter(1);
  writer.u8(0xfe);
  writer.i8(-2);
  writer.u16(0x0102);
  writer.i16(-2);
  writer.u32(0x01020304);
  writer.i32(-2);
  writer.i64(-2);
  writer.i64(0x1_0000_0002);
  writer.f32(1.5);
  writer.f64(-0.1);
  assert.equal(
    toHex(writer.written()),
    "fefe0102fffe01020304fffffffefffffffffffffffe00000001000000023fc00000bfb999999999999a",
  );
  const reader = new ByteReader(writer.toBytes());
  assert.deepEqual(
    [reader.u8(), reader.i8(), reader.u16(), reader.i16(), reader.u32(), reader.i32()],
    [0xfe, -2, 0x0102, -2, 0x01020304, -2],
  );
  assert.deepEqual([reader.i64(), reader.i64()], [-2, 0x1_0000_0002]);
  assert.deepEqual([reader.f32(), reader.f64(), reader.remaining], [1.5, -0.1, 0]);
});

test("every safe integer survives 64 bits, and matches the bigint form", () => {
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => {
      const writer = new ByteWriter();
      writer.i64(value);
      const reader = new ByteReader(writer.toBytes());
      assert.equal(reader.i64(), value);
      reader.offset = 0;
      assert.equal(reader.i64Big(), BigInt(value));
    }),
  );
});

test("integers beyond 2^53 - 1 are refused, or saturated where asked", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
      fc.boolean(),
      (size, negative) => {
        const value = negative ? -size : size;
        const writer = new ByteWriter();
        writer.i64Big(value);
        const reader = new ByteReader(writer.toBytes());
        assert.throws(
          () => reader.i64(),
          (error) => EverholdError.is(error, "EVH_PROTOCOL"),
        );
        reader.offset = 0;
        assert.equal(
          reader.i64Saturated(),
          negative ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER,
        );
      },
    ),
  );
});

test("a read past the end says what was found and what was expected", () => {
  const reader = new ByteReader(fromHex("000102"));
  assert.throws(() => reader.u32(), {
    code: "EVH_PROTOCOL",
    message: "cannot read u32 at byte 0: found 3 bytes, expected 4",
  });
  assert.equal(reader.u16(), 1);
  assert.throws(() => reader.i64(), {
    code: "EVH_PROTOCOL",
    message: "cannot read i64 at byte 2: found 1 bytes, expected 8",
  });
});

test("a length that lies is refused before anything is allocated", () => {
  const lengths = (hex: string): number => new ByteReader(fromHex(hex)).length(1000, 4, "list");
  assert.equal(lengths("00000001 00000000"), 1);
  assert.throws(() => lengths("ffffffff"), {
    code: "EVH_PROTOCOL",
    message: "cannot read the length of list at byte 0: found -1, expected 0 or more",
  });
  assert.throws(() => lengths("000003e9"), {
    code: "EVH_FRAME_TOO_LARGE",
    message: "cannot read list at byte 0: found length 1001, the limit is 1000",
  });
  assert.throws(() => lengths("00000002 00000000"), {
    code: "EVH_PROTOCOL",
    message: "cannot read list at byte 0: found length 2, but only 4 bytes follow",
  });
});

test("a reader looks only at its range", () => {
  const bytes = fromHex("aa 0102 bb");
  const reader = new ByteReader(bytes);
  reader.reset(bytes, new DataView(bytes.buffer), 1, 3);
  assert.equal(reader.u16(), 0x0102);
  assert.throws(() => reader.u8(), { code: "EVH_PROTOCOL" });
});

test("a slice shares the bytes and a copy does not", () => {
  const bytes = fromHex("0102");
  const shared = new ByteReader(bytes).slice(2, "bytes");
  const copied = new ByteReader(bytes).copy(2, "bytes");
  bytes[0] = 9;
  assert.deepEqual([shared[0], copied[0]], [9, 1]);
});

test("raw bytes are copied by loop and by set alike", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(200),
      fc.nat(200),
      (bytes, left, right) => {
        const start = Math.min(left, right, bytes.length);
        const end = Math.min(Math.max(left, right), bytes.length);
        const writer = new ByteWriter(1);
        writer.u8(7);
        writer.raw(bytes, start, end);
        assert.deepEqual(writer.toBytes(), Uint8Array.from([7, ...bytes.subarray(start, end)]));
      },
    ),
  );
});

test("a writer patches, forgets, and writes into a buffer that it is given", () => {
  const writer = new ByteWriter(4);
  const start = writer.reserve(4);
  writer.i64(1);
  writer.patchU32(start, writer.offset);
  writer.patchI64(4, -1);
  assert.equal(toHex(writer.written()), "0000000cffffffffffffffff");
  writer.clear();
  writer.u8(1);
  assert.equal(toHex(writer.toBytes()), "01");
  const given = new Uint8Array(new ArrayBuffer(8), 4, 2);
  writer.attach(given);
  writer.u16(0x0a0b);
  assert.deepEqual([...given], [10, 11]);
  writer.u8(0x0c);
  assert.equal(toHex(writer.toBytes()), "0a0b0c");
});
