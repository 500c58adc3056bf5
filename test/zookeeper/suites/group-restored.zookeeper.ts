/** Groups whose ZooKeeper comes back as it was some time ago, or with nothing: nobody leads by that, and all is told. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import type { MemberProcess } from "#group/group-processes.js";
import { Traffic } from "#group/traffic.js";
import { until } from "#group/until.js";
import { BreakableGroup } from "../support/breakable-group.ts";
import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";

const ids = ["anna", "bert", "cleo"];

/** After this time members have noted on their disks what they saw of the group's node, in ms. */
const notedMs = 3_000;

for (const version of zooKeeperVersions) {
  describe(`a group whose ZooKeeper ${version} is restored`, () => {
    let ensemble: Ensemble;

    const ground = groundOf();
    beforeEach(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
    });

    it("from a backup of an earlier epoch stops, is led by nobody when it is started again, and goes on with the true data", async () => {
      await using group = await BreakableGroup.make(ensemble, { ids, minInSync: 2, node: "epoch" });
      const { processes } = group;
      const story = (): string => processes.story;
      await group.startAll();
      await using traffic = await Traffic.start(processes, 0, group.urls);
      await traffic.send(20);
      await copyData(ensemble, "old");
      const first = processes.live;
      assert.ok(first !== undefined, story());
      await group.kill(first);
      await traffic.send(20);
      await group.restart(first);
      await group.untilWhole();

      await copyData(ensemble, "true");
      await restoreData(ensemble, "old");
      for (const member of processes.members) await stopsAs("older-state", member, story);

      await stopAll(group);
      await restartAll(group);
      for (const member of processes.members) await stopsAs("older-state", member, story);
      assert.ok(processes.live === undefined, story());

      await stopAll(group);
      await restoreData(ensemble, "true");
      await restartAll(group);
      await group.untilWhole();
      await traffic.send(20);
      await traffic.end();
    });

    it("from a backup of the same epoch is led by nobody who knows better, and goes on with the true data", async () => {
      await using group = await BreakableGroup.make(ensemble, { ids, minInSync: 2, node: "same" });
      const { processes } = group;
      const story = (): string => processes.story;
      await group.startAll();
      await using traffic = await Traffic.start(processes, 0, group.urls);
      await traffic.send(20);
      await copyData(ensemble, "old");
      const backup = processes.members.find((member) => member !== processes.live);
      assert.ok(backup !== undefined, story());
      await group.kill(backup);
      await traffic.send(20);
      await until("it is left out", () => !processes.inSync.includes(backup.id), story);
      await traffic.settled();
      await pause(notedMs);

      await stopAll(group);
      await copyData(ensemble, "true");
      await restoreData(ensemble, "old");
      const others = processes.members.filter((member) => member !== backup);
      for (const member of others) await group.restart(member);
      for (const member of others) await stopsAs("older-state", member, story);
      assert.ok(processes.live === undefined, story());

      await stopAll(group);
      await restoreData(ensemble, "true");
      await restartAll(group);
      await group.untilWhole();
      await traffic.send(20);
      await traffic.end();
    });

    it("with nothing in it is led by nobody, and is founded anew from the newest journal under another name", async () => {
      await using group = await BreakableGroup.make(ensemble, { ids, minInSync: 2, node: "gone" });
      const { processes } = group;
      const story = (): string => processes.story;
      await group.startAll();
      const traffic = await Traffic.start(processes, 0, group.urls);
      await traffic.send(20);
      const newest = processes.live;
      assert.ok(newest !== undefined, story());

      await stopAll(group);
      await restoreData(ensemble, undefined);
      await restartAll(group);
      const [founder] = processes.members;
      await until("the founder ends", () => founder?.isRunning === false, story);
      assert.ok(founder !== undefined && hasSaid(founder, "cannot found the group anew"), story());
      for (const member of processes.members.slice(1)) {
        await until("it tells", () => hasSaid(member, "The group's node is gone"), story);
      }
      assert.ok(processes.live === undefined, story());

      await stopAll(group);
      rmSync(join(newest.dataFolder, "member.fence"));
      for (const member of processes.members) {
        if (member !== newest) rmSync(member.dataFolder, { recursive: true });
        renameGroup(member, "orders-2", member === newest);
      }
      await restartAll(group);
      await group.untilWhole();
      // What was sent before is there, once and in order, and the same clients go on.
      await traffic.send(20);
      await traffic.end();
      await traffic[Symbol.asyncDispose]();
    });
  });
}

async function stopAll({ processes }: BreakableGroup): Promise<void> {
  for (const member of processes.members) await member.end("SIGKILL");
}

async function restartAll(group: BreakableGroup): Promise<void> {
  for (const member of group.processes.members) {
    member.lines.length = 0;
    await group.restart(member);
  }
}

/** It stops for this reason, and says what to do. */
async function stopsAs(reason: string, member: MemberProcess, story: () => string): Promise<void> {
  await until(`${member.id} stops`, () => hasSaid(member, `"reason":"${reason}"`), story);
  assert.ok(hasSaid(member, "connect to the right one"), story());
  assert.ok(member.isRunning, story());
}

function hasSaid({ lines }: MemberProcess, text: string): boolean {
  return lines.some((line) => line.includes(text));
}

/** Copies what the servers have on their disks, as a backup at night does: they stand still meanwhile. */
async function copyData(ensemble: Ensemble, name: string): Promise<void> {
  const { servers } = ensemble;
  await Promise.all(servers.map((server) => server.stop()));
  for (const { folder } of servers) {
    cpSync(join(folder, "data"), join(folder, name), { recursive: true });
  }
  await ensemble.startAll();
}

/** Puts back what was copied under this name; undefined: nothing. */
async function restoreData(ensemble: Ensemble, name: string | undefined): Promise<void> {
  const { servers } = ensemble;
  await Promise.all(servers.map((server) => server.stop()));
  for (const { folder } of servers) {
    rmSync(join(folder, "data"), { recursive: true });
    if (name !== undefined) cpSync(join(folder, name), join(folder, "data"), { recursive: true });
  }
  await ensemble.startAll();
}

/** Has it be of another group from its next start on. */
function renameGroup(member: MemberProcess, name: string, founds: boolean): void {
  const file = join(dirname(member.dataFolder), "everhold.json");
  const change = (key: string, value: unknown): unknown =>
    key === "group" ? Object.assign({}, value, { name, founds }) : value;
  writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(file, "utf8"), change)));
}
