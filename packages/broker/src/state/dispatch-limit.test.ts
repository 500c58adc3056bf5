import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DispatchLimit } from "./dispatch-limit.ts";
import { stateLimits } from "./state-limits.ts";

const { dispatchLimitStepMin, dispatchLimitStepMax, dispatchLimitSpacingBytes } = stateLimits;

describe("DispatchLimit", () => {
  it("counts a raised limit only when its record is committed", () => {
    const limit = new DispatchLimit();
    assert.equal(limit.allows(0, 1_000), false);
    limit.raise(64, 1_000, 1_000);
    assert.equal(limit.allows(0, 1_000), false);
    assert.equal(limit.allows(0, 1_001), true);
    assert.equal(limit.allows(63, 1_001), true);
    assert.equal(limit.allows(64, 1_001), false);
  });

  it("goes on with the committed limit while a higher one is under way", () => {
    const limit = new DispatchLimit();
    limit.raise(64, 1_000, 1_000);
    limit.raise(128, 2_000, 1_500);
    assert.equal(limit.allows(63, 1_500), true);
    assert.equal(limit.allows(64, 1_500), false);
    limit.raise(256, 3_000, 1_500);
    assert.equal(limit.allows(63, 2_500), true);
    assert.equal(limit.allows(64, 2_500), false);
    assert.equal(limit.allows(255, 3_001), true);
  });

  it("never goes down", () => {
    const limit = new DispatchLimit();
    limit.raise(64, 1_000, 1_001);
    limit.raise(10, 2_000, 2_001);
    assert.equal(limit.limit, 64);
  });

  it("is raised before it is reached, so that handing out does not wait", () => {
    const limit = new DispatchLimit();
    assert.equal(limit.nextLimit(0, 0), dispatchLimitStepMin);
    limit.raise(dispatchLimitStepMin, 0, 1);
    assert.equal(limit.nextLimit(dispatchLimitStepMin / 4, 100), dispatchLimitStepMin);
    assert.ok(limit.nextLimit(dispatchLimitStepMin / 2, 100) > dispatchLimitStepMin);
  });

  it("runs further ahead in a busy lane, and less far again in a quiet one", () => {
    const limit = new DispatchLimit();
    let position = 0;
    const ahead: number[] = [];
    for (const spacing of [...Array<number>(10).fill(100_000), ...Array<number>(10).fill(1e9)]) {
      const sequence = limit.limit;
      position += spacing;
      const next = limit.nextLimit(sequence, position);
      limit.raise(next, position, position + 1);
      ahead.push(next - sequence);
    }
    assert.ok(dispatchLimitSpacingBytes > 100_000);
    assert.equal(Math.max(...ahead), dispatchLimitStepMax);
    assert.equal(ahead[0], dispatchLimitStepMin);
    assert.equal(ahead.at(-1), dispatchLimitStepMin);
  });
});
