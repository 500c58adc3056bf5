import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RulesPlan, RulesSetup, SendStep, Step } from "./program.ts";
import { runRules } from "./rules-run.ts";

const queue = { routing: "anycast", filter: -1, isLastValue: false, ringSize: -1 } as const;

const setup: RulesSetup = {
  clientCount: 2,
  queues: [
    { ...queue, isExclusive: false, name: "first", address: "first" },
    { ...queue, isExclusive: false, name: "second", address: "second" },
  ],
  maxDeliveryAttempts: 1,
  fullness: { maxSizeBytes: 3_000, policy: "block" },
  redelivery: { delayMs: 0, multiplier: 1, delayMaxMs: -1, isBlocking: false },
  segmentBytes: 256 * 1024,
  snapshotBytes: 1024 * 1024,
  tailCacheBytes: 1024 * 1024,
  minLargeBytes: 102_400,
  clientsBehindMs: 0,
  diskDelayMsMax: 5,
};

const fill: SendStep = {
  do: "send",
  client: 0,
  target: 0,
  count: 1,
  durable: true,
  priority: 4,
  ttlMs: 0,
  delayMs: 0,
  color: undefined,
  size: undefined,
  group: undefined,
  key: undefined,
  bodyChars: 5_000,
  duplicate: -1,
  transacted: false,
};

function planOf(...rounds: readonly (readonly Step[])[]): RulesPlan {
  return { setup, rounds: rounds.map((steps) => ({ steps, restMs: 0 })) };
}

/** A client that takes one message of the first queue. */
function open(client: number, transacted: boolean): Step {
  return { do: "open", client, queue: 0, prefetch: 1, filter: -1, transacted };
}

/** Acknowledges what a consumer has in a transaction, and sends in the same. */
function work(client: number): Step[] {
  return [
    { do: "settle", consumer: 0, pick: 0, count: 1, how: "ack", delayMs: -1 },
    { ...fill, client, bodyChars: 100, transacted: true },
  ];
}

describe("a program with a full address", () => {
  it("ends though a commit waits for the room of what was acknowledged in it", async () => {
    const plan = planOf([open(1, true)], [fill], work(1), [{ do: "commit", client: 1 }]);
    assert.deepEqual((await runRules({ seed: 1, plan })).problems, []);
  });

  it("ends though two commits wait for each other", async () => {
    const plan = planOf(
      [open(0, true), open(1, true)],
      [{ ...fill, bodyChars: 600 }],
      [fill],
      [...work(0), ...work(1)],
      [
        { do: "commit", client: 0 },
        { do: "commit", client: 1 },
      ],
    );
    assert.deepEqual((await runRules({ seed: 1, plan })).problems, []);
  });

  it("ends though a branch is prepared while all branches are decided", async () => {
    const branch: Step = { ...fill, do: "prepare", client: 1, bodyChars: 100 };
    const others = Array.from({ length: 6 }, (): Step => ({ ...branch, target: 1 }));
    const plan = planOf([open(0, false)], [fill], [branch], others);
    for (const seed of [1, 2, 3, 4]) {
      assert.deepEqual((await runRules({ seed, plan })).problems, []);
    }
  });
});
