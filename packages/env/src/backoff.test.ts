import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Prng } from "@everhold/base";
import { Backoff } from "./backoff.ts";

describe("the pauses between attempts", () => {
  it("stay within their bounds and at most triple", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 1000 }), (seed, minMs) => {
        const backoff = new Backoff({ minMs, maxMs: minMs * 50 }, new Prng(seed));
        let last = minMs;
        for (let attempt = 0; attempt < 50; attempt += 1) {
          const next = backoff.nextMs();
          assert.ok(next >= minMs && next <= Math.min(minMs * 50, last * 3));
          last = next;
        }
      }),
    );
  });

  it("differ between clients, so that they do not come back in step", () => {
    const pauses = [1, 2, 3, 4].map((seed) => {
      const backoff = new Backoff({ minMs: 100, maxMs: 10_000 }, new Prng(seed));
      return [1, 2, 3, 4, 5].map(() => backoff.nextMs()).join();
    });
    assert.equal(new Set(pauses).size, 4);
  });

  it("grow as fast as they are told, or not at all", () => {
    const pauses = (multiplier: number): number[] => {
      const bounds = { minMs: 100, maxMs: 10_000, multiplier };
      const backoff = new Backoff(bounds, { uint32: () => 0xffff_ffff });
      return [1, 2, 3].map(() => backoff.nextMs());
    };
    assert.deepEqual(pauses(1), [100, 100, 100]);
    assert.deepEqual(pauses(2), [199, 397, 793]);
  });

  it("start anew after a reset", () => {
    const backoff = new Backoff({ minMs: 100, maxMs: 10_000 }, { uint32: () => 0xffff_ffff });
    for (let attempt = 0; attempt < 10; attempt += 1) backoff.nextMs();
    assert.equal(backoff.nextMs(), 10_000);
    backoff.reset();
    assert.ok(backoff.nextMs() < 301);
  });
});
