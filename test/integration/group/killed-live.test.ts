import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { NodeDisk, NodeHash } from "@everhold/node";
import { verifyJournal } from "@everhold/journal";

import { GroupProcesses } from "./group-processes.ts";
import { Traffic } from "./traffic.ts";
import { until } from "./until.ts";

describe("a group of three processes", () => {
  it("loses, doubles and swaps nothing when its live is killed again and again, and ends with equal journals", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("a live", () => group.live !== undefined, story);
      await using traffic = await Traffic.start(group);
      const lives = new Set<string>();
      for (let round = 0; round < 4; round += 1) {
        await traffic.send(40);
        const sending = traffic.send(1);
        const { live } = group;
        assert.ok(live !== undefined, story());
        lives.add(live.id);
        await live.end(round === 3 ? "SIGTERM" : "SIGKILL");
        await sending;
        live.start();
      }
      await traffic.end();
      assert.ok(lives.size > 1, "others have led, too");
      await until("all of them in sync", () => group.inSync.length === 3, story);
      // Nothing is written any more: whoever is stopped has all of it. Backups first, or each would lead in its turn.
      const { live } = group;
      for (const member of group.members) if (member !== live) await member.end("SIGKILL");
      await live?.end("SIGKILL");
      const ends: number[] = [];
      for (const { dataFolder } of group.members) {
        const disk = new NodeDisk({ folder: dataFolder });
        const { problems, endPosition } = await verifyJournal({ disk, hash: new NodeHash() });
        assert.deepEqual(problems, []);
        ends.push(endPosition);
      }
      assert.equal(new Set(ends).size, 1, `they end at ${ends.join(", ")}\n${story()}`);
    } finally {
      await group.end();
    }
  });

  it("holds on its backups no more of the journal than on its live", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 2);
    const story = (): string => group.story;
    const segmentsOf = (folder: string): string =>
      readdirSync(folder)
        .filter((name) => name.endsWith(".journal"))
        .join();
    try {
      for (const member of group.members) member.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      await using traffic = await Traffic.start(group, 20_000);
      for (let round = 0; round < 20; round += 1) await traffic.send(20);
      // Each beat says what the live has given up, and each commit has it done.
      let isSame = false;
      for (let count = 0; count < 50 && !isSame; count += 1) {
        await traffic.send(1);
        const folders = group.members.map(({ dataFolder }) => segmentsOf(dataFolder));
        isSame = folders[0] === folders[1] && !folders[0]?.startsWith("0000000000000000");
        await sleep(100);
      }
      assert.ok(isSame, story());
      await traffic.end();
    } finally {
      await group.end();
    }
  });
});
