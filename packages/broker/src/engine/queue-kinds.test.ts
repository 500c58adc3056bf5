import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

type QueueChoices = Parameters<TestClient["createQueue"]>[0];

async function brokerWith(choices: QueueChoices): Promise<{ client: TestClient; broker: Broker }> {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue(choices);
  return { client, broker };
}

/** Sends without waiting for an answer, which deliveries may overtake. */
async function send(client: TestClient, text: string, choices: MessageChoices = {}): Promise<void> {
  client.post(messageOf("q", { text, ...choices }), 1, false);
  await client.settle();
}

function countOf(broker: Broker): number {
  return broker.queues().find((queue) => queue.name === "q")?.messageCount ?? -1;
}

async function publishAll(client: TestClient, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) await send(client, text);
}

test("a ring keeps the newest messages, also after a restart", async () => {
  const { client, broker } = await brokerWith({ ringSize: 2 });
  await publishAll(client, "1", "2", "3", "4");
  assert.equal(countOf(broker), 2);
  const again = await crashAndRestart(client.world);
  assert.equal(countOf(again), 2);
  const reader = await TestClient.open(client.world);
  await reader.consume("q");
  assert.deepEqual(await reader.texts(), ["3", "4"]);
});

test("what a consumer holds counts for no ring, and gives way when it comes back", async () => {
  const { client, broker } = await brokerWith({ ringSize: 2 });
  await publishAll(client, "1", "2");
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["1", "2"]);
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 0 });
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  await publishAll(client, "3");
  assert.equal(countOf(broker), 3);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.settle();
  assert.equal(countOf(broker), 2);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["2", "3"]);
});

test("a ring whose consumer keeps up loses nothing, however fast messages come", async () => {
  const { client, broker } = await brokerWith({ ringSize: 1 });
  await client.consume("q");
  for (let index = 0; index < 50; index += 1)
    client.post(messageOf("q", { text: `${index}` }), 1, false);
  const deliveries = await client.deliveries();
  assert.deepEqual(
    deliveries.map(textOf),
    Array.from({ length: 50 }, (_, index) => `${index}`),
  );
  // It takes no more now: what it holds is its own, and one may wait.
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  for (let index = 0; index < 50; index += 1)
    client.post(messageOf("q", { text: "late" }), 1, false);
  await client.settle();
  assert.equal(countOf(broker), 51);
});

test("a transaction fills a ring as its messages would one by one", async () => {
  const { client, broker } = await brokerWith({ ringSize: 2 });
  await publishAll(client, "old");
  await client.createSession({ name: "tx", sessionChannelId: 11, autoCommitSends: false });
  client.frames.length = 0;
  for (const text of ["1", "2", "3"]) client.post(messageOf("q", { text }), 1, false, 11);
  await client.settle();
  assert.equal(countOf(broker), 1);
  client.send(packets.commit, 11, { correlationId: 1 });
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 2);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["2", "3"]);
});

test("a scheduled message counts for a ring from its time on, and gives way to those that were there", async () => {
  const { client, broker } = await brokerWith({ ringSize: 1 });
  const later = { type: "long", value: client.world.nowMs + 1_000 } as const;
  await send(client, "later", { properties: { _AMQ_SCHED_DELIVERY: later } });
  await publishAll(client, "1");
  assert.equal(countOf(broker), 2);
  await client.world.pass(2_000);
  assert.equal(countOf(broker), 1);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["1"]);
});

test("a disabled queue gets nothing and still gives what it has", async () => {
  const { client, broker } = await brokerWith({ enabled: false });
  await publishAll(client, "lost");
  assert.equal(countOf(broker), 0);
});

test("a queue waits for as many consumers as it is to have", async () => {
  const { client } = await brokerWith({ consumersBeforeDispatch: 2 });
  await publishAll(client, "1", "2");
  await client.consume("q", { consumerId: 0 });
  assert.deepEqual(await client.texts(), []);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual((await client.texts()).toSorted(), ["1", "2"]);
});

test("a queue waits no longer than its delay after the first consumer", async () => {
  const { client } = await brokerWith({ consumersBeforeDispatch: 2, delayBeforeDispatch: 5_000 });
  await publishAll(client, "1");
  await client.consume("q", { consumerId: 0 });
  await client.world.pass(4_000);
  assert.deepEqual(await client.texts(), []);
  await client.world.pass(1_500);
  assert.deepEqual(await client.texts(), ["1"]);
});

test("a queue waits with one timer, and with none once its consumers or the broker have gone", async () => {
  const { client, broker } = await brokerWith({
    consumersBeforeDispatch: 2,
    delayBeforeDispatch: 10_000_000,
  });
  const { world } = client;
  await publishAll(client, "1");
  const usual = world.timerCount;
  for (let round = 0; round < 3; round += 1) {
    await client.consume("q", { consumerId: 0 });
    await publishAll(client, "2");
    assert.equal(world.timerCount, usual + 1);
    client.send(packets.consumerClose, 10, { consumerId: 0 });
    await client.expect(packets.nullResponse);
    assert.equal(world.timerCount, usual);
  }
  await client.consume("q", { consumerId: 0 });
  await runUntil(world, broker.stop());
  assert.equal(world.timerCount, 0);
});

test("a queue that is told to wait while it hands out does so once its consumers have gone", async () => {
  const { client, broker } = await brokerWith({});
  await client.consume("q", { consumerId: 0 });
  const configuration = JSON.stringify({ name: "q", "consumers-before-dispatch": 2 });
  broker.management.invoke("broker", "updateQueue", [configuration]);
  await publishAll(client, "1");
  assert.deepEqual(await client.texts(), ["1"]);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), []);
  await client.consume("q", { consumerId: 2 });
  assert.deepEqual(await client.texts(), ["1"]);
});

test("a queue whose consumers have all gone waits for them again", async () => {
  const { client } = await brokerWith({ consumersBeforeDispatch: 2 });
  await client.consume("q", { consumerId: 0 });
  await client.consume("q", { consumerId: 1 });
  for (const consumerId of [0, 1]) {
    client.send(packets.consumerClose, 10, { consumerId });
    await client.expect(packets.nullResponse);
  }
  await publishAll(client, "1");
  await client.consume("q", { consumerId: 2 });
  assert.deepEqual(await client.texts(), []);
  // A browser looks without waiting, and is none of those that the queue waits for.
  await client.consume("q", { consumerId: 3, browseOnly: true });
  assert.deepEqual(await client.texts(), ["1"]);
  await client.consume("q", { consumerId: 4 });
  assert.deepEqual(await client.texts(), ["1"]);
});

test("a non-destructive queue gives everything to each consumer, from the start, and keeps it", async () => {
  const { client, broker } = await brokerWith({ nonDestructive: true });
  await publishAll(client, "1", "2");
  await client.consume("q", { consumerId: 0 });
  const first = await client.deliveries();
  assert.deepEqual(first.map(textOf), ["1", "2"]);
  client.acknowledge(first[1]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 2);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["1", "2"]);
  await send(client, "3");
  assert.deepEqual(await client.texts(), ["3", "3"]);
  const again = await crashAndRestart(client.world);
  assert.equal(countOf(again), 3);
  const reader = await TestClient.open(client.world);
  await reader.consume("q");
  const found = await reader.deliveries();
  assert.deepEqual(found.map(textOf), ["1", "2", "3"]);
  assert.deepEqual(new Set(found.map((one) => one.deliveryCount)), new Set([1]));
});

test("what a transaction read from a non-destructive queue comes again when it is rolled back", async () => {
  const { client, broker } = await brokerWith({ nonDestructive: true });
  await client.createSession({ name: "tx", sessionChannelId: 11, autoCommitAcks: false });
  client.frames.length = 0;
  await publishAll(client, "1", "2", "3");
  await client.consume("q", {}, 11);
  const held = await client.deliveries();
  client.acknowledge(held[1]?.messageId ?? 0, 0, true, 11);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await client.texts(), ["1", "2", "3"]);
  client.acknowledge(held[2]?.messageId ?? 0, 0, true, 11);
  await client.expect(packets.nullResponse);
  client.send(packets.commit, 11, { correlationId: 1 });
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await client.texts(), []);
  assert.equal(countOf(broker), 3);
});

test("an expired message leaves a non-destructive queue, whoever holds it", async () => {
  const { client, broker } = await brokerWith({ nonDestructive: true });
  const expiration = client.world.nowMs + 1_000;
  await send(client, "1", { expiration });
  await client.consume("q", { consumerId: 0 });
  const held = await client.deliveries();
  await client.world.pass(2_000);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), []);
  assert.equal(countOf(broker), 0);
  client.acknowledge(held[0]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  client.send(packets.expired, 10, { consumerId: 0, messageId: held[0]?.messageId ?? 0 });
  assert.deepEqual(await client.names(), []);
});

test("a ring that is not destructive drops the oldest although somebody holds it", async () => {
  const { client, broker } = await brokerWith({ nonDestructive: true, ringSize: 2 });
  await client.consume("q");
  await publishAll(client, "1", "2", "3");
  client.frames.length = 0;
  assert.equal(countOf(broker), 2);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["2", "3"]);
});

test("a ring that is made smaller lets go with the next message, a larger one takes more", async () => {
  const { client, broker } = await brokerWith({ ringSize: 3 });
  await publishAll(client, "1", "2", "3");
  const resize = (ringSize: number): void => {
    const configuration = JSON.stringify({ name: "q", "ring-size": ringSize });
    broker.management.invoke("broker", "updateQueue", [configuration]);
  };
  resize(2);
  assert.equal(countOf(broker), 3);
  await publishAll(client, "4");
  assert.equal(countOf(broker), 2);
  resize(4);
  await publishAll(client, "5", "6");
  assert.equal(countOf(broker), 4);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["3", "4", "5", "6"]);
});
