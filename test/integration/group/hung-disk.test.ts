import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { connect, type Producer } from "everhold";

import { freePort } from "../free-port.ts";
import { diskFaults, setDiskTrouble } from "./disk-control.ts";
import { GroupProcesses, MemberProcess } from "./group-processes.ts";
import { until } from "./until.ts";

const sendCount = 10;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** Three members, all in sync, whose disks do as they are told. */
async function runningGroup(): Promise<GroupProcesses> {
  const group = await GroupProcesses.make(["anna", "bert", "cleo"], 2);
  for (const member of group.members) {
    member.nodeArguments = ["--import", diskFaults];
    member.start();
  }
  await until(
    "all in sync",
    () => group.inSync.length === 3,
    () => group.story,
  );
  return group;
}

/** One after the other begins, for longer than a trouble of a disk takes to begin: one of them waits for it first. */
async function sendSome(producer: Producer): Promise<void> {
  const sends: Promise<unknown>[] = [];
  for (let count = 0; count < sendCount; count += 1) {
    sends.push(producer.send(`${count}`, { timeout: 60_000 }));
    await pause(20);
  }
  await Promise.all(sends);
}

/** Whether it has logged this since its lines were so many. */
function says({ lines }: MemberProcess, message: string, since = 0): boolean {
  return lines.slice(since).some((line) => line.includes(message));
}

describe("a group of which one disk hangs", () => {
  it("goes on with another live where it is the live's, whose process ends though threads of it hang", async () => {
    const group = await runningGroup();
    const story = (): string => group.story;
    try {
      const { live } = group;
      assert.ok(live !== undefined, story());
      await using connection = await connect(group.urls, { log: silent });
      const producer = connection.producer("orders");
      setDiskTrouble(live.dataFolder, { kind: "hanging" });
      await sendSome(producer);
      await until("it has ended", () => !live.isRunning, story);
      assert.notEqual(group.live, undefined, story());
      assert.notEqual(group.live, live, story());
      assert.ok(
        says(live, "This live's disk does not answer: it ends, so that another one leads"),
        story(),
      );
      assert.ok(says(live, "[EVH_DISK_HUNG]"), story());

      // It begins again on the disk as it is, and says what it waits for.
      const since = live.lines.length;
      live.start();
      await until(
        "it says so",
        () => says(live, "The disk does not answer: whatever needs it waits", since),
        story,
      );
      setDiskTrouble(live.dataFolder, undefined);
      await until("all in sync again", () => group.inSync.length === 3, story);
      assert.ok(says(live, "The disk answers again", since), story());
      const consumer = connection.consumer("orders");
      for (let count = 0; count < sendCount; count += 1) {
        const message = await consumer.receive({ timeout: 60_000 });
        assert.equal(message?.text(), `${count}`);
        await message?.ack();
      }
    } finally {
      await group.end();
    }
  });

  it("lets a member be stopped that waits for such a disk", async () => {
    const group = await runningGroup();
    const story = (): string => group.story;
    try {
      const backup = group.members.find((member) => member !== group.live);
      assert.ok(backup !== undefined, story());
      await backup.end("SIGKILL");
      setDiskTrouble(backup.dataFolder, { kind: "hanging" });
      const since = backup.lines.length;
      backup.start();
      await until(
        "it says what it waits for",
        () => says(backup, "The disk does not answer: whatever needs it waits", since),
        story,
      );
      await backup.end("SIGTERM");
      assert.ok(says(backup, "[EVH_DISK_HUNG]", since), story());
    } finally {
      await group.end();
    }
  });
});

describe("a broker alone whose disk hangs", () => {
  it("says so, goes on by itself, and can be stopped all the same", async () => {
    const folder = mkdtempSync(join(tmpdir(), "everhold-disk-"));
    const broker = new MemberProcess("alone", await freePort(), folder);
    const story = (): string => broker.lines.join("\n");
    try {
      broker.configure({ data: "data", acceptors: { core: { url: broker.url } } });
      broker.nodeArguments = ["--import", diskFaults];
      broker.start();
      await until("it listens", () => broker.isServing, story);
      await using connection = await connect(broker.url, { log: silent });
      const producer = connection.producer("orders");
      await producer.send("before");
      setDiskTrouble(broker.dataFolder, { kind: "hanging" });
      const sends = sendSome(producer);
      await until("it says so", () => says(broker, "The disk does not answer"), story);
      setDiskTrouble(broker.dataFolder, undefined);
      await sends;
      await until("it says that", () => says(broker, "The disk answers again"), story);

      const since = broker.lines.length;
      setDiskTrouble(broker.dataFolder, { kind: "hanging" });
      sendSome(producer).catch(() => undefined);
      await until("it says so", () => says(broker, "The disk does not answer", since), story);
      await broker.end("SIGTERM");
      assert.ok(says(broker, "[EVH_DISK_HUNG]", since), story());

      // Told to stop before it has begun, and again, it ends at once.
      broker.start();
      const begun = broker.lines.length;
      await until("it says so", () => says(broker, "The disk does not answer", begun), story);
      const endedOrTold = (): boolean => {
        if (broker.pid !== undefined && broker.isRunning) process.kill(broker.pid, "SIGINT");
        return !broker.isRunning;
      };
      await until("it ends", endedOrTold, story);
    } finally {
      await broker.end("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
