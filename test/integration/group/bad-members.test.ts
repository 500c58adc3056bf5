import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, type Log } from "everhold";

import { GroupProcesses, type MemberProcess } from "./group-processes.ts";
import { Traffic } from "./traffic.ts";
import { until } from "./until.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

describe("a group of processes does not take in", () => {
  it("a member that does not know its secret: both logs say so, and the others go on", async () => {
    const wrong = (index: number) =>
      index === 2 ? { group: { secret: "what it guessed itself" } } : {};
    const group = await GroupProcesses.make(
      ["anna", "bert", "cleo"],
      2,
      undefined,
      undefined,
      wrong,
    );
    const story = (): string => group.story;
    try {
      const [anna, bert, cleo] = membersOf(group);
      for (const member of [anna, bert]) member.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      await using traffic = await Traffic.start(group);
      const sending = traffic.send(50);
      cleo.start();
      const isTold = ({ lines }: MemberProcess): boolean =>
        lines.some((line) => /connection of members was refused.*"reason":"secret"/.test(line));
      await until("both say why", () => isTold(cleo) && [anna, bert].some(isTold), story);
      await sending;
      await traffic.end();
      assert.deepEqual(group.inSync, ["anna", "bert"], story());
    } finally {
      await group.end();
    }
  });

  it("a data folder of another group", async () => {
    const another = await GroupProcesses.make(["anna"], 1);
    const group = await GroupProcesses.make(["anna", "bert"], 1);
    const story = (): string => group.story;
    try {
      const [stranger] = membersOf(another);
      stranger.start();
      await until(
        "the other group serves",
        () => stranger.isServing,
        () => another.story,
      );
      await stranger.end("SIGKILL");
      const [anna, bert] = membersOf(group);
      anna.start();
      await until("this one serves", () => anna.isServing, story);
      cpSync(stranger.dataFolder, bert.dataFolder, { recursive: true });
      bert.start();
      await until("it has ended", () => !bert.isRunning, story);
      assert.equal(await bert.end("SIGTERM"), 1, story());
      assert.match(bert.lines.join("\n"), /EVH_DATA_FORMAT/);
      assert.deepEqual(group.inSync, ["anna"]);
    } finally {
      await group.end();
      await another.end();
    }
  });

  it("an empty disk in place of one that was in sync: who has everything leads", async () => {
    const group = await GroupProcesses.make(["anna", "bert"], 1);
    const story = (): string => group.story;
    try {
      const [anna, bert] = membersOf(group);
      for (const member of [anna, bert]) member.start();
      await until("both in sync", () => group.inSync.length === 2, story);
      const texts = Array.from({ length: 20 }, (_, index) => `${index}`);
      await using connection = await connect(group.urls, { log: silent });
      for (const text of texts) await connection.producer("orders").send(text);
      // Before either can leave the other one out.
      await Promise.all([anna.end("SIGKILL"), bert.end("SIGKILL")]);
      rmSync(bert.dataFolder, { recursive: true });
      const before = bert.lines.length;
      bert.start();
      const hasRead = (): boolean =>
        bert.lines.slice(before).some((line) => line.includes('"inSync":"anna bert"'));
      await until("it knows that its name is in sync", hasRead, story);
      // Longer than it would wait for its live, so that a mistake shows: nothing that is right depends on it.
      await sleep(3_000);
      assert.equal(bert.isServing, false, story());
      anna.start();
      const got: string[] = [];
      for await (const message of connection.consumer("orders")) {
        got.push(message.text());
        await message.ack();
        if (got.length === texts.length) break;
      }
      assert.deepEqual(got, texts, story());
      await until("both in sync again", () => group.inSync.length === 2, story);
      assert.equal(group.live, anna, story());
    } finally {
      await group.end();
    }
  });
});

describe("what settles who leads, of an older time", () => {
  for (const [what, reason] of [
    ["restored from a backup", /"reason":"older-state"/],
    ["gone", /cannot found the group anew: this data folder was a member's of it up to epoch/],
  ] as const) {
    it(`is refused when it is ${what}: nobody leads by it, and the log says why`, async () => {
      const group = await GroupProcesses.make(["anna", "bert"], 1);
      const story = (): string => group.story;
      const backup = `${group.sharedFolder}-backup`;
      try {
        const [anna, bert] = membersOf(group);
        for (const member of [anna, bert]) member.start();
        await until("both in sync", () => group.inSync.length === 2, story);
        copyFiles(group.sharedFolder, backup);
        // Another one leads since.
        const { live } = group;
        await live?.end("SIGTERM");
        await until("the other one leads", () => group.live !== undefined, story);
        live?.start();
        await until("both in sync again", () => group.inSync.length === 2, story);
        await Promise.all([anna.end("SIGKILL"), bert.end("SIGKILL")]);
        rmSync(group.sharedFolder, { recursive: true });
        if (what !== "gone") copyFiles(backup, group.sharedFolder);
        const before = [anna.lines.length, bert.lines.length];
        for (const member of [anna, bert]) member.start();
        const refused = (member: MemberProcess, from = 0): boolean =>
          member.lines.slice(from).some((line) => reason.test(line));
        await until("the founder refuses it", () => refused(anna, before[0]), story);
        if (what !== "gone") await until("the other too", () => refused(bert, before[1]), story);
        assert.equal(group.live, undefined, story());
      } finally {
        rmSync(backup, { recursive: true, force: true });
        await group.end();
      }
    });
  }
});

/** The files of a folder, and no sockets. */
function copyFiles(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isFile()) cpSync(join(from, entry.name), join(to, entry.name));
  }
}

function membersOf(group: GroupProcesses): readonly [MemberProcess, MemberProcess, MemberProcess] {
  const [first, second = first, third = first] = group.members;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  return [first, second, third];
}
