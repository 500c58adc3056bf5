import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Prng } from "./prng.ts";

describe("Prng", () => {
  it("the same seed gives the same numbers, another seed gives others", () => {
    const take = (seed: number): number[] => {
      const prng = new Prng(seed);
      return Array.from({ length: 16 }, () => prng.uint32());
    };
    assert.deepEqual(take(42), take(42));
    assert.notDeepEqual(take(42), take(43));
    assert.notDeepEqual(take(42), take(42 + 0x1_0000_0000), "the upper half of a seed counts");
  });

  it("its first numbers never change, or recorded seeds would lose their meaning", () => {
    const prng = new Prng(1);
    assert.deepEqual(
      [prng.uint32(), prng.uint32(), prng.uint32()],
      [2012149540, 1872316204, 1707632675],
    );
  });

  it("integers stay within their bounds and reach both", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: -5, max: 5 }), (seed, min) => {
        const prng = new Prng(seed);
        const seen = new Set(Array.from({ length: 200 }, () => prng.integer(min, min + 3)));
        assert.deepEqual(
          [...seen].toSorted((a, b) => a - b),
          [min, min + 1, min + 2, min + 3],
        );
      }),
      { numRuns: 50 },
    );
  });

  it("a chance of 0 never comes and a chance of 1 always does", () => {
    const prng = new Prng(7);
    for (let round = 0; round < 1000; round += 1) {
      assert.equal(prng.chance(0), false);
      assert.equal(prng.chance(1), true);
    }
  });

  it("fill writes every byte", () => {
    const target = new Uint8Array(4096);
    new Prng(9).fill(target);
    const different = new Set(target);
    assert.ok(different.size > 240, `${different.size} different values in 4,096 bytes`);
  });

  it("pick chooses each element of a list", () => {
    const prng = new Prng(3);
    const seen = new Set(Array.from({ length: 100 }, () => prng.pick(["a", "b", "c"])));
    assert.equal(seen.size, 3);
  });
});
