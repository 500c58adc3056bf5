import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { ByteWriter } from "@everhold/wire";
import fc from "fast-check";
import { readFrame, writeFrame, type Frame } from "./frames.ts";

/** Objects with a prototype, as literals make them. */
const plain = { noNullPrototype: true } as const;
const number = fc.maxSafeNat();
const epoch = fc.nat({ max: 0xffff_ffff });
const name = fc.string({ maxLength: 64 });
const chain = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((value) => value.toString(16).padStart(16, "0"));

/** Frames of a kind, each field of which is arbitrary. */
function framesOf<const Kind extends Frame["kind"], Fields extends object>(
  kind: Kind,
  fields: { readonly [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
): fc.Arbitrary<{ readonly kind: Kind } & Fields> {
  return fc.record(fields, plain).map((values) => ({ ...values, kind }));
}

const frames: fc.Arbitrary<Frame> = fc.oneof(
  framesOf("hello", {
    epoch,
    features: epoch,
    groupId: name,
    id: name,
    incarnation: name,
    epochs: fc.array(fc.record({ epoch, position: number }, plain), { maxLength: 5 }),
    end: number,
  }),
  framesOf("align", { epoch, features: epoch, position: number, chain, commitPosition: number }),
  framesOf("append", {
    epoch,
    position: number,
    end: number,
    chain,
    commitPosition: number,
    piece: fc.uint8Array({ maxLength: 40 }),
  }),
  framesOf("acknowledge", { epoch, position: number }),
  framesOf("refuse", { epoch, reason: name }),
  framesOf("handOver", { epoch }),
  framesOf("beat", {
    epoch,
    sentAtMs: number,
    leaseMs: epoch,
    commitPosition: number,
    oldestPosition: number,
  }),
  framesOf("answer", { epoch, sentAtMs: number }),
  framesOf("pieceAsk", { epoch, position: number }),
  framesOf("pieceGiven", {
    epoch,
    position: number,
    end: number,
    piece: fc.uint8Array({ maxLength: 40 }),
  }),
  framesOf("fillAsk", { epoch }),
  framesOf("fillOffer", {
    epoch,
    commitPosition: number,
    files: fc.array(fc.record({ name, bytes: number }, plain), { maxLength: 5 }),
  }),
  framesOf("fillRead", { epoch, file: epoch, position: number }),
  framesOf("fillData", {
    epoch,
    file: epoch,
    position: number,
    checksum: epoch,
    bytes: fc.uint8Array({ maxLength: 40 }),
  }),
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
      fc.property(fc.integer({ min: 0, max: 14 }), fc.uint8Array(), (kind, rest) => {
        const input = new Uint8Array([1, kind, ...rest]);
        try {
          assert.deepEqual(bytesOf(readFrame(input)), input);
        } catch (error) {
          assert.ok(isTyped(error), String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("name a version and a kind that do not exist", () => {
    const read = (bytes: readonly number[]) => () => readFrame(new Uint8Array(bytes));
    assert.throws(read([2, 4]), /replication frame: found version 2, expected 1/);
    assert.throws(read([1, 15]), /replication frame: found kind 15, expected 1 to 14/);
  });

  it("are exactly these bytes", () => {
    const written: Frame = {
      kind: "append",
      epoch: 2,
      position: 4096,
      end: 4099,
      chain: "0123456789abcdef",
      commitPosition: 512,
      piece: new Uint8Array([7]),
    };
    const hex =
      "01 03 00000002 0000000000001000 0000000000001003 0123456789abcdef 0000000000000200 00000001 07";
    assert.equal(Buffer.from(bytesOf(written)).toString("hex"), hex.replaceAll(" ", ""));
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
