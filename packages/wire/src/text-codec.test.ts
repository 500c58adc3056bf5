import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toHex } from "@everhold/test-world";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { text } from "./testing/arbitraries.test-support.ts";
import { testData } from "./testing/golden.test-support.ts";
import {
  decodeSimpleString,
  encodeSimpleString,
  readSimpleString,
  readString,
  readUtf,
  simpleStringBytes,
  writeSimpleString,
  writeString,
  writeUtf,
} from "./text-codec.ts";

const charactersMax = 1_000_000;

test("strings have the bytes that Artemis gives them", () => {
  const lines = testData("strings.txt")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(lines.length, 6);
  for (const line of lines) {
    const [, form, json = "", hex = ""] = /^(\S+) ("[^"]*") (.*)$/.exec(line) ?? [];
    const value: string = JSON.parse(json);
    const writer = new ByteWriter();
    const reader = new ByteReader(fromHex(hex));
    if (form === "S") writeSimpleString(writer, value);
    else writeString(writer, value);
    assert.equal(toHex(writer.written()), hex.replaceAll(" ", ""));
    assert.equal(form === "S" ? readSimpleString(reader, 100) : readString(reader, 100), value);
  }
});

test("a String of 4095 characters carries a second length and little-endian units", () => {
  const writer = new ByteWriter();
  writeString(writer, "x".repeat(4095));
  assert.equal(toHex(writer.written().subarray(0, 12)), "00000fff00001ffe78007800");
  assert.equal(writer.offset, 8 + 2 * 4095);
  const shorter = new ByteWriter();
  writeString(shorter, "x".repeat(4094));
  assert.equal(toHex(shorter.written().subarray(0, 8)), "00000ffe0ffe7878");
});

test("any text survives in every form, lone surrogates and NUL included", () => {
  fc.assert(
    fc.property(text(charactersMax), (value) => {
      for (const strict of [false, true]) {
        const writer = new ByteWriter();
        writeString(writer, value);
        writeSimpleString(writer, value);
        const simpleStart = writer.offset - simpleStringBytes(value);
        const reader = new ByteReader(writer.toBytes(), { strict });
        assert.equal(readString(reader, charactersMax), value);
        assert.equal(reader.offset, simpleStart);
        assert.equal(readSimpleString(reader, charactersMax), value);
        assert.equal(reader.remaining, 0);
      }
      assert.equal(decodeSimpleString(encodeSimpleString(value)), value);
    }),
  );
});

test("an emoji is two surrogates of three bytes each in UTF", () => {
  const writer = new ByteWriter();
  writeUtf(writer, "😀");
  assert.equal(toHex(writer.written()), "0006eda0bdedb880");
});

test("long texts are decoded in parts and joined", () => {
  const value = "é😀ab".repeat(5000);
  const writer = new ByteWriter();
  writeString(writer, value);
  assert.equal(readString(new ByteReader(writer.toBytes()), charactersMax), value);
  const utf = new ByteWriter();
  writeUtf(utf, "é".repeat(5000));
  assert.equal(readUtf(new ByteReader(utf.toBytes())), "é".repeat(5000));
});

test("a text with lone surrogates leaves no trace in the next one", () => {
  for (const odd of ["\ud83d".repeat(100), `${"a".repeat(99)}\ud83d`, `\ude00${"a".repeat(99)}`]) {
    assert.equal(decodeSimpleString(encodeSimpleString(odd)), odd);
    for (const good of ["\ufeff".repeat(100), "😀".repeat(50), "a".repeat(100)]) {
      assert.equal(decodeSimpleString(encodeSimpleString(good)), good);
    }
  }
});

test("a range of bytes is decoded where it lies", () => {
  assert.equal(decodeSimpleString(fromHex("ff 7100 7200 ff"), 1, 5), "qr");
});

test("UTF of more than 65535 bytes is not written", () => {
  assert.throws(() => writeUtf(new ByteWriter(), "é".repeat(32768)), RangeError);
});

test("strings that lie about their size are refused", () => {
  const simple = (hex: string): string => readSimpleString(new ByteReader(fromHex(hex)), 4);
  assert.throws(() => simple("00000003 616263"), {
    code: "EVH_PROTOCOL",
    message: "cannot read SimpleString at byte 4: found length 3, expected an even number",
  });
  assert.throws(() => simple("0000000a 61006100610061006100"), { code: "EVH_FRAME_TOO_LARGE" });
  assert.throws(() => simple("00000008 6100"), { code: "EVH_PROTOCOL" });
  assert.throws(() => simple("7fffffff"), { code: "EVH_FRAME_TOO_LARGE" });
  assert.throws(() => simple("80000000"), { code: "EVH_PROTOCOL" });
  const string = (hex: string): string => readString(new ByteReader(fromHex(hex)), 20);
  assert.throws(() => string("00000002 0061"), { code: "EVH_PROTOCOL" });
  assert.throws(() => string("00000009 0020 313233343536373839"), { code: "EVH_PROTOCOL" });
  assert.throws(() => string("00000015 0001 30"), { code: "EVH_FRAME_TOO_LARGE" });
});

test("malformed UTF is refused with its place", () => {
  for (const hex of [
    "0001 80",
    "0001 f0",
    "0001 c3",
    "0002 c3 c3",
    "0003 e2 82 28",
    "0002 e2 82",
  ]) {
    assert.throws(() => readUtf(new ByteReader(fromHex(hex))), { code: "EVH_PROTOCOL" });
  }
});

test("only a strict reader minds overlong UTF and a wrong count of characters", () => {
  assert.equal(readUtf(new ByteReader(fromHex("0002 c080"))), "\0");
  assert.throws(() => readUtf(new ByteReader(fromHex("0002 c080"), { strict: true })), {
    code: "EVH_PROTOCOL",
  });
  const wrongCount = fromHex("0000000a 0009 313233343536373839");
  assert.equal(readString(new ByteReader(wrongCount), 20), "123456789");
  assert.throws(() => readString(new ByteReader(wrongCount, { strict: true }), 20), {
    code: "EVH_PROTOCOL",
  });
});
