import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { explore, formGroup } from "./explore.ts";
import { mistakes, type Mistake } from "./mistakes.ts";
import { walk } from "./walk.ts";
import { emptyBudget, type Budget } from "./world.ts";

describe("the model of a group", () => {
  for (const memberCount of [2, 3]) {
    it(`a group of ${memberCount} forms from empty disks by its own rules`, () => {
      const { hosts, node, committed } = formGroup(memberCount, memberCount - 1);
      assert.equal(node.state.inSync.length, memberCount);
      assert.deepEqual(
        hosts.map(({ log, durable, member }) => [log, durable, member?.role.kind === "live"]),
        hosts.map((_, index) => ["1", 1, index === 0]),
      );
      assert.equal(committed, "1");
    });
  }

  const sound: readonly (readonly [string, Partial<Budget>])[] = [
    ["a write and a promotion", { write: 1, promote: 1 }],
    ["a write, a crash and a break", { write: 1, crash: 1, break: 1 }],
    ["a member given up while its outcome is lost", { write: 1, drop: 1, lose: 1 }],
    ["a refusal of the node's newest version", { promote: 1, drop: 1, refuse: 1 }],
    ["a read that is heard late", { write: 1, drop: 1, stale: 1 }],
    ["a hint that is withdrawn", { promote: 1, withdraw: 1, break: 1 }],
    ["a wiped disk", { crash: 1, wipe: 1, write: 1 }],
    ["a hand-over on a link that breaks", { handOver: 1, break: 1, write: 1 }],
    ["a frame that comes twice", { write: 2, duplicate: 1 }],
  ];
  for (const [what, budget] of sound) {
    it(`all rules hold in all states with ${what}`, () => {
      const result = explore({ ...shape, budget: { ...emptyBudget, ...budget } });
      assert.deepEqual(result.failure, null);
      assert.ok(result.isComplete, `${result.stateCount} states`);
    });
  }

  it("all rules hold where everything happens at random, and the group is whole in the end", () => {
    const budget: Budget = {
      write: 3,
      promote: 3,
      withdraw: 1,
      drop: 2,
      crash: 2,
      wipe: 1,
      break: 2,
      lose: 2,
      refuse: 1,
      stale: 2,
      duplicate: 1,
      handOver: 1,
    };
    const { failure } = walk({ ...shape, memberCount: 3, minInSync: 2, budget }, 200, 1);
    assert.deepEqual(failure, null);
  });

  it("finds a mistake on a walk at random, and says by which seed", () => {
    const budget = { ...emptyBudget, write: 2, drop: 1, lose: 1, break: 1 };
    const { failure } = walk({ ...shape, budget, mistake: "forget-asked" }, 1000, 1);
    assert.match(failure?.broken ?? "nothing", /^I8/);
    assert.match(failure?.trace[0] ?? "", /^seed \d+$/);
  });

  const found: Readonly<Record<Mistake, readonly [Partial<Budget>, RegExp]>> = {
    "release-before-shrink": [{ write: 1, drop: 1 }, /^I8/],
    "promote-without-fence": [{ write: 1, promote: 1, crash: 1 }, /^I6/],
    "stale-incarnation": [{ crash: 1, wipe: 1 }, /^I8/],
    "truncate-to-commit": [{ write: 1, break: 1 }, /^B stopped itself: below-commit|^I8/],
    "trust-heartbeat": [{ write: 1 }, /^I8/],
    "count-unsynced": [{ write: 1, drop: 1 }, /^I4/],
    "forget-asked": [{ write: 1, drop: 1 }, /^I8/],
    "old-read-settles": [{ write: 1, drop: 1, lose: 1 }, /^I8/],
    "believe-old-read": [{ write: 1, drop: 1, stale: 1 }, /^I8/],
    "join-by-commit": [{ write: 1, drop: 1, promote: 1 }, /^I8/],
    "stand-out-of-sync": [{ write: 1, drop: 1, promote: 1 }, /^I8/],
    "forget-promise": [{ write: 1, crash: 1, promote: 1 }, /^I6/],
    "reuse-epoch": [{ write: 1, crash: 1, promote: 2 }, /^I6/],
    "ignore-minimum": [{ write: 1, drop: 1 }, /^I4/],
    "append-anywhere": [{ write: 2, duplicate: 1 }, /^I8/],
    "no-cut": [{ write: 1, drop: 1, promote: 1 }, /^I5/],
    "align-after-cut": [{ write: 1, promote: 1, break: 1 }, /^L1/],
    "serve-early": [{ write: 2, promote: 1 }, /^I7/],
    "no-step-down": [{ promote: 1 }, /^L1/],
    "ignore-higher-epoch": [{ promote: 1, withdraw: 1 }, /^L1/],
    "follow-lower": [{ promote: 1, withdraw: 1 }, /^L1/],
    "trust-name": [{ crash: 1, wipe: 1 }, /^L1/],
    "invite-once": [{ handOver: 1, break: 1 }, /^L1/],
    "no-retry": [{ drop: 1, refuse: 1 }, /^L1/],
  };
  for (const mistake of mistakes) {
    const [budget, rule] = found[mistake];
    it(`finds the mistake ${mistake}`, () => {
      const minInSync = mistake === "ignore-minimum" ? 2 : 1;
      // Who joins with too little has to be a third one, while two others go on.
      const isCoarse = mistake === "join-by-commit";
      const memberCount = isCoarse ? 3 : 2;
      const options = { ...shape, memberCount, minInSync, isCoarse, mistake };
      const { failure } = explore({ ...options, budget: { ...emptyBudget, ...budget } });
      assert.match(failure?.broken ?? "nothing", rule);
    });
  }
});

const shape = { memberCount: 2, minInSync: 1, stateCountMax: 60_000 };
