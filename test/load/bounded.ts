import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { packets } from "@everhold/wire";
import { connect, type Connection } from "everhold";

import { BrokerUnderLoad } from "./broker-under-load.ts";
import { ClientProcess, forEachIndex } from "./client-process.ts";
import { RawConnection } from "./raw-connection.ts";

const help = `npm run bounded

What a broker's memory does under clients that ask for more than it may have, one after the other:
  frozen       a consumer that never reads, with 100 MB before it; what others beside it lose by that
  unsettled    a consumer with unlimited prefetch that takes 200,000 messages and settles none
  transactions 500 open transactions of 200 KB
  blocked      1,000 producers that wait for room at a full address, and all get it in the end
  flood        400,000 small messages that only memory keeps, five times as many as it may hold

The broker runs in a process of its own with 32 MiB for messages. Needs Linux. Takes about 50 seconds.
Exits with 1 when a limit is exceeded.
`;

const mebibyte = 1024 * 1024;
const frozenRatioMin = 0.3;
/** A machine that stands still for as long as a turn lasts gives neither side its chance in it. */
const frozenTurnsMax = 6;
const config = `
limits: { memory: 32MiB }
journal: { cacheSize: 16MiB }
addressSettings:
  full: { maxSizeBytes: 1MiB }
`;

/** What a figure may be at most, and at least; a figure that is not here is for information only. */
const limits: Readonly<Record<string, { readonly min?: number; readonly max?: number }>> = {
  frozenRssGrowthBytes: { max: 96 * mebibyte },
  // Of one run. A busy machine makes either side slower, a consumer that stalls others far more.
  frozenThroughputRatio: { min: frozenRatioMin },
  flowMessagesLostCount: { max: 0 },
  // A delivery in flight is a row and a slot of the consumer's; 400 bytes each would be objects.
  unsettledLiveBytesPerMessage: { max: 200 },
  // 64 MiB for all of them, 64 KiB for each, and what the collector has not given back.
  transactionsRssGrowthBytes: { max: 160 * mebibyte },
  transactionsCommittedCount: { min: 500 },
  blockedLiveBytesPerProducer: { max: 16 * 1024 },
  blockedServedCount: { min: 1_000 },
  floodLiveBytes: { max: 48 * mebibyte },
  floodRefusedCount: { min: 1 },
  peakRssBytes: { max: 640 * mebibyte },
};

const figures = new Map<string, number>();
let peakRssBytes = 0;

if (process.argv.includes("--help")) process.stdout.write(help);
else await main();

async function main(): Promise<void> {
  const startedMs = performance.now();
  const home = mkdtempSync(join(tmpdir(), "everhold-bounded-"));
  try {
    const file = join(home, "everhold.yaml");
    writeFileSync(file, config);
    {
      await using broker = await BrokerUnderLoad.start({ config: file });
      const watching = setInterval(() => watch(broker), 50);
      try {
        await runAll(broker);
      } finally {
        clearInterval(watching);
      }
    }
    note("peakRssBytes", peakRssBytes);
    note("seconds", (performance.now() - startedMs) / 1_000);
    checkLimits();
  } catch (error) {
    process.stderr.write(
      `bounded: ${error instanceof Error ? (error.stack ?? "") : String(error)}\n`,
    );
    process.exitCode = 1;
  } finally {
    rmSync(home, { recursive: true });
  }
}

async function runAll(broker: BrokerUnderLoad): Promise<void> {
  await using connection = await connect(broker.url);
  // So that what a broker makes once is there before it is looked at.
  await flow(broker, "warmUp");
  await frozen(broker, connection);
  await unsettled(broker, connection);
  await transactions(broker, connection);
  await blocked(broker, connection);
  await flood(broker, connection);
  if (!broker.isAlive) throw new Error("the broker ended");
}

async function frozen(broker: BrokerUnderLoad, connection: Connection): Promise<void> {
  await connection.createQueue("frozen");
  const body = new Uint8Array(100_000);
  await connection.producer("frozen").sendBatch(Array.from({ length: 1_000 }, () => ({ body })));
  // By turns, and the best of each: what else the machine does may come between in some turns, a consumer that
  // stalls others does in every one.
  const alone: number[] = [];
  const beside: number[] = [];
  let frozenRssGrowthBytes = 0;
  const ratio = (): number => Math.max(...beside) / Math.max(...alone);
  for (let turn = 1; turn <= 2 || (turn <= frozenTurnsMax && ratio() < frozenRatioMin); turn += 1) {
    alone.push(await flow(broker, `alone${turn}`));
    const before = broker.rssBytes;
    const deaf = await RawConnection.open(broker.port, `deaf-${turn}`);
    await deaf.consume("frozen", -1);
    deaf.socket.pause();
    beside.push(await flow(broker, `frozen${turn}`));
    frozenRssGrowthBytes = Math.max(frozenRssGrowthBytes, broker.rssBytes - before);
    deaf.socket.destroy();
    await untilUnused(connection, "frozen");
  }
  note("frozenRssGrowthBytes", frozenRssGrowthBytes);
  note("frozenThroughputRatio", ratio());
  await drop(connection, "frozen");
}

async function unsettled(broker: BrokerUnderLoad, connection: Connection): Promise<void> {
  const count = 200_000;
  await connection.createQueue("unsettled");
  const producer = connection.producer("unsettled");
  for (let sent = 0; sent < count; sent += 10_000) {
    await producer.sendBatch(Array.from({ length: 10_000 }, () => ({ body: "x" })));
  }
  const before = await broker.settled(Infinity, 1);
  const greedy = await RawConnection.open(broker.port, "greedy");
  greedy.acknowledges = false;
  let received = 0;
  greedy.onOther = (id) => {
    if (id === packets.receive.id) received += 1;
  };
  await greedy.consume("unsettled", -1);
  await until(() => received >= count, "all are delivered");
  const after = await broker.settled(Infinity, 1);
  note("unsettledCount", received);
  note("unsettledLiveBytesPerMessage", (after.heapBytes - before.heapBytes) / count);
  note("unsettledRssGrowthBytes", after.rssBytes - before.rssBytes);
  greedy.socket.destroy();
  await drop(connection, "unsettled");
}

async function transactions(broker: BrokerUnderLoad, connection: Connection): Promise<void> {
  const count = 500;
  await connection.createQueue("transacted");
  const before = broker.rssBytes;
  const body = new Uint8Array(10_000);
  const sessions = await Promise.all(
    Array.from({ length: count }, () => connection.session({ transacted: true })),
  );
  await forEachIndex(count, 50, async (index) => {
    const producer = sessions[index]?.producer("transacted");
    await producer?.sendBatch(Array.from({ length: 20 }, () => ({ body })));
  });
  // An answer on the same connection: all of that has arrived.
  await connection.queueInfo("transacted");
  note("transactionsRssGrowthBytes", broker.rssBytes - before);
  await forEachIndex(count, 50, async (index) => {
    const session = sessions[index];
    await session?.commit();
    await session?.close();
  });
  const held = (await connection.queueInfo("transacted"))?.messageCount ?? 0;
  note("transactionsCommittedCount", held / 20);
  await drop(connection, "transacted");
}

async function blocked(broker: BrokerUnderLoad, connection: Connection): Promise<void> {
  const count = 1_000;
  await connection.createQueue("full");
  const filling = connection.producer("full");
  await filling.sendBatch(Array.from({ length: 12 }, () => ({ body: new Uint8Array(100_000) })));
  const before = await broker.settled(Infinity, 1);
  const producers: RawConnection[] = [];
  let served = 0;
  await forEachIndex(count, 100, async (index) => {
    const producer = await RawConnection.open(broker.port, `blocked-${index}`);
    producer.onOther = (id) => {
      if (id === packets.producerCredits.id) served += 1;
    };
    producer.requestCredits("full", 1_000);
    producers.push(producer);
  });
  const after = await broker.settled(Infinity, 1);
  note("blockedLiveBytesPerProducer", (after.heapBytes - before.heapBytes) / count);
  note("blockedServedTooEarlyCount", served);
  await drop(connection, "full");
  await connection.createQueue("full");
  await until(() => served >= count, "all producers get credit");
  note("blockedServedCount", served);
  for (const producer of producers) producer.socket.destroy();
  await drop(connection, "full");
}

async function flood(broker: BrokerUnderLoad, connection: Connection): Promise<void> {
  const count = 400_000;
  await connection.createQueue("flood");
  const before = await broker.settled(Infinity, 1);
  const raw = await RawConnection.open(broker.port, "flood");
  for (let sent = 0; sent < count; sent += 1) {
    raw.sendMessage("flood");
    if (sent % 2_000 > 0) continue;
    // The other connection, which this process has too, is not to be held up.
    await pause(1);
    await until(() => raw.socket.writableLength < mebibyte, "it is read");
  }
  await until(() => raw.socket.writableLength === 0, "it is read");
  const after = await broker.settled(Infinity, 1);
  const kept = (await connection.queueInfo("flood"))?.messageCount ?? 0;
  note("floodKeptCount", kept);
  note("floodRefusedCount", count - kept);
  note("floodLiveBytes", after.heapBytes - before.heapBytes);
  note("floodRssGrowthBytes", after.rssBytes - before.rssBytes);
  raw.socket.destroy();
  // Producers get no credit now; whoever needs none sends durable messages as ever.
  await using free = await connect(broker.url, { producerWindow: -1 });
  await free.send("durable", "x");
  const waiting = connection.send("durable", "y");
  await drop(connection, "flood");
  await waiting;
}

/** How many messages a second went through. */
async function flow(broker: BrokerUnderLoad, name: string): Promise<number> {
  const seconds = name === "warmUp" ? 1 : 3;
  await using client = new ClientProcess("flow", { port: broker.port, seconds });
  const found = await client.next();
  const perSecond = found.get("perSecond");
  if (name === "warmUp") return perSecond;
  note(`${name}MessagesPerSecond`, perSecond);
  note(`${name}P99Milliseconds`, found.get("p99Ms"));
  const lost = found.get("sentCount") - found.get("receivedCount");
  note("flowMessagesLostCount", (figures.get("flowMessagesLostCount") ?? 0) + lost);
  return perSecond;
}

/** Deletes a queue once nobody consumes from it any more. */
async function drop(connection: Connection, queue: string): Promise<void> {
  await untilUnused(connection, queue);
  await connection.deleteQueue(queue);
}

async function untilUnused(connection: Connection, queue: string): Promise<void> {
  for (let round = 0; round < 6_000; round += 1) {
    if ((await connection.queueInfo(queue))?.consumerCount === 0) break;
    await pause(10);
  }
}

/** @throws Error when it does not happen */
async function until(isDone: () => boolean, what: string, seconds = 120): Promise<void> {
  const deadlineMs = performance.now() + seconds * 1_000;
  while (!isDone()) {
    if (performance.now() > deadlineMs) throw new Error(`expected that ${what}`);
    await pause(5);
  }
}

function watch(broker: BrokerUnderLoad): void {
  if (broker.isAlive) peakRssBytes = Math.max(peakRssBytes, broker.rssBytes);
}

function note(name: string, value: number): void {
  const isWhole = /Bytes|Count/.test(name);
  const rounded = isWhole ? Math.round(value) : Math.round(value * 1_000) / 1_000;
  figures.set(name, rounded);
  process.stdout.write(`${name.padEnd(32)} ${rounded.toLocaleString("en-US")}\n`);
}

function checkLimits(): void {
  for (const [name, value] of figures) {
    const { min = -Infinity, max = Infinity } = limits[name] ?? {};
    if (value >= min && value <= max) continue;
    const expected = value < min ? `at least ${min}` : `at most ${max}`;
    process.stderr.write(`bounded: ${name} is ${value}, expected ${expected}\n`);
    process.exitCode = 1;
  }
}
