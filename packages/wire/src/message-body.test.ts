import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import { ByteReader } from "./byte-reader.ts";
import {
  decodeMapBody,
  decodeObjectBody,
  decodeStreamBody,
  decodeTextBody,
  encodeMapBody,
  encodeObjectBody,
  encodeStreamBody,
  encodeTextBody,
} from "./message-body.ts";
import { properties, text, typedValue } from "./testing/arbitraries.test-support.ts";
import { propertiesBytes, readProperties, type TypedValue } from "./typed-properties.ts";

test("properties have the bytes that Artemis gives them", () => {
  const map = new Map<string, TypedValue>([
    ["k", { type: "string", value: "v" }],
    ["b", { type: "boolean", value: true }],
  ]);
  const bytes = "01 00000002 00000002 6b00 0a 00000002 7600 00000002 6200 02 01";
  assert.equal(toHex(encodeMapBody(map)), bytes.replaceAll(" ", ""));
  assert.deepEqual(readProperties(new ByteReader(fromHex(bytes))), map);
  assert.equal(toHex(encodeMapBody(new Map())), "00");
});

test("any properties survive, and have the size that was told", () => {
  fc.assert(
    fc.property(properties, (map) => {
      const body = encodeMapBody(map);
      assert.deepEqual(decodeMapBody(body), map);
      assert.equal(propertiesBytes(map), body.length);
    }),
  );
});

test("any text body survives, null included", () => {
  fc.assert(
    fc.property(fc.option(text(5000)), (value) => {
      assert.equal(decodeTextBody(encodeTextBody(value)), value);
    }),
  );
  assert.equal(toHex(encodeTextBody("hi")), "010000000468006900");
  assert.equal(toHex(encodeTextBody(null)), "00");
  assert.equal(decodeTextBody(new Uint8Array(0)), null);
});

test("any stream body survives", () => {
  fc.assert(
    fc.property(fc.array(typedValue, { maxLength: 8 }), (values) => {
      assert.deepEqual(decodeStreamBody(encodeStreamBody(values)), values);
    }),
  );
  const values: TypedValue[] = [
    { type: "boolean", value: true },
    { type: "string", value: "ab" },
  ];
  assert.equal(toHex(encodeStreamBody(values)), "02ff0a010000000200610062");
  assert.deepEqual(decodeStreamBody(fromHex("0a00")), [{ type: "null", value: null }]);
  assert.equal(toHex(encodeStreamBody([{ type: "null", value: null }])), "0a00");
});

test("an object body keeps its bytes", () => {
  assert.equal(toHex(encodeObjectBody(fromHex("aced"))), "00000002aced");
  assert.deepEqual(decodeObjectBody(fromHex("00000002aced")), fromHex("aced"));
  assert.equal(encodeObjectBody(null).length, 0);
  assert.equal(decodeObjectBody(new Uint8Array(0)), null);
});

test("a body that is not of the kind asked for gives EVH_MESSAGE_FORMAT", () => {
  assert.throws(() => decodeTextBody(fromHex("01 00000008 6100")), {
    code: "EVH_MESSAGE_FORMAT",
    message:
      "cannot read the body as text: cannot read SimpleString at byte 1: found length 8, but only 2 bytes follow",
  });
  assert.throws(() => decodeMapBody(fromHex("01 7fffffff")), { code: "EVH_MESSAGE_FORMAT" });
  assert.throws(() => decodeStreamBody(fromHex("01")), { code: "EVH_MESSAGE_FORMAT" });
  assert.throws(() => decodeObjectBody(fromHex("00000009 00")), { code: "EVH_MESSAGE_FORMAT" });
});

test("a value outside its type is not written", () => {
  const refused: TypedValue[] = [
    { type: "byte", value: 128 },
    { type: "short", value: -32769 },
    { type: "int", value: 2 ** 31 },
    { type: "int", value: 0.5 },
    { type: "long", value: 2 ** 53 },
    { type: "long", value: 2n ** 63n },
    { type: "char", value: "ab" },
    { type: "char", value: "" },
  ];
  for (const value of refused) {
    assert.throws(() => encodeMapBody(new Map([["k", value]])), RangeError);
  }
});

test("a long is a number where that is exact and a bigint beyond", () => {
  const read = (hex: string): unknown => decodeStreamBody(fromHex(`07 ${hex}`))[0]?.value;
  assert.equal(read("001fffffffffffff"), Number.MAX_SAFE_INTEGER);
  assert.equal(read("0020000000000000"), 2n ** 53n);
  assert.equal(read("ffe0000000000001"), Number.MIN_SAFE_INTEGER);
  assert.equal(read("ffe0000000000000"), -(2n ** 53n));
});
