import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { ByteWriter } from "@everhold/wire";
import fc from "fast-check";
import { readFrame, writeFrame, type Frame } from "./frames.ts";

/** Objects with a prototype, as literals make them. */
const plain = { noNullPrototype: true } as const;
const number = fc.maxSafeNat();
const name = fc.string({ maxLength: 64 });
const chain = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((value) => value.toString(16).padStart(16, "0"));
const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record(
    {
      kind: fc.constant("hello" as const),
      epoch: number,
      groupId: name,
      id: name,
      incarnation: name,
      epochs: fc.array(fc.record({ epoch: number, position: number }, plain), { maxLength: 5 }),
      end: number,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("align" as const),
      epoch: number,
      position: number,
      chain,
      commitPosition: number,
    },
    plain,
  ),
  fc.record(
    {
      kind: fc.constant("append" as const),
      epoch: number,
      position: number,
      chain,
      commitPosition: number,
      batch: fc.uint8Array({ maxLength: 40 }),
    },
    plain,
  ),
  fc.record({ kind: fc.constant("acknowledge" as const), epoch: number, position: number }, plain),
  fc.record({ kind: fc.constant("refuse" as const), epoch: number, reason: name }, plain),
  fc.record({ kind: fc.constant("handOver" as const), epoch: number }, plain),
);

describe("replication frames", () => {
  it("are read as they were written, and nothing is left over", () => {
    fc.assert(
      fc.property(frames, (frame) => {
        assert.deepEqual(readFrame(bytesOf(frame)), frame);
      }),
    );
  });

  it("are refused when a byte is missing or one is too many", () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const whole = bytesOf(frame);
        for (let length = 0; length < whole.length; length += 1) {
          assert.throws(() => readFrame(whole.slice(0, length)), isTyped);
        }
        assert.throws(() => readFrame(new Uint8Array([...whole, 0])), isTyped);
      }),
      { numRuns: 30 },
    );
  });

  it("give a frame or a typed error for any bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8 }), fc.uint8Array(), (kind, rest) => {
        const input = new Uint8Array([kind, ...rest]);
        try {
          assert.deepEqual(bytesOf(readFrame(input)), input);
        } catch (error) {
          assert.ok(isTyped(error), String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("name a kind that does not exist", () => {
    assert.throws(
      () => readFrame(new Uint8Array([9])),
      /replication frame: found kind 9, expected 1 to 6/,
    );
  });

  it("are exactly these bytes", () => {
    const frame: Frame = {
      kind: "append",
      epoch: 2,
      position: 4096,
      chain: "0123456789abcdef",
      commitPosition: 512,
      batch: new Uint8Array([7]),
    };
    const hex =
      "03 0000000000000002 0000000000001000 0123456789abcdef 0000000000000200 00000001 07";
    assert.equal(Buffer.from(bytesOf(frame)).toString("hex"), hex.replaceAll(" ", ""));
  });
});

function bytesOf(frame: Frame): Uint8Array {
  const writer = new ByteWriter();
  writeFrame(writer, frame);
  return writer.bytes.slice(0, writer.offset);
}

function isTyped(error: unknown): boolean {
  return EverholdError.is(error);
}
