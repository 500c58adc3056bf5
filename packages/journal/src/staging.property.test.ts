import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { RecordView } from "./journal-api.ts";
import { batchHeaderBytes } from "./journal-format.ts";
import { resolveSettings } from "./journal-settings.ts";
import { Staging } from "./staging.ts";
import { viewOf } from "./u64.ts";

const nothing = new Uint8Array(0);
const settings = resolveSettings({
  // The settings need no port.
  ports: {
    disk: {
      location: "",
      list: () => Promise.reject(new Error("unused")),
      create: () => Promise.reject(new Error("unused")),
      open: () => Promise.reject(new Error("unused")),
      rename: () => Promise.reject(new Error("unused")),
      remove: () => Promise.reject(new Error("unused")),
      freeBytes: () => Promise.reject(new Error("unused")),
      lock: () => Promise.reject(new Error("unused")),
    },
    hash: { crc32: () => 0 },
    timers: { after: () => ({ cancel: () => undefined }), atTurnEnd: () => undefined },
    wallClock: { nowMs: () => 0 },
    random: { uint32: () => 0, fill: () => undefined },
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: () => undefined,
    },
  },
  segmentBytes: 64 * 1024,
  batchBytesMax: 2048,
  tailCacheBytes: 8192,
});

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("append"), size: fc.nat(6000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("group"),
      sizes: fc.array(fc.nat(900), { maxLength: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("write") }) },
);

interface Written {
  readonly position: number;
  readonly size: number;
  readonly mark: number;
}

test("records keep their place and content, batches tile the log, and groups stay together", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      const staging = new Staging(settings);
      staging.start(4096, settings.segmentBytes);
      const written: Written[] = [];
      const batches: { start: number; end: number }[] = [];
      const append = (size: number): number => {
        const mark = written.length & 0xff;
        const position = staging.append(16, 1, size);
        staging.bytes.fill(mark, staging.payloadOffset, staging.payloadOffset + size);
        written.push({ position, size, mark });
        return position;
      };
      const write = (): void => {
        const batch = staging.peekBatch();
        if (batch === undefined) return;
        assert.equal(batch.lengthBytes % 512, 0);
        batches.push({ start: batch.position, end: batch.position + batch.lengthBytes });
        staging.takeBatch();
        staging.trim(batch.position + batch.lengthBytes);
      };
      for (const action of steps) {
        if ("size" in action) append(action.size);
        if (action.kind === "write") write();
        if ("sizes" in action && action.sizes.length > 0) {
          const total = action.sizes.reduce((sum, size) => sum + size, 0);
          staging.reserve(total, action.sizes.length);
          const positions = action.sizes.map(append);
          // One batch: no header lies between them.
          for (const [index, position] of positions.entries()) {
            const before = positions[index - 1];
            const size: number = action.sizes[index - 1] ?? 0;
            if (before !== undefined) assert.equal(position, before + 8 + Math.ceil(size / 8) * 8);
          }
        }
      }
      checkNewest(staging, written);
      while (staging.peekBatch() !== undefined) write();
      assert.equal(staging.waitingBytes, 0);
      checkBatches(batches, written);
    }),
    { numRuns: 300 },
  );
});

/** Whatever is still in memory is what was written. */
function checkNewest(staging: Staging, written: readonly Written[]): void {
  const view: RecordView = { bytes: nothing, view: viewOf(nothing), offset: 0 };
  let found = 0;
  for (const { position, size, mark } of written) {
    if (!staging.locate(position, 8 + size, view)) continue;
    found += 1;
    const payload = view.bytes.subarray(view.offset + 8, view.offset + 8 + size);
    assert.ok(payload.every((byte) => byte === mark));
  }
  if (written.length > 0) assert.ok(found > 0, "the newest record is always in memory");
}

function checkBatches(
  batches: readonly { readonly start: number; readonly end: number }[],
  written: readonly Written[],
): void {
  let previousEnd = 4096;
  for (const { start, end } of batches) {
    const segment = Math.floor(start / settings.segmentBytes);
    assert.equal(segment, Math.floor((end - 1) / settings.segmentBytes), "no batch spans segments");
    const isAtSegmentStart = start === segment * settings.segmentBytes + 4096;
    assert.ok(start === previousEnd || isAtSegmentStart, "batches lie side by side");
    previousEnd = end;
  }
  for (const { position, size } of written) {
    const batch = batches.find(({ start, end }) => position >= start && position < end);
    assert.ok(batch !== undefined);
    assert.ok(position >= batch.start + batchHeaderBytes);
    assert.ok(position + 8 + size <= batch.end);
  }
}
