import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { connect, EverholdError } from "everhold";

import { diskFaults, setDiskTrouble } from "./disk-control.ts";
import { GroupProcesses } from "./group-processes.ts";
import { until } from "./until.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A few of them want a new file. */
const body = new Uint8Array(200_000);

/** More would not fit into what is prepared on a full disk. */
const sendsMax = 100;

describe("a group of which one disk is full", () => {
  it("goes on without a backup that has no room, which says so once, until it has room", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.nodeArguments = ["--import", diskFaults];
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      const { live } = group;
      const backup = group.members.find((member) => member !== live);
      assert.ok(live !== undefined && backup !== undefined, story());
      await using connection = await connect(group.urls, { log: silent });
      const producer = connection.producer("orders");
      const consumer = connection.consumer("orders");
      setDiskTrouble(backup.dataFolder, { kind: "full" });
      // The disk looks for trouble now and then; what is prepared takes some of them.
      for (let count = 0; group.inSync.length === 3 && count < sendsMax; count += 1) {
        await producer.send(body);
        // What is settled might be given back, and is tried to be.
        await (await consumer.receive({ timeout: 60_000 }))?.ack();
      }
      assert.equal(group.inSync.length, 2, story());
      assert.equal(group.live, live, story());
      await producer.send("the last");
      setDiskTrouble(backup.dataFolder, undefined);
      await until("all in sync again", () => group.inSync.length === 3, story);
      const said = backup.lines.filter((line) => line.includes("a snapshot was given up"));
      assert.ok(said.length <= 1, `${said.length} times\n${story()}`);
    } finally {
      await group.end();
    }
  });

  it("refuses messages where it is the live's, settles what it has, and takes messages again when there is room", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.nodeArguments = ["--import", diskFaults];
      for (const member of group.members) member.start();
      await until("all in sync", () => group.inSync.length === 3, story);
      const { live } = group;
      assert.ok(live !== undefined, story());
      await using connection = await connect(group.urls, { log: silent });
      const producer = connection.producer("orders");
      setDiskTrouble(live.dataFolder, { kind: "full" });
      let sentCount = 0;
      const refused = await (async () => {
        while (sentCount < sendsMax) {
          try {
            await producer.send(body, { timeout: 60_000 });
            sentCount += 1;
          } catch (error) {
            return error;
          }
        }
        return undefined;
      })();
      assert.ok(refused instanceof EverholdError, story());
      assert.deepEqual([refused.code, refused.outcome], ["EVH_ADDRESS_FULL", "none"], story());
      assert.match(refused.message, /disk/);
      const consumer = connection.consumer("orders");
      for (let count = 0; count < sentCount; count += 1) {
        const message = await consumer.receive({ timeout: 60_000 });
        assert.ok(message !== null, story());
        await message.ack();
      }
      setDiskTrouble(live.dataFolder, undefined);
      await until(
        "a message is taken",
        () => live.lines.some((line) => line.includes("the disk has room again")),
        story,
      );
      await producer.send("the end");
      const last = await consumer.receive({ timeout: 60_000 });
      assert.equal(last?.text(), "the end");
      assert.equal(group.live, live, story());
    } finally {
      await group.end();
    }
  });
});
