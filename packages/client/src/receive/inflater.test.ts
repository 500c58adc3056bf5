import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { constants, deflateSync } from "node:zlib";
import { EverholdError } from "@everhold/base";
import fc from "fast-check";
import { inflateParts } from "./inflate-parts.ts";

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncIterable<Uint8Array> {
  for (let start = 0, index = 0; start < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    yield await Promise.resolve(bytes.subarray(start, start + size));
    start += size;
  }
}

async function inflate(bytes: Uint8Array, sizes: readonly number[] = [1000]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of inflateParts(cut(bytes, sizes))) parts.push(part);
  return Buffer.concat(parts);
}

/** Something between noise and repetition. */
const content = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 200 })), {
    maxLength: 12,
  })
  .map((pieces) =>
    Buffer.concat(pieces.flatMap(([piece, count]) => new Array<Uint8Array>(count).fill(piece))),
  );

const protocolError = (error: unknown): boolean => EverholdError.is(error, "EVH_PROTOCOL");

describe("inflateParts", () => {
  it("gives back whatever was deflated, however it comes", async () => {
    await fc.assert(
      fc.asyncProperty(
        content,
        fc.integer({ min: 0, max: 9 }),
        fc.constantFrom(
          constants.Z_DEFAULT_STRATEGY,
          constants.Z_FIXED,
          constants.Z_HUFFMAN_ONLY,
          constants.Z_RLE,
        ),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 }),
        async (bytes, level, strategy, sizes) => {
          const deflated = deflateSync(bytes, { level, strategy });
          assert.ok((await inflate(deflated, sizes)).equals(bytes));
        },
      ),
      { numRuns: 150 },
    );
  });

  it("reaches as far back as copies may", async () => {
    const noise = Uint8Array.from({ length: 32_768 }, (_, index) => (index * 2_654_435_761) >>> 13);
    const bytes = Buffer.concat([noise, noise, noise, noise]);
    assert.ok((await inflate(deflateSync(bytes, { level: 9 }))).equals(bytes));
  });

  it("refuses a stream that ends too early, at whatever byte", async () => {
    const deflated = deflateSync(Buffer.from("the quick brown fox ".repeat(20)));
    for (let end = 0; end < deflated.length; end += 1) {
      await assert.rejects(inflate(deflated.subarray(0, end)), protocolError, String(end));
    }
  });

  it("drops what follows the end of the stream", async () => {
    const bytes = Buffer.from("the quick brown fox ".repeat(20));
    const followed = Buffer.concat([deflateSync(bytes), Buffer.alloc(5_000, 7)]);
    for (const size of [1, 100, 10_000]) {
      assert.ok((await inflate(followed, [size])).equals(bytes));
    }
  });

  it("gives back nothing wrong for a stream with a changed byte", async () => {
    const bytes = Buffer.from("the quick brown fox ".repeat(20));
    const deflated = deflateSync(bytes);
    for (let at = 0; at < deflated.length; at += 1) {
      const changed = Uint8Array.from(deflated);
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      await assert.rejects(inflate(changed), protocolError, String(at));
    }
  });
});
