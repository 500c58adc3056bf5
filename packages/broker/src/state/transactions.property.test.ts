import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Follower, followerSteps, runFollower } from "./follower.test-support.ts";
import { TransactionModel, type TransactionStep } from "./transaction-model.test-support.ts";

/** More runs than usual, for a longer search: `EVERHOLD_PROPERTY_FACTOR=50`. */
const runFactor = Number(process.env["EVERHOLD_PROPERTY_FACTOR"] ?? 1);

const kinds = [
  "createQueue",
  "createQueue",
  "deleteQueue",
  "send",
  "send",
  "begin",
  "begin",
  "sendIn",
  "sendIn",
  "sendIn",
  "sendIn",
  "acknowledgeIn",
  "acknowledgeIn",
  "prepare",
  "prepare",
  "commit",
  "commit",
  "rollback",
  "forget",
  "producer",
  "commitLog",
  "snapshot",
  "snapshot",
  "snapshot",
] as const;

const step: fc.Arbitrary<TransactionStep> = fc.record({
  kind: fc.constantFrom(...kinds),
  a: fc.nat(1_000),
  b: fc.nat(1_000),
  c: fc.nat(1_000),
});

const restart: fc.Arbitrary<TransactionStep> = fc.constant({ kind: "restart", a: 0, b: 0, c: 0 });

describe("transactions in pieces", () => {
  it("show nothing before the commit and everything after it, over restarts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ arbitrary: step, weight: 30 }, { arbitrary: restart, weight: 1 }), {
          maxLength: 250,
          size: "max",
        }),
        (steps) => {
          const both = new TransactionModel();
          for (const one of steps) both.run(one);
          both.check();
        },
      ),
      { numRuns: 30 * runFactor },
    );
  });

  it("are the same after a crash at any record, with or without a snapshot that was written meanwhile", () => {
    let snapshotCount = 0;
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 30, maxLength: 200, size: "max" }),
        fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
        (steps, cuts) => {
          const both = new TransactionModel();
          for (const one of steps) both.run(one);
          snapshotCount += both.checkRecovery(cuts);
        },
      ),
      { numRuns: 50 * runFactor },
    );
    assert.ok(snapshotCount > 0, `${snapshotCount} recoveries used a snapshot`);
  });

  it("stay open in a state that follows, over its snapshots and restarts, until it takes over", () => {
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
          const both = new TransactionModel();
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
