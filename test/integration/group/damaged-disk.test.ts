import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
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
});
