import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { GroupProcesses, type MemberProcess } from "./group-processes.ts";
import { Traffic } from "./traffic.ts";
import { until } from "./until.ts";

/** A hand-over that nobody takes up is noticed long before it is given up. */
const patient = () => ({ group: { timing: { steady: "500ms", handOver: "10m" } } });

const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

function startIn(order: readonly number[], members: readonly MemberProcess[]): void {
  for (const index of order) members[index]?.start();
}

/** Waits for processes that end. */
async function ended(ends: readonly Promise<unknown>[], story: () => string): Promise<void> {
  let isOver = false;
  const all = Promise.all(ends).then(() => (isOver = true));
  await until("their end", () => isOver, story);
  await all;
}

describe("a group of which every member is restarted", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it(`loses and doubles nothing when all of them get ${signal} at once, and serves again in whatever order they start`, async () => {
      const group = await GroupProcesses.make(
        ["anna", "bert", "cleo"],
        2,
        undefined,
        undefined,
        patient,
      );
      const story = (): string => group.story;
      try {
        startIn([0, 1, 2], group.members);
        await until("all in sync", () => group.inSync.length === 3, story);
        await using traffic = await Traffic.start(group);
        for (const order of orders) {
          await traffic.send(10);
          const sending = traffic.send(10);
          await ended(
            group.members.map((member) => member.end(signal)),
            story,
          );
          startIn(order, group.members);
          await sending;
          await until(`all in sync after ${order.join()}`, () => group.inSync.length === 3, story);
        }
        await traffic.end();
      } finally {
        await group.end();
      }
    });
  }

  it("loses and doubles nothing when one after the other is stopped until none is left", async () => {
    const group = await GroupProcesses.make(
      ["anna", "bert", "cleo"],
      1,
      undefined,
      undefined,
      patient,
    );
    const story = (): string => group.story;
    try {
      startIn([0, 1, 2], group.members);
      await until("all in sync", () => group.inSync.length === 3, story);
      await using traffic = await Traffic.start(group);
      const sending = traffic.send(200);
      while (group.members.some(({ isRunning }) => isRunning)) {
        await until("one leads", () => group.live !== undefined, story);
        const { live } = group;
        assert.ok(live !== undefined);
        await ended([live.end("SIGTERM")], story);
      }
      startIn([2, 0, 1], group.members);
      await sending;
      await until("all in sync again", () => group.inSync.length === 3, story);
      await traffic.end();
    } finally {
      await group.end();
    }
  });

  it("is stopped though the member that could take over is gone", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 2, undefined, undefined, patient);
    const story = (): string => group.story;
    try {
      startIn([0, 1], group.members);
      await until("both in sync", () => group.inSync.length === 2, story);
      const { live } = group;
      const backup = group.members.find((member) => member !== live);
      assert.ok(live !== undefined);
      await backup?.end("SIGKILL");
      await ended([live.end("SIGTERM")], story);
    } finally {
      await group.end();
    }
  });
});
