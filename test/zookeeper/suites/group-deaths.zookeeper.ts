/** Groups on ZooKeeper of which everybody dies, or one is there twice: who may lead, and who has to wait for whom. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { Traffic } from "#group/traffic.js";
import { until } from "#group/until.js";
import { BreakableGroup } from "../support/breakable-group.ts";
import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";

/** Longer than a session of ZooKeeper outlives its process, in ms. */
const sessionsMs = 3_000;

for (const version of zooKeeperVersions) {
  describe(`members of a group on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
    });

    for (const first of ["live", "backup"] as const) {
      it(`all die, and the former ${first} goes on alone, when both were in sync and it is the first to start`, async () => {
        const options = { ids: ["anna", "bert"], minInSync: 1, node: `first-${first}` };
        await using group = await BreakableGroup.make(ensemble, options);
        const { processes } = group;
        const story = (): string => processes.story;
        await group.startAll();
        await using traffic = await Traffic.start(processes, 0, group.urls);
        await traffic.send(20);
        const sending = traffic.send(20);
        const { live, members } = processes;
        const backup = members.find((member) => member !== live);
        assert.ok(live !== undefined && backup !== undefined, story());
        await Promise.all([group.kill(live), group.kill(backup)]);
        const [one, other] = first === "live" ? [live, backup] : [backup, live];
        await group.restart(one);
        await sending;
        assert.ok(one.isServing, story());
        assert.deepEqual(processes.inSync, [one.id], story());
        await group.restart(other);
        await group.untilWhole();
        await traffic.send(20);
        await traffic.end();
      });
    }

    it("all die, and the only one that was in sync is waited for, however long the other one is there", async () => {
      const options = { ids: ["anna", "bert"], minInSync: 1, node: "only" };
      await using group = await BreakableGroup.make(ensemble, options);
      const { processes } = group;
      const story = (): string => processes.story;
      await group.startAll();
      await using traffic = await Traffic.start(processes, 0, group.urls);
      await traffic.send(20);
      const { live, members } = processes;
      const backup = members.find((member) => member !== live);
      assert.ok(live !== undefined && backup !== undefined, story());
      await group.kill(backup);
      await traffic.send(20);
      assert.deepEqual(processes.inSync, [live.id], story());
      const sending = traffic.send(20);
      await group.kill(live);
      await group.restart(backup);
      await until(
        "it tells whom it waits for",
        () => backup.lines.some((line) => line.includes("since it is not in sync")),
        story,
      );
      await pause(sessionsMs);
      assert.ok(!backup.isServing, story());
      await group.restart(live);
      await sending;
      assert.ok(live.isServing, story());
      await group.untilWhole();
      await traffic.end();
    });

    it("are undisturbed by another disk with the id of one of them, which is refused", async () => {
      const node = "twice";
      const options = { ids: ["anna", "bert"], minInSync: 2, node };
      await using group = await BreakableGroup.make(ensemble, options);
      await using other = await BreakableGroup.make(ensemble, { ...options, ids: ["bert"] });
      const { processes } = group;
      const [second] = other.processes.members;
      const story = (): string => `${processes.story}\nthe other ${other.processes.story}`;
      assert.ok(second !== undefined);
      await group.startAll();
      await using traffic = await Traffic.start(processes, 0, group.urls);
      await traffic.send(20);
      const links = (): string[] =>
        [...processes.members, second]
          .flatMap(({ lines }) => lines)
          .filter((line) => /A member is linked|A link of members has ended/.test(line));
      const linked = links();
      second.start();
      while (second.isRunning) await traffic.send(1);
      assert.ok(
        second.lines.some((line) => line.includes("EVH_MEMBER_EXISTS")),
        story(),
      );
      assert.deepEqual(links(), linked, story());
      assert.deepEqual(processes.inSync, ["anna", "bert"], story());
      await traffic.end();
    });
  });
}
