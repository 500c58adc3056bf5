import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { connect, type Connection, type Log } from "everhold";
import { verifyJournal } from "@everhold/journal";
import { NodeDisk, NodeHash } from "@everhold/node";

import { GroupProcesses, type MemberProcess } from "./group-processes.ts";
import { until } from "./until.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const messageBytes = 20_000;

/** Little of the journal is in memory: what is not new is read from the disk. */
const forgetful = () => ({
  journal: { fileSize: "1MiB", snapshotSize: "1MiB", cacheSize: "1MiB" },
});

function bodyOf(number: number): string {
  return `${number} `.padEnd(messageBytes, String.fromCharCode(97 + (number % 26)));
}

/** Changes a byte in each of the older segments of a member, as a disk may that lets its data rot. */
function damage({ dataFolder }: MemberProcess): number {
  const names = readdirSync(dataFolder)
    .filter((name) => name.endsWith(".journal"))
    .toSorted();
  const older = names.slice(0, -2);
  for (const name of older) {
    const file = openSync(join(dataFolder, name), "r+");
    const byte = Buffer.alloc(1);
    const at = 300_000;
    readSync(file, byte, 0, 1, at);
    byte.writeUInt8(byte.readUInt8() ^ 1);
    writeSync(file, byte, 0, 1, at);
    closeSync(file);
  }
  return older.length;
}

/** Loses the snapshots and changes bytes all over the newest of the log, but for its end, which might be a torn write. */
async function damageNewest({ dataFolder }: MemberProcess): Promise<void> {
  const disk = new NodeDisk({ folder: dataFolder });
  const { endPosition } = await verifyJournal({ disk, hash: new NodeHash() });
  const names = readdirSync(dataFolder);
  for (const name of names) if (name.startsWith("snapshot-")) rmSync(join(dataFolder, name));
  const segments = names.filter((name) => name.endsWith(".journal")).toSorted();
  for (const name of segments.slice(-3)) {
    const base = Number.parseInt(name, 16);
    const file = openSync(join(dataFolder, name), "r+");
    const end = Math.min(endPosition - 100_000 - base, 1024 * 1024);
    for (let at = 8_192; at < end; at += 4_096) writeSync(file, "rot", at);
    closeSync(file);
  }
}

/** Writes over the beginning of a file of a stopped member. */
function overwrite({ dataFolder }: MemberProcess, name: string, at: number, text: string): void {
  const file = openSync(join(dataFolder, name), "r+");
  writeSync(file, text, at);
  closeSync(file);
}

async function problemsOf({ dataFolder }: MemberProcess): Promise<readonly unknown[]> {
  const disk = new NodeDisk({ folder: dataFolder });
  return (await verifyJournal({ disk, hash: new NodeHash() })).problems;
}

async function sendAll(connection: Connection, count: number): Promise<void> {
  const producer = connection.producer("orders");
  const numbers = Array.from({ length: count }, (_, number) => number);
  await Promise.all(numbers.map((number) => producer.send(bodyOf(number))));
}

/** Takes so many messages, and compares each with what was sent. */
async function takeAll(connection: Connection, count: number): Promise<void> {
  const consumer = connection.consumer("orders", { prefetch: 10 });
  let next = 0;
  for await (const message of consumer) {
    assert.ok(message.text() === bodyOf(next), `message ${next} came as it was sent`);
    await message.ack();
    next += 1;
    if (next === count) break;
  }
  await consumer.close();
}

describe("a group of which a disk lets data rot", () => {
  for (const whose of ["live", "backup that leads next"] as const) {
    it(`hands everything out as it was sent, and mends it, where it is the ${whose}'s`, async () => {
      const group = await GroupProcesses.make(
        ["anna", "bert", "cleo"],
        2,
        undefined,
        undefined,
        forgetful,
      );
      const story = (): string => group.story;
      try {
        for (const member of group.members) member.start();
        await until("all in sync", () => group.inSync.length === 3, story);
        const connection = await connect(group.urls, { log: silent });
        const count = 300;
        await sendAll(connection, count);
        const { live } = group;
        assert.ok(live !== undefined);
        let victim = live;
        if (whose !== "live") {
          await live.end("SIGKILL");
          await until("another one leads", () => group.live !== undefined, story);
          assert.ok(group.live !== undefined);
          victim = group.live;
        }
        const damagedCount = damage(victim);
        assert.ok(damagedCount > 2);
        await takeAll(connection, count);
        const mended = victim.lines.filter((line) => line.includes("The journal was mended"));
        assert.ok(mended.length >= damagedCount - 1, story());
        if (whose !== "live") live.start();
        await until("all in sync at the end", () => group.inSync.length === 3, story);
        await connection.close();
        for (const member of group.members) if (member !== group.live) await member.end("SIGKILL");
        await group.live?.end("SIGKILL");
        for (const member of group.members) assert.deepEqual(await problemsOf(member), []);
      } finally {
        await group.end();
      }
    });
  }

  it("fills a member up whose journal does not open any more, and leaves it as it is while nobody leads", async () => {
    const group = await GroupProcesses.make(
      ["anna", "bert", "cleo"],
      2,
      undefined,
      undefined,
      forgetful,
    );
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      const connection = await connect(group.urls, { log: silent });
      const count = 200;
      await sendAll(connection, count);
      // First the live's, then the one of a backup, and then one while nobody else is there.
      for (const what of ["live", "backup"] as const) {
        const victim = group.members.find(
          (member) => (member === group.live) === (what === "live"),
        );
        assert.ok(victim !== undefined);
        await victim.end("SIGKILL");
        await damageNewest(victim);
        assert.notDeepEqual(await problemsOf(victim), []);
        victim.start();
        await until(
          `${what} was filled up`,
          () => told(victim, "This member was filled up"),
          story,
        );
        await until("all in sync again", () => group.inSync.length === 3, story);
      }
      const [alone, ...others] = group.members;
      assert.ok(alone !== undefined);
      for (const member of group.members) await member.end("SIGKILL");
      await damageNewest(alone);
      const before = await problemsOf(alone);
      alone.lines.length = 0;
      alone.start();
      const isWaiting = (): boolean =>
        told(alone, "Nobody else leads who could fill") || told(alone, "could not be filled up");
      await until("it waits", isWaiting, story);
      await alone.end("SIGKILL");
      assert.deepEqual(await problemsOf(alone), before);
      for (const member of [alone, ...others]) member.start();
      // Before another one leads it may have been mended.
      const isBack = (): boolean =>
        told(alone, "This member was filled up") || told(alone, "This member's journal was mended");
      await until("it was filled up, or mended", isBack, story);
      await takeAll(connection, count);
      await until("all in sync at last", () => group.inSync.length === 3, story);
      await connection.close();
      for (const member of group.members) if (member !== group.live) await member.end("SIGKILL");
      await group.live?.end("SIGKILL");
      for (const member of group.members) assert.deepEqual(await problemsOf(member), []);
    } finally {
      await group.end();
    }
  });

  it("fills a member up of which a fence or a segment does not begin as it should, and refuses what is newer", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      const connection = await connect(group.urls, { log: silent });
      const count = 20;
      await sendAll(connection, count);
      const victim = group.members.find((member) => member !== group.live);
      assert.ok(victim !== undefined);
      for (const name of ["member.fence", "0000000000000000.journal"]) {
        await victim.end("SIGKILL");
        overwrite(victim, name, 0, "rot");
        victim.lines.length = 0;
        victim.start();
        const isFilled = (): boolean => told(victim, "This member was filled up");
        await until(`it was filled up in place of ${name}`, isFilled, story);
        await until("all in sync again", () => group.inSync.length === 3, story);
      }
      await victim.end("SIGKILL");
      overwrite(victim, "member.fence", 8, "\0\0\0\t");
      victim.lines.length = 0;
      victim.start();
      await until("it has ended", () => !victim.isRunning, story);
      assert.ok(told(victim, "found format version 9, this program knows up to 1"), story());
      overwrite(victim, "member.fence", 8, "\0\0\0\u0001");
      victim.start();
      await until("all in sync at last", () => group.inSync.length === 3, story);
      await takeAll(connection, count);
      await connection.close();
    } finally {
      await group.end();
    }
  });
});

function told({ lines }: MemberProcess, text: string): boolean {
  return lines.some((line) => line.includes(text));
}
