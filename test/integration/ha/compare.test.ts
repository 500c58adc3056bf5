import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { compareData } from "everhold";

import { GroupProcesses } from "../group/group-processes.ts";
import { Traffic } from "../group/traffic.ts";
import { until } from "../group/until.ts";

describe("the journals of a group's members", () => {
  it("W6 are equal, beginnings of each other, or different, and it is said where", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 1);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      const { live } = group;
      const backup = group.members.find((member) => member !== live);
      assert.ok(live !== undefined && backup !== undefined);
      {
        await using traffic = await Traffic.start(group);
        await traffic.send(30);
        await traffic.end();
      }
      await backup.end("SIGKILL");
      const older = `${backup.dataFolder}-older`;
      cpSync(backup.dataFolder, older, { recursive: true });
      backup.start();
      await until("both in sync again", () => group.inSync.length === 2, story);
      {
        await using traffic = await Traffic.start(group);
        await traffic.send(30);
        await traffic.end();
      }
      await until("both in sync at last", () => group.inSync.length === 2, story);
      await backup.end("SIGKILL");
      await live.end("SIGKILL");
      const folders = [live.dataFolder, backup.dataFolder];
      const equal = await compareData(folders);
      // Sessions of clients that have just gone may be noted on one of them only.
      assert.notEqual(equal.verdict, "different", JSON.stringify(equal));
      for (const { highestId, endPosition } of equal.folders) {
        assert.ok(
          highestId > 0 && highestId < endPosition,
          "the id of a record is where it begins",
        );
      }
      const beginnings = await compareData([live.dataFolder, older]);
      assert.equal(beginnings.verdict, "beginnings", JSON.stringify(beginnings));
      assert.ok((beginnings.folders[0]?.epochs.length ?? 0) > 0);
      const name = readdirSync(older).find((file) => file.endsWith(".journal"));
      assert.ok(name !== undefined);
      const bytes = readFileSync(join(older, name));
      bytes[beginnings.commonPosition - 600] = (bytes[beginnings.commonPosition - 600] ?? 0) ^ 1;
      writeFileSync(join(older, name), bytes);
      const different = await compareData([live.dataFolder, older]);
      assert.equal(different.verdict, "different", JSON.stringify(different));
    } finally {
      await group.end();
    }
  });
});
