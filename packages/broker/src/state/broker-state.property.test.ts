import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Follower, followerSteps, runFollower } from "./follower.test-support.ts";
import { StateAndModel, type Step } from "./state-model.test-support.ts";

/** More runs than usual, for a longer search: `EVERHOLD_PROPERTY_FACTOR=50`. */
const runFactor = Number(process.env["EVERHOLD_PROPERTY_FACTOR"] ?? 1);

const kinds = [
  "createAddress",
  "createQueue",
  "createQueue",
  "send",
  "send",
  "send",
  "send",
  "upload",
  "upload",
  "upload",
  "take",
  "take",
  "giveBack",
  "delay",
  "acknowledge",
  "setCount",
  "move",
  "trim",
  "trim",
  "name",
  "refuse",
  "apply",
  "open",
  "evict",
  "rule",
  "session",
  "updateAddress",
  "updateQueue",
  "deleteQueue",
  "deleteAddress",
  "commit",
  "pass",
  "pass",
  "snapshot",
  "snapshot",
] as const;

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  a: fc.nat(1_000),
  b: fc.nat(1_000),
  c: fc.nat(1_000),
});

const restart: fc.Arbitrary<Step> = fc.constant({ kind: "restart", a: 0, b: 0, c: 0 });

describe("BrokerState", () => {
  it("does what maps and arrays do, and hands messages out in their order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 250, size: "max" }), (steps) => {
        const both = new StateAndModel();
        for (const one of steps) both.run(one);
        both.checkContents();
      }),
      { numRuns: 60 * runFactor },
    );
  });

  it("is the same after a crash at any record, with or without a snapshot that was written meanwhile", () => {
    let snapshotCount = 0;
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 30, maxLength: 150, size: "max" }),
        fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
        (steps, cuts) => {
          const both = new StateAndModel();
          for (const one of steps) both.run(one);
          snapshotCount += both.checkRecovery(cuts);
        },
      ),
      { numRuns: 120 * runFactor },
    );
    assert.ok(snapshotCount > 0, `${snapshotCount} recoveries used a snapshot`);
  });

  it("goes on where it was when it is restarted again and again", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ arbitrary: step, weight: 20 }, { arbitrary: restart, weight: 1 }), {
          maxLength: 250,
          size: "max",
        }),
        (steps) => {
          const both = new StateAndModel();
          for (const one of steps) both.run(one);
          both.checkContents();
        },
      ),
      { numRuns: 60 * runFactor },
    );
  });

  it("is followed by another one, which writes snapshots and starts from them, and takes over as it is", () => {
    let snapshotCount = 0;
    const pair = fc.tuple(
      fc.oneof({ arbitrary: step, weight: 30 }, { arbitrary: restart, weight: 1 }),
      fc.constantFrom(...followerSteps),
    );
    fc.assert(
      fc.property(
        fc.array(pair, { minLength: 30, maxLength: 150, size: "max" }),
        fc.boolean(),
        (pairs, isWhole) => {
          const both = new StateAndModel();
          const follower = new Follower();
          for (const [one, then] of pairs) {
            both.run(one);
            runFollower(follower, then, both.log);
          }
          snapshotCount += follower.check(false);
          if (isWhole) follower.follow(both.log);
          follower.check(true);
          if (isWhole) assert.equal(follower.state.fingerprint(), both.state.fingerprint());
        },
      ),
      { numRuns: 60 * runFactor },
    );
    assert.ok(snapshotCount > 0, `${snapshotCount} snapshots were written by followers`);
  });
});
