import { strict as assert } from "node:assert";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { BatchChecker, sealBatch, type BatchProblem } from "./batch-format.ts";
import { Chain } from "./chain.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import { viewOf } from "./u64.ts";

const hash = { crc32: (bytes: Uint8Array, seed: number): number => crc32(bytes, seed) };
const segment = { base: 0x1_0000_0000_0000, sizeBytes: 65536, seed: 0x1234_5678 };
const position = segment.base + 4096;

/** A batch of two records, padded to a sector. */
function sealed(chain = new Chain()): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(512);
  const view = viewOf(bytes);
  view.setUint32(batchHeaderBytes, (2 << 8) | 16);
  view.setUint32(batchHeaderBytes + 16, (3 << 8) | 17);
  bytes.fill(0xab, batchHeaderBytes + 24, batchHeaderBytes + 40);
  const seal = {
    epoch: 1,
    position,
    lengthBytes: 512,
    recordCount: 2,
    recordsBytes: 40,
    wallClockMs: 1_800_000_000_000,
    commitPosition: position,
  };
  sealBatch(bytes, view, 0, seal, segment, chain, hash);
  return { bytes, view };
}

function check(bytes: Uint8Array, at = position, end = bytes.length): BatchProblem | undefined {
  return new BatchChecker(hash).check(bytes, viewOf(bytes), 0, end, at, segment);
}

test("a sealed batch is valid and says what it was sealed with", () => {
  const { bytes, view } = sealed();
  const checker = new BatchChecker(hash);
  assert.equal(checker.check(bytes, view, 0, 512, position, segment), undefined);
  assert.equal(checker.lengthBytes, 512);
  assert.equal(checker.recordCount, 2);
  assert.equal(checker.recordsBytes, 40);
  assert.equal(checker.epoch, 1);
  assert.equal(checker.wallClockMs, 1_800_000_000_000);
  assert.equal(checker.commitPosition, position);
});

test("each single flipped bit of a batch is detected", () => {
  const { bytes } = sealed();
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const at = bit >>> 3;
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    assert.notEqual(check(bytes), undefined);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
  }
  assert.equal(check(bytes), undefined);
});

test("a batch cut at any byte is incomplete", () => {
  const { bytes } = sealed();
  for (let end = 0; end < 512; end += 1) assert.equal(check(bytes, position, end), "incomplete");
});

test("a batch is valid at its own position only", () => {
  assert.equal(check(sealed().bytes, position + 512), "position");
});

test("a batch of another life of the file is not valid", () => {
  const { bytes, view } = sealed();
  const reborn = { ...segment, seed: 0x1234_5679 };
  const checker = new BatchChecker(hash);
  assert.equal(checker.check(bytes, view, 0, 512, position, reborn), "checksum");
});

test("records that do not fill what the header says are never taken apart", () => {
  const chain = new Chain();
  const { bytes, view } = sealed(chain);
  view.setUint32(batchHeaderBytes, (5 << 8) | 16);
  view.setUint32(8, crc32(bytes.subarray(12, 512), segment.seed));
  assert.equal(check(bytes), "content");
});

test("the chain differs for any difference in what it took in", () => {
  const seen = new Set<string>();
  const start = new Chain();
  const variants = [
    [1, 4096, 512, 7],
    [2, 4096, 512, 7],
    [1, 4608, 512, 7],
    [1, 4096 + 2 ** 32, 512, 7],
    [1, 4096, 1024, 7],
    [1, 4096, 512, 8],
  ] as const;
  for (const [epoch, at, lengthBytes, crc] of variants) {
    const chain = new Chain();
    chain.copyFrom(start);
    chain.advance(epoch, at, lengthBytes, crc);
    seen.add(chain.toString());
    chain.advance(epoch, at, lengthBytes, crc);
    seen.add(chain.toString());
  }
  assert.equal(seen.size, variants.length * 2);
});
