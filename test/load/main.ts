import { parseArgs } from "node:util";

import { connect } from "everhold";

import { BrokerUnderLoad } from "./broker-under-load.ts";
import { ClientProcess } from "./client-process.ts";

const help = `npm run many [-- --json]

Many clients on one broker, which runs in a process of its own as users start it:
  drop    10,000 connections opened and dropped at every stage of their life: nothing is left behind
  crowd   2,000 idle connections, each with a session and a consumer: what they cost
  flow    a producer and a consumer beside them, one that never reads and one that reads a byte a second
  stall   handshakes that are begun and never ended: closed in time, and without a flood of lines

Needs Linux, whose /proc tells what a process holds. Takes about a minute. Exits with 1 when a limit is
exceeded. --json prints the figures as one line.
`;

const dropCount = 10_000;
const crowdCount = 2_000;
const flowSeconds = 6;
const stallsEach = 40;

/** What a figure may be at most, and at least; a figure that is not here is for information only. */
const limits: Readonly<Record<string, { readonly min?: number; readonly max?: number }>> = {
  droppedCount: { min: dropCount },
  dropSocketsLeftCount: { max: 0 },
  dropConsumersLeftCount: { max: 0 },
  // What lives: 200 bytes a connection that is gone would be a leak.
  dropHeapGrowthBytes: { max: 2 * 1024 * 1024 },
  // Resident memory goes up and down with what the collector has not given back yet: it is bounded, not exact.
  dropRssGrowthBytes: { max: 48 * 1024 * 1024 },
  dropLogLinesCount: { max: 200 },
  idleHeapBytesPerConnection: { max: 6 * 1024 },
  idleRssBytesPerConnection: { max: 32 * 1024 },
  // What all share is in it, too: the memory of messages, and free buffers.
  usedHeapBytesPerConnection: { max: 16 * 1024 },
  crowdClosedCount: { max: 0 },
  pongsCount: { min: crowdCount },
  flowMessagesLostCount: { max: 0 },
  aloneMessagesPerSecond: { min: 1 },
  crowdedMessagesPerSecond: { min: 1 },
  stalledClosedCount: { min: stallsEach * 6 },
  stalledMinSeconds: { min: 9 },
  stalledMaxSeconds: { max: 30 },
  stallLogLinesCount: { max: 60 },
};

const figures = new Map<string, number>();

try {
  await main();
} catch (error) {
  process.stderr.write(`many: ${error instanceof Error ? (error.stack ?? "") : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { json: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.help === true) {
    process.stdout.write(help);
    return;
  }
  if (process.platform !== "linux") {
    throw new Error("only Linux tells by /proc what a process holds; run it there");
  }
  const startedMs = performance.now();
  await drop();
  await crowdAndFlow();
  note("seconds", (performance.now() - startedMs) / 1_000);
  print(values.json === true);
  const exceeded = [...figures].flatMap(([name, value]) => excessOf(name, value));
  for (const line of exceeded) process.stderr.write(`many: ${line}\n`);
  if (exceeded.length > 0) process.exitCode = 1;
}

async function drop(): Promise<void> {
  await using broker = await BrokerUnderLoad.start();
  await using connection = await connect(broker.url);
  await connection.createQueue("crowd");
  const { socketCount } = broker;
  // So that what a broker makes once is there before it is looked at.
  await dropSome(broker, 2_000);
  const before = await broker.settled(socketCount);
  const { opened, seconds } = await dropSome(broker, dropCount);
  const after = await broker.settled(before.socketCount);
  note("droppedCount", opened);
  note("droppedConnectionsPerSecond", opened / seconds);
  note("dropSocketsLeftCount", after.socketCount - before.socketCount);
  note("dropConsumersLeftCount", (await connection.queueInfo("crowd"))?.consumerCount ?? -1);
  note("dropRssBeforeBytes", before.rssBytes);
  note("dropRssGrowthBytes", after.rssBytes - before.rssBytes);
  note("dropHeapGrowthBytes", after.heapBytes - before.heapBytes);
  note("dropLogLinesCount", broker.logLines.length);
}

async function dropSome(
  broker: BrokerUnderLoad,
  count: number,
): Promise<{ readonly opened: number; readonly seconds: number }> {
  await using client = new ClientProcess("drop", { port: broker.port, count });
  const figuresOfClient = await client.next();
  return { opened: figuresOfClient.get("opened"), seconds: figuresOfClient.get("seconds") };
}

async function crowdAndFlow(): Promise<void> {
  await using broker = await BrokerUnderLoad.start();
  await using connection = await connect(broker.url);
  await connection.createQueue("crowd");
  const { socketCount } = broker;
  {
    await using few = new ClientProcess("crowd", { port: broker.port, count: 100 });
    await few.next();
  }
  const before = await broker.settled(socketCount);
  await using crowd = new ClientProcess("crowd", { port: broker.port, count: crowdCount });
  await crowd.next();
  const idle = await broker.settled(before.socketCount + crowdCount);
  note("crowdCount", idle.socketCount - before.socketCount);
  note("idleRssBytesPerConnection", (idle.rssBytes - before.rssBytes) / crowdCount);
  note("idleHeapBytesPerConnection", (idle.heapBytes - before.heapBytes) / crowdCount);
  crowd.tell("work");
  await crowd.next();
  // What nobody has needed between two sweeps is given back.
  const used = await broker.settled(before.socketCount + crowdCount, 2);
  note("usedRssBytesPerConnection", (used.rssBytes - before.rssBytes) / crowdCount);
  note("usedHeapBytesPerConnection", (used.heapBytes - before.heapBytes) / crowdCount);

  for (const queue of ["deaf", "slow"]) {
    await connection.createQueue(queue);
    const body = new Uint8Array(100_000);
    await connection.producer(queue).sendBatch(Array.from({ length: 300 }, () => ({ body })));
  }
  crowd.tell("be slow");
  await crowd.next();
  const linesBefore = broker.logLines.length;
  await using stall = new ClientProcess("stall", { port: broker.port, each: stallsEach });
  await flow(broker, "crowded");
  const stalled = await stall.next();
  note("stalledClosedCount", stalled.get("closed"));
  note("stalledMinSeconds", stalled.get("minSeconds"));
  note("stalledMaxSeconds", stalled.get("maxSeconds"));
  note("stallLogLinesCount", broker.logLines.length - linesBefore);
  crowd.tell("end");
  const ended = await crowd.next();
  note("crowdClosedCount", ended.get("closedCount"));
  note("pongsCount", ended.get("pongCount"));
  note("slowestPingRoundMilliseconds", ended.get("slowestRoundMs"));
  await broker.settled(before.socketCount);
  // After the crowd, so that a broker that has not warmed up does not flatter the ratio.
  await flow(broker, "alone");
  noteRatio("throughputRatio", "crowdedMessagesPerSecond", "aloneMessagesPerSecond");
  noteRatio("cpuRatio", "crowdedCpuMicrosecondsPerMessage", "aloneCpuMicrosecondsPerMessage");
  noteRatio("p99Ratio", "crowdedP99Milliseconds", "aloneP99Milliseconds");
}

async function flow(broker: BrokerUnderLoad, name: "alone" | "crowded"): Promise<void> {
  await using client = new ClientProcess("flow", { port: broker.port, seconds: flowSeconds });
  const cpuBefore = broker.cpuMilliseconds;
  const found = await client.next();
  const cpuMilliseconds = broker.cpuMilliseconds - cpuBefore;
  note(`${name}CpuMicrosecondsPerMessage`, (cpuMilliseconds * 1_000) / found.get("sentCount"));
  note(`${name}MessagesPerSecond`, found.get("perSecond"));
  note(`${name}P50Milliseconds`, found.get("p50Ms"));
  note(`${name}P99Milliseconds`, found.get("p99Ms"));
  const lost = found.get("sentCount") - found.get("receivedCount");
  note("flowMessagesLostCount", (figures.get("flowMessagesLostCount") ?? 0) + lost);
}

function note(name: string, value: number): void {
  const isWhole = /Bytes|Count/.test(name);
  figures.set(name, isWhole ? Math.round(value) : Math.round(value * 1_000) / 1_000);
}

function noteRatio(name: string, above: string, below: string): void {
  note(name, (figures.get(above) ?? 0) / (figures.get(below) ?? 1));
}

function excessOf(name: string, value: number): readonly string[] {
  const { min = -Infinity, max = Infinity } = limits[name] ?? {};
  if (value >= min && value <= max) return [];
  return [`${name} is ${value}, expected ${value < min ? `at least ${min}` : `at most ${max}`}`];
}

function print(json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(Object.fromEntries(figures))}\n`);
    return;
  }
  for (const [name, value] of figures) {
    process.stdout.write(`${name.padEnd(32)} ${value.toLocaleString("en-US")}\n`);
  }
}
