import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeProducerMark, packets, type TypedValue } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { Broker } from "../broker.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
/** Large enough that three of them are more than one transaction holds in memory. */
const body = new Uint8Array(Math.ceil(limits.transactionHeldBytesMax / 20));
const manyCount = 50;

function counts(broker: Broker): number[] {
  return broker.queues().map((queue) => queue.messageCount);
}

function mark(sequence: number): Readonly<Record<string, TypedValue>> {
  const value = encodeProducerMark({ id: new Uint8Array(16).fill(5), epoch: 0, sequence });
  return { _AMQ_DUPL_ID: { type: "bytes", value } };
}

async function setUp(): Promise<{ world: ManualWorld; broker: Broker; client: TestClient }> {
  const { world, broker } = await startBroker({ journal: { segmentBytes: 4 * 1024 * 1024 } });
  const client = await TestClient.openMarking(world, transacted);
  await client.createQueue({ queueName: "in" });
  await client.createQueue({ queueName: "out" });
  return { world, broker, client };
}

/** Sends more in the open transaction than it holds in memory. */
async function sendMuch(client: TestClient, first = 1): Promise<void> {
  for (let index = 0; index < manyCount; index += 1) {
    client.post(messageOf("out", { body, properties: mark(first + index) }), 0, false);
    await client.settle();
  }
}

async function commit(client: TestClient): Promise<void> {
  client.send(packets.commit, 10, { correlationId: 1 });
  await client.expect(packets.nullResponse);
}

async function rollback(client: TestClient): Promise<void> {
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
}

test("a transaction larger than it may hold in memory is seen as a whole, after its commit only", async () => {
  const { world, broker, client } = await setUp();
  const plain = await TestClient.open(world);
  await plain.publish("in", "order");
  await client.consume("in");
  client.acknowledge((await client.delivery()).messageId, 0, false);
  await sendMuch(client);
  const reader = await TestClient.open(world);
  await reader.consume("out");
  assert.deepEqual(counts(broker), [1, 0]);
  await commit(client);
  assert.equal((await reader.deliveries()).length, manyCount);
  assert.deepEqual(counts(broker), [0, manyCount]);
});

test("a large transaction that is rolled back leaves nothing but its used sequences", async () => {
  const { world, broker, client } = await setUp();
  const plain = await TestClient.open(world);
  await plain.publish("in", "order");
  await client.consume("in");
  client.acknowledge((await client.delivery()).messageId, 0, false);
  await sendMuch(client);
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  await rollback(client);
  assert.deepEqual(counts(broker), [1, 0]);
  client.send(packets.sessionStart, 10, {});
  assert.equal(textOf(await client.delivery()), "order");
  client.post(messageOf("out", { properties: mark(manyCount + 1) }), 0, false);
  await commit(client);
  assert.deepEqual(counts(broker), [1, 1]);
});

test("pieces of a large transaction that a crash interrupts are gone, also with a snapshot of them", async () => {
  for (const hasSnapshot of [false, true]) {
    const { world, broker, client } = await setUp();
    await sendMuch(client);
    if (hasSnapshot) await runUntil(world, broker.snapshotNow());
    const again = await crashAndRestart(world);
    assert.deepEqual(counts(again), [0, 0]);
    assert.deepEqual(counts(await crashAndRestart(world)), [0, 0]);
  }
});

test("a large transaction that was committed is whole after a crash, also with a snapshot in between", async () => {
  for (const hasSnapshot of [false, true]) {
    const { world, broker, client } = await setUp();
    await sendMuch(client);
    if (hasSnapshot) await runUntil(world, broker.snapshotNow());
    await commit(client);
    assert.deepEqual(counts(await crashAndRestart(world)), [0, manyCount]);
  }
});

test("durable and other messages of a large transaction appear together", async () => {
  const { broker, client } = await setUp();
  await sendMuch(client);
  client.post(messageOf("out", { text: "volatile", durable: false }), 0, false);
  await sendMuch(client, manyCount + 1);
  assert.deepEqual(counts(broker), [0, 0]);
  await commit(client);
  assert.deepEqual(counts(broker), [0, 2 * manyCount + 1]);
});

test("a transaction with more duplicate ids than it may have is rolled back whole, and the next one works", async () => {
  const { world, broker, client } = await setUp();
  const filling = new Uint8Array(2_000);
  for (let index = 0; index < 5_000; index += 1) {
    const value = `${index} ${"x".repeat(230)}`;
    const properties = { _AMQ_DUPL_ID: { type: "string", value } } as const;
    client.post(messageOf("out", { body: filling, properties }), 0, false);
    if (index % 500 === 0) await client.settle();
  }
  await client.settle();
  await runUntil(world, broker.snapshotNow());
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 999);
  assert.deepEqual(counts(broker), [0, 0]);
  client.post(messageOf("out"), 0, false);
  await commit(client);
  assert.deepEqual(counts(await crashAndRestart(world)), [0, 1]);
});

test("thousands of transactions are open at one time, and each is whole or not at all", async () => {
  const { world, broker } = await startBroker({ journal: { segmentBytes: 4 * 1024 * 1024 } });
  const first = await TestClient.open(world);
  await first.createQueue();
  const count = 3_000;
  const perConnection = 500;
  const clients: { client: TestClient; channel: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const channel = 10 + (index % perConnection);
    const last = clients.at(-1)?.client;
    const client = channel === 10 || last === undefined ? new TestClient(world) : last;
    if (channel === 10) await client.subscribe();
    client.send(packets.createSession, 1, {
      ...session,
      name: `s${index}`,
      sessionChannelId: channel,
    });
    client.post(messageOf("q", { text: `${index} first` }), 0, false, channel);
    clients.push({ client, channel });
  }
  await world.settle();
  for (const [index, { client, channel }] of clients.entries()) {
    client.post(messageOf("q", { text: `${index} second` }), 0, false, channel);
    if (index % 3 === 0) {
      client.send(packets.rollback, channel, { considerLastMessageAsDelivered: false });
    } else client.send(packets.commit, channel, { correlationId: 1 });
  }
  await world.settle();
  const committed = count - Math.ceil(count / 3);
  assert.equal(broker.queues()[0]?.messageCount, 2 * committed);
});

const session = {
  version: 136,
  username: null,
  password: null,
  minLargeMessageSize: 102_400,
  xa: false,
  ...transacted,
  confirmationWindowSize: -1,
  preAcknowledge: false,
  defaultAddress: null,
} as const;
