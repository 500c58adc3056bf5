import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { NodeDisk, NodeHash } from "@everhold/node";
import { verifyJournal } from "@everhold/journal";
import { connect, type Log } from "everhold";

import { GroupProcesses } from "./group-processes.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Waits for something that comes by itself. */
async function until(what: string, isSo: () => boolean, story: () => string): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 50) {
    assert.ok(waitedMs < 60_000, `${what} did not come\n${story()}`);
    await sleep(50);
  }
}

describe("a group of three processes", () => {
  it("loses, doubles and swaps nothing when its live is killed again and again, and ends with equal journals", async () => {
    const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
    const story = (): string => group.story;
    try {
      for (const member of group.members) member.start();
      await until("a live", () => group.live !== undefined, story);
      await using producing = await connect(group.urls, { log: silent });
      await using consuming = await connect(group.urls, { log: silent });
      const producer = producing.producer("orders");
      const consumer = consuming.consumer("orders");
      const got: number[] = [];
      const taking = (async () => {
        for await (const message of consumer) {
          got.push(Number(message.text()));
          await message.ack();
        }
      })();
      let sentCount = 0;
      const lives = new Set<string>();
      for (let round = 0; round < 4; round += 1) {
        for (let count = 0; count < 40; count += 1) {
          await producer.send(String(sentCount));
          sentCount += 1;
        }
        const sending = producer.send(String(sentCount));
        sentCount += 1;
        const { live } = group;
        assert.ok(live !== undefined, story());
        lives.add(live.id);
        await live.end(round === 3 ? "SIGTERM" : "SIGKILL");
        await sending;
        live.start();
      }
      await until("the last message", () => got.length >= sentCount, story);
      await consumer.close();
      await taking;
      assert.deepEqual(
        got,
        Array.from({ length: sentCount }, (_, index) => index),
        story(),
      );
      assert.ok(lives.size > 1, "others have led, too");
      const inSync = (): string => {
        const told = group.live?.lines.findLast((line) => line.includes("The in-sync set is"));
        return /"inSync":"([^"]*)"/.exec(told ?? "")?.[1] ?? "";
      };
      await until("all of them in sync", () => inSync().split(" ").length === 3, story);
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
});
