import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { connect, EverholdError, type Connection } from "everhold";

import { BrokerUnderLoad } from "./broker-under-load.ts";
import { SmallDisk } from "./small-disk.ts";

const help = `npm run disk-full

A broker, in a process of its own as users start it, on a small file system that is filled to the brim,
first by its own messages, then by somebody else's file. What it must not do is lie, lose or die: new
messages are refused, acknowledgements, commits and administration go on, it starts again on the full
disk, and takes messages again when there is room. Needs Linux and the right to mount a file system
(ext4 in a file, else tmpfs); without it the run fails. Takes about half a minute.
`;

const diskMebibytes = 160;
const environment = { EVERHOLD__JOURNAL__FILE_SIZE: "16MiB" };
const body = new Uint8Array(100_000);

if (process.argv.includes("--help")) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const startedMs = performance.now();
  try {
    using disk = SmallDisk.mount(diskMebibytes);
    say(`${disk.kind} of ${diskMebibytes} MiB`);
    await filledByUs(disk);
    rmSync(join(disk.folder, "ours"), { recursive: true });
    await filledByOthers(disk);
    say(`all held, in ${seconds(startedMs)} s`);
  } catch (error) {
    process.stderr.write(
      `disk-full: ${error instanceof Error ? (error.stack ?? "") : String(error)}\n`,
    );
    process.exitCode = 1;
  }
}

/** Messages fill the disk; consuming them makes room. */
async function filledByUs(disk: SmallDisk): Promise<void> {
  const folder = dataFolder(disk, "ours");
  let kept: number;
  {
    await using broker = await BrokerUnderLoad.start({ folder, environment });
    await using connection = await connect(broker.url);
    await using transacted = await connection.session({ transacted: true });
    await transacted.send("in-transaction", "accepted before the disk was full", { confirm: true });
    const sent = await fill(broker.url, "full");
    say(
      `${sent} messages of ${body.length} bytes were taken, then one refused, ${free(disk)} free`,
    );
    // Whoever asks for credit waits, and may stop waiting.
    const waiting = connection.producer("full").send(body, { timeout: 500 });
    await assert.rejects(waiting, { code: "EVH_TIMEOUT", outcome: "none" });
    await transacted.commit();
    assert.equal(await countOf(connection, "in-transaction"), 1);
    await administer(connection);
    kept = sent - (await acknowledge(connection, "full", 5));
    assert.equal(await countOf(connection, "full"), kept);
    assert.ok(broker.isAlive);
    await broker.kill();
  }
  say("killed on the full disk");
  {
    await using broker = await BrokerUnderLoad.start({ folder, environment });
    await using connection = await connect(broker.url);
    assert.equal(await countOf(connection, "full"), kept, "what was settled is settled");
    assert.equal(await countOf(connection, "in-transaction"), 1);
    const consumedMs = performance.now();
    assert.equal(await acknowledge(connection, "full", kept), kept);
    say(`${kept} messages consumed in ${seconds(consumedMs)} s`);
    const emptyMs = performance.now();
    await untilTaken(broker.url, "full");
    say(
      `takes messages again ${seconds(emptyMs)} s after the last was consumed, ${free(disk)} free`,
    );
    let again = await fill(broker.url, "full");
    let triedCount = 1;
    // Room comes back bit by bit; who fills it faster than that is refused in between.
    const deadlineMs = emptyMs + 60_000;
    while (again <= kept / 2 && performance.now() < deadlineMs) {
      await untilTaken(broker.url, "full");
      triedCount += 1;
      again += await fill(broker.url, "full");
    }
    assert.ok(again > kept / 2, `${again} messages fit into what ${kept} had taken`);
    say(`${again} messages were taken the second time`);
    const consumed = await acknowledge(connection, "full", again + triedCount);
    assert.equal(consumed, again + triedCount);
  }
}

/** Another program takes all space, down to the last block. */
async function filledByOthers(disk: SmallDisk): Promise<void> {
  const folder = dataFolder(disk, "others");
  const count = 3_000;
  const acked = 500;
  let left = count - acked;
  {
    await using broker = await BrokerUnderLoad.start({ folder, environment });
    await using connection = await connect(broker.url);
    const messages = Array.from({ length: count }, (_, index) => ({ body: String(index) }));
    await connection.producer("small").sendBatch(messages);
    await pause(2_000);
    say(`somebody else takes ${mebibytes(disk.fillToTheBrim())}, ${free(disk)} free`);
    const startedMs = performance.now();
    // Each on its own, so that each costs a write: the dearest way.
    const consumer = connection.consumer("small", { prefetch: 1 });
    for (let index = 0; index < acked; index += 1) {
      const message = await consumer.receive({ timeout: 60_000 });
      assert.equal(message?.text(), String(index));
      await message.ack();
    }
    await consumer.close();
    say(`${acked} acknowledgements, one by one, in ${seconds(startedMs)} s`);
    await administer(connection);
    const taken = await fill(broker.url, "small");
    say(
      `${taken} messages of ${body.length} bytes went where room was prepared, then one was refused`,
    );
    left += taken;
    assert.ok(broker.isAlive);
    disk.fillToTheBrim();
    await broker.kill();
    disk.fillToTheBrim();
  }
  {
    await using broker = await BrokerUnderLoad.start({ folder, environment });
    await using connection = await connect(broker.url);
    assert.equal(await countOf(connection, "small"), left, "what was settled is settled");
    const startedMs = performance.now();
    assert.equal(await acknowledge(connection, "small", left), left);
    say(`after a kill the other ${left} were consumed in ${seconds(startedMs)} s`);
    disk.giveBack();
    const emptyMs = performance.now();
    await untilTaken(broker.url, "small");
    say(`takes messages again ${seconds(emptyMs)} s after the space was given back`);
    assert.equal(await countOf(connection, "small"), 1);
  }
}

/** Sends until a send is refused, and gives how many were taken. */
async function fill(url: string, address: string): Promise<number> {
  // Without a window, so that refusals are seen; with one, producers wait instead.
  await using connection = await connect(url, { producerWindow: -1 });
  const producer = connection.producer(address);
  for (let taken = 0; taken < 10_000;) {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => producer.send(body)));
    for (const result of results) {
      if (result.status === "fulfilled") taken += 1;
      else checkRefusal(result.reason);
    }
    if (results.some(({ status }) => status === "rejected")) return taken;
  }
  throw new Error("the disk never became full");
}

function checkRefusal(error: unknown): void {
  assert.ok(EverholdError.is(error, "EVH_ADDRESS_FULL"), String(error));
  assert.equal(error.outcome, "none");
}

/** Consumes until so many are acknowledged, and every acknowledgement is answered. */
async function acknowledge(
  connection: Connection,
  queue: string,
  countMax: number,
): Promise<number> {
  const consumer = connection.consumer(queue, { prefetch: 50 });
  const acks: Promise<void>[] = [];
  while (acks.length < countMax) {
    const message = await consumer.receive({ timeout: 60_000 });
    if (message === null) break;
    acks.push(message.ack());
  }
  await Promise.all(acks);
  await consumer.close();
  return acks.length;
}

/** Queues are made, asked about and deleted, whatever the disk says. */
async function administer(connection: Connection): Promise<void> {
  await connection.createQueue("made-on-a-full-disk");
  assert.equal(await countOf(connection, "made-on-a-full-disk"), 0);
  await connection.deleteQueue("made-on-a-full-disk");
}

/** Sends until one is taken again: the broker looks at a full disk every second. */
async function untilTaken(url: string, address: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  await using connection = await connect(url, { producerWindow: -1 });
  for (;;) {
    try {
      return await connection.send(address, "x");
    } catch (error) {
      checkRefusal(error);
      if (performance.now() > deadlineMs) throw error;
      await pause(100);
    }
  }
}

async function countOf(connection: Connection, queue: string): Promise<number> {
  return (await connection.queueInfo(queue))?.messageCount ?? -1;
}

function dataFolder(disk: SmallDisk, name: string): string {
  const folder = join(disk.folder, name);
  mkdirSync(folder);
  return folder;
}

function say(words: string): void {
  process.stdout.write(`${words}\n`);
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(1);
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function free(disk: SmallDisk): string {
  return mebibytes(disk.freeBytes);
}
