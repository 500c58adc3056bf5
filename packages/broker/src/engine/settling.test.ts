import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { BrokerOptions } from "../config.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
} from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

interface Setting {
  readonly world: ManualWorld;
  readonly broker: Broker;
  readonly client: TestClient;
  readonly delivered: readonly Delivery[];
}

/** A queue `q` with these messages, all delivered to consumer 0 of a session. */
async function delivered(texts: readonly string[], options: BrokerOptions = {}): Promise<Setting> {
  const { world, broker } = await startBroker(options);
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const text of texts) await client.publish("q", text);
  await client.consume("q");
  return { world, broker, client, delivered: await client.deliveries() };
}

function countOf(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.messageCount ?? -1;
}

test("an acknowledgement covers everything delivered up to its message", async () => {
  const { broker, client, delivered: messages } = await delivered(["a", "b", "c"]);
  client.acknowledge(messages[1]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 1);
});

test("an individual acknowledgement covers its message only", async () => {
  const { broker, client, delivered: messages } = await delivered(["a", "b", "c"]);
  const messageId = messages[1]?.messageId ?? 0;
  const value = { consumerId: 0, messageId, requiresResponse: true };
  client.send(packets.individualAcknowledge, 10, value);
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 2);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["a", "c"]);
});

test("an acknowledgement that was confirmed holds after a crash", async () => {
  const { world, client, delivered: messages } = await delivered(["a", "b"]);
  client.acknowledge(messages[0]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q");
  assert.deepEqual(await other.texts(), ["b"]);
});

test("what may have been delivered before a crash is marked, and the mark is no attempt", async () => {
  const { world } = await delivered(["a"], {
    addressSettings: { "#": { maxDeliveryAttempts: 2 } },
  });
  for (let crash = 0; crash < 3; crash += 1) {
    const broker = await crashAndRestart(world, {
      addressSettings: { "#": { maxDeliveryAttempts: 2 } },
    });
    const other = await TestClient.open(world);
    await other.consume("q");
    const delivery = await other.delivery();
    assert.equal(delivery.deliveryCount, 2);
    assert.equal(countOf(broker), 1);
  }
});

test("an acknowledgement is not answered before its write has completed", async () => {
  const { world, client, delivered: messages } = await delivered(["a"]);
  world.disk.holdsWrites = true;
  client.acknowledge(messages[0]?.messageId ?? 0);
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  await client.expect(packets.nullResponse);
});

test("a message that was not delivered to the consumer cannot be acknowledged", async () => {
  const { broker, client, delivered: messages } = await delivered(["a"]);
  for (const [messageId, consumerId] of [
    [123, 0],
    [messages[0]?.messageId ?? 0, 5],
  ] as const) {
    client.acknowledge(messageId, consumerId);
    assert.equal((await client.expect(packets.exception)).code, 104);
  }
  assert.equal(countOf(broker), 1);
});

test("a wrong acknowledgement that wants no answer gets none", async () => {
  const { client } = await delivered(["a"]);
  client.acknowledge(123, 0, false);
  assert.deepEqual(await client.names(), []);
});

test("closing a consumer gives back what it held, in order and uncounted", async () => {
  const { client } = await delivered(["a", "b"]);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.publish("q", "c");
  await client.consume("q", { consumerId: 1 });
  const again = await client.deliveries();
  assert.deepEqual(again.map(textOf), ["a", "b", "c"]);
  assert.deepEqual(
    again.map((delivery) => delivery.deliveryCount),
    [1, 1, 1],
  );
});

test("a connection that breaks counts as an attempt for what it held", async () => {
  const { world, client } = await delivered(["a", "b"]);
  client.socket.close(new Error("reset"));
  const other = await TestClient.open(world);
  await other.consume("q");
  const again = await other.deliveries();
  assert.deepEqual(
    again.map((delivery) => `${textOf(delivery)} ${delivery.deliveryCount}`),
    ["a 2", "b 2"],
  );
});

test("closing a consumer twice, or an unknown one, is answered all the same", async () => {
  const { client } = await delivered([]);
  for (let time = 0; time < 2; time += 1) {
    client.send(packets.consumerClose, 10, { consumerId: 0 });
    await client.expect(packets.nullResponse);
  }
});

test("a message tried too often goes to the dead-letter address", async () => {
  const options = { addressSettings: { "#": { maxDeliveryAttempts: 2 } } };
  const { world, broker, client } = await delivered(["poison"], options);
  client.socket.close();
  await world.settle();
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [1, -1]);
  const second = await TestClient.open(world);
  await second.consume("q");
  assert.equal((await second.delivery()).deliveryCount, 2);
  second.socket.close();
  await world.settle();
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [0, 1]);
});

test("a dead letter says where it came from, and stays however often it is tried", async () => {
  const options = { addressSettings: { "#": { maxDeliveryAttempts: 1 } } };
  const { world, broker } = await startBroker(options);
  const client = await TestClient.open(world);
  await client.publish("q", "poison");
  await client.consume("q");
  client.socket.close();
  await world.settle();
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [0, 1]);
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const other = await TestClient.open(world);
    await other.consume("DLQ");
    const letter = await other.delivery();
    assert.equal(textOf(letter), "poison");
    assert.deepEqual(letter.properties.get("_AMQ_ORIG_ADDRESS"), { type: "string", value: "q" });
    assert.deepEqual(letter.properties.get("_AMQ_ORIG_ROUTING_TYPE"), { type: "byte", value: 1 });
    other.socket.close();
    await world.settle();
  }
  const again = await crashAndRestart(world, options);
  assert.deepEqual([countOf(again), countOf(again, "DLQ")], [0, 1]);
});

test("a selector sees of a moved message what its consumer is shown", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const expiration = world.nowMs + 1000;
  await client.publish("q", "moved", { expiration });
  await client.publish("ExpiryQueue", "sent there");
  await world.pass(1200);
  await client.consume("q");
  for (const [consumerId, filter, texts] of [
    [1, "_AMQ_ORIG_ADDRESS = 'other'", []],
    [2, "_AMQ_ORIG_QUEUE IS NULL OR AMQAddress <> 'ExpiryQueue'", ["sent there"]],
    [
      3,
      `_AMQ_ORIG_ADDRESS = 'q' AND _AMQ_ACTUAL_EXPIRY = ${expiration} AND AMQExpiration = 0`,
      ["moved"],
    ],
  ] as const) {
    await client.consume("ExpiryQueue", { consumerId, filter });
    assert.deepEqual(await client.texts(), texts, filter);
  }
});

test("without a dead-letter address a message tried too often is dropped", async () => {
  const addressSettings = { "#": { maxDeliveryAttempts: 1, deadLetterAddress: undefined } };
  const { world, broker, client } = await delivered(["poison"], { addressSettings });
  client.socket.close();
  await world.settle();
  assert.deepEqual(
    broker.queues().map((queue) => [queue.name, queue.messageCount]),
    [["q", 0]],
  );
});

test("an expired message is not delivered but moved, and expires no more", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "short", { expiration: world.nowMs + 1000 });
  await client.publish("q", "long");
  await world.pass(1200);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["long"]);
  assert.equal(countOf(broker, "ExpiryQueue"), 1);
  await client.consume("ExpiryQueue", { consumerId: 1 });
  const expired = await client.delivery();
  assert.equal(textOf(expired), "short");
  assert.equal(expired.expiration, 0);
});

test("messages in memory expire and become dead letters as well", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { "#": { maxDeliveryAttempts: 1 } },
  });
  const client = await TestClient.open(world);
  await client.createQueue({ durable: false });
  await client.publish("q", "short", { durable: false, expiration: world.nowMs + 1000 });
  await client.publish("q", "poison", { durable: false });
  await world.pass(1200);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["poison"]);
  client.socket.close();
  await world.settle();
  assert.deepEqual([countOf(broker, "ExpiryQueue"), countOf(broker, "DLQ")], [1, 1]);
  const reader = await TestClient.open(world);
  await reader.consume("DLQ");
  assert.deepEqual(await reader.texts(), ["poison"]);
  await reader.consume("ExpiryQueue", { consumerId: 1 });
  const expired = await reader.delivery();
  assert.deepEqual([textOf(expired), expired.expiration], ["short", 0]);
});

test("a queue that nobody consumes loses its expired messages as well", async () => {
  const addressSettings = { "#": { expiryAddress: undefined } };
  const { world, broker } = await startBroker({ addressSettings });
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "short", { expiration: world.nowMs + 1000 });
  client.socket.close();
  await world.pass(31_000);
  assert.equal(countOf(broker), 0);
});

test("a message that the client finds expired is moved", async () => {
  const { broker, client, delivered: messages } = await delivered(["a"]);
  client.send(packets.expired, 10, { consumerId: 0, messageId: messages[0]?.messageId ?? 0 });
  assert.deepEqual(await client.names(), []);
  assert.deepEqual([countOf(broker), countOf(broker, "ExpiryQueue")], [0, 1]);
});

test("a pre-acknowledging session settles what it is given", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world, { preAcknowledge: true });
  await client.createQueue();
  await client.publish("q", "a");
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["a"]);
  assert.equal(countOf(broker), 0);
});

test("the copies of a message in several queues are settled apart", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  for (const queueName of ["one", "two"]) {
    await client.createQueue({ address: "t", queueName, routingType: 0 });
  }
  await client.publish("t", "a", { routing: 0 });
  await client.consume("one");
  const { messageId } = await client.delivery();
  client.acknowledge(messageId);
  await client.expect(packets.nullResponse);
  assert.deepEqual([countOf(broker, "one"), countOf(broker, "two")], [0, 1]);
});

test("an empty automatic queue goes after two scans without consumers, a used one stays", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  for (const name of ["gone", "kept"]) {
    await client.publish(name, "a");
    await client.consume(name, { consumerId: name.length + (name === "gone" ? 0 : 10) });
    const { messageId, consumerId } = await client.delivery();
    if (name === "gone") {
      client.acknowledge(messageId, consumerId);
      await client.expect(packets.nullResponse);
    }
    client.send(packets.consumerClose, 10, { consumerId });
    await client.expect(packets.nullResponse);
  }
  await world.pass(31_000);
  assert.equal(broker.queues().length, 2);
  await world.pass(31_000);
  assert.deepEqual(
    broker.queues().map((queue) => queue.name),
    ["kept"],
  );
});

test("a queue that purges without consumers is empty when the last one has left", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ purgeOnNoConsumers: true });
  await client.consume("q");
  client.post(messageOf("q"), 1, false);
  await client.delivery();
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 0);
});

test("a queue that purges without consumers keeps nothing that was sent to it before, committed or not", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ purgeOnNoConsumers: true });
  await client.consume("q", { credits: 0 });
  world.disk.holdsWrites = true;
  client.post(messageOf("q"), 1, false);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.settle();
  world.disk.releaseWrites();
  await client.expect(packets.nullResponse);
  await client.settle();
  assert.equal(countOf(broker), 0);
  const again = await crashAndRestart(world);
  assert.equal(countOf(again), 0);
});

test("what a transaction took from a queue that purges goes when it is rolled back after the last consumer has left", async () => {
  for (const redeliveryDelay of [0, 1_000]) {
    const { world, broker } = await startBroker({ addressSettings: { "#": { redeliveryDelay } } });
    const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
    const client = await TestClient.open(world, transacted);
    const xa = await XaClient.open(world);
    await client.createQueue({ purgeOnNoConsumers: true });
    await xa.start(1);
    const sender = await TestClient.open(world);
    for (const one of [client, xa.client]) {
      await one.consume("q");
      await sender.publish("q", "taken");
      one.acknowledge((await one.delivery()).messageId, 0, false);
      one.send(packets.consumerClose, 10, { consumerId: 0 });
      await one.expect(packets.nullResponse);
    }
    await xa.end(1);
    await xa.prepare(1);
    assert.equal(countOf(broker), 2, "they belong to transactions");
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await client.expect(packets.nullResponse);
    assert.equal(countOf(broker), 1);
    const again = await crashAndRestart(world);
    const manager = await XaClient.open(world);
    await manager.rollback(1);
    assert.equal(countOf(again), 0);
  }
});

test("a dead letter that is in memory only reaches a consumer that waits for it", async () => {
  const { world } = await startBroker({ addressSettings: { "#": { maxDeliveryAttempts: 1 } } });
  const reader = await TestClient.open(world);
  await reader.createQueue({ queueName: "DLQ" });
  await reader.createQueue({ queueName: "q", durable: false });
  await reader.consume("DLQ");
  const client = await TestClient.open(world);
  await client.consume("q");
  client.post(messageOf("q", { text: "poison", durable: false }), 1, false);
  assert.deepEqual(await client.texts(), ["poison"]);
  client.socket.close();
  assert.deepEqual(await reader.texts(), ["poison"]);
});

test("what a pre-acknowledging session was given just before a crash comes again marked", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { preAcknowledge: true });
  await client.createQueue();
  await client.publish("q", "a");
  await client.publish("q", "b");
  await client.consume("q", { credits: 1 });
  assert.deepEqual(await client.texts(), ["a"]);
  world.disk.holdsWrites = true;
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 1000 });
  assert.deepEqual(await client.texts(), ["b"]);
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q");
  const again = await other.delivery();
  assert.deepEqual([textOf(again), again.deliveryCount], ["b", 2]);
});

test("an acknowledgement that wants no answer is written with what comes next, or soon", async () => {
  const { world, broker, client, delivered: messages } = await delivered(["a", "b"]);
  const { writeCount } = world.disk;
  client.acknowledge(messages[0]?.messageId ?? 0, 0, false);
  await client.settle();
  assert.equal(world.disk.writeCount, writeCount);
  await client.publish("q", "c");
  assert.equal(world.disk.writeCount, writeCount + 1);
  client.acknowledge(messages[1]?.messageId ?? 0, 0, false);
  await world.pass(2);
  assert.equal(world.disk.writeCount, writeCount + 2);
  assert.equal(countOf(broker), 1);
});

test("no answer waits longer because of an acknowledgement before it that wants none", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { confirmationWindowSize: 100_000 });
  await client.createQueue();
  await client.publish("q", "a");
  await client.consume("q");
  const { messageId } = await client.delivery();
  client.acknowledge(messageId, 0, false);
  client.send(packets.queueQuery, 10, { queueName: "q" });
  await client.expect(packets.queueQueryResponseV3);
});
