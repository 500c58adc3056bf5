import { connect } from "everhold";

import { report, taskOfClient } from "./client-process.ts";

/**
 * A producer and a consumer of durable messages that take no notice of anybody else: how many come back
 * and are acknowledged, and how late. So many are under way at any time, and no more.
 */
const inFlightCount = 64;
const warmUpMs = 1_500;

const task = taskOfClient();
await using connection = await connect(`tcp://127.0.0.1:${task.get("port")}`, {
  reconnect: false,
});
await connection.createQueue("flow");
const producer = connection.producer("flow");
const consumer = connection.consumer("flow");
const latenciesMs: number[] = [];
/** Who waits for the message of a number to come back. */
const awaited = new Map<string, () => void>();
let sentCount = 0;
let receivedCount = 0;
// From now on: how long it took to come this far is no part of it.
const measuredFromMs = performance.now() + warmUpMs;
const endMs = measuredFromMs + task.get("seconds") * 1_000;

const produce = async (): Promise<void> => {
  while (performance.now() < endMs) {
    const number = String(sentCount);
    sentCount += 1;
    const sentMs = performance.now();
    const back = new Promise<void>((resolve) => awaited.set(number, resolve));
    await producer.send(number);
    await back;
    if (sentMs >= measuredFromMs) latenciesMs.push(performance.now() - sentMs);
  }
};
const ending = new AbortController();
const consuming = consumer.run(
  async (message) => {
    await message.ack();
    const number = message.text();
    awaited.get(number)?.();
    awaited.delete(number);
    receivedCount += 1;
  },
  { concurrency: inFlightCount, signal: ending.signal },
);
await Promise.all(Array.from({ length: inFlightCount }, produce));
ending.abort();
await consuming;
latenciesMs.sort((left, right) => left - right);
report({
  perSecond: Math.round(latenciesMs.length / task.get("seconds")),
  p50Ms: percentile(0.5),
  p99Ms: percentile(0.99),
  sentCount,
  receivedCount,
});
process.disconnect();

function percentile(share: number): number {
  return latenciesMs[Math.floor(latenciesMs.length * share)] ?? 0;
}
