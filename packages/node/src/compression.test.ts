import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deflateSync } from "node:zlib";

import { NodeCompression } from "./compression.ts";

describe("NodeCompression", () => {
  const compression = new NodeCompression();
  const plain = new Uint8Array(100_000).fill(7);
  const packed = deflateSync(plain);

  it("unpacks up to the limit, and no more", () => {
    assert.deepEqual(new Uint8Array(compression.inflate(packed, 100_000) ?? []), plain);
    assert.equal(compression.inflate(packed, 99_999), undefined);
    assert.equal(compression.inflate(packed, 0), undefined);
  });

  it("throws for bytes that are damaged, cut off, or no zlib stream", () => {
    assert.throws(() => compression.inflate(packed.subarray(0, -5), 100_000));
    assert.throws(() => compression.inflate(new Uint8Array([1, 2, 3]), 100_000));
    assert.throws(() => compression.inflate(new Uint8Array(0), 100_000));
  });
});
