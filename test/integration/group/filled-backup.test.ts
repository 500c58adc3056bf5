import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { describe, it } from "node:test";

import { NodeDisk, NodeHash } from "@everhold/node";
import { verifyJournal } from "@everhold/journal";

import { GroupProcesses } from "./group-processes.ts";
import { Traffic } from "./traffic.ts";
import { until } from "./until.ts";

describe("a member whose data folder was lost", () => {
  it("is filled up while the live goes on, and leads when that dies", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("all of them in sync", () => group.inSync.length === 3, story);
      const { live } = group;
      assert.ok(live !== undefined);
      const backups = group.members.filter((member) => member !== live);
      const [lost, away] = backups;
      assert.ok(lost !== undefined && away !== undefined);
      await using traffic = await Traffic.start(group, 20_000);
      await lost.end("SIGKILL");
      rmSync(lost.dataFolder, { recursive: true });
      const isGivenUp = (): boolean =>
        !readdirSync(live.dataFolder).some((name) => name === "0000000000000000.journal");
      for (let round = 0; round < 40 && !isGivenUp(); round += 1) await traffic.send(20);
      assert.ok(isGivenUp(), "the live has given up the beginning of its journal");
      const sending = traffic.send(40);
      lost.start();
      await until("it was filled up", () => told(lost.lines, "This member was filled up"), story);
      await sending;
      await until("all of them in sync again", () => group.inSync.length === 3, story);
      // Now nobody else is left.
      await away.end("SIGKILL");
      await live.end("SIGKILL");
      const last = traffic.send(1);
      away.start();
      await last;
      await traffic.send(20);
      live.start();
      await traffic.end();
      await until("all of them in sync at last", () => group.inSync.length === 3, story);
      await group.live?.end("SIGKILL");
      for (const { dataFolder } of group.members) {
        const member = group.members.find((one) => one.dataFolder === dataFolder);
        await member?.end("SIGKILL");
        const disk = new NodeDisk({ folder: dataFolder });
        const { problems } = await verifyJournal({ disk, hash: new NodeHash() });
        assert.deepEqual(problems, []);
      }
    } finally {
      await group.end();
    }
  });
});

function told(lines: readonly string[], text: string): boolean {
  return lines.some((line) => line.includes(text));
}
