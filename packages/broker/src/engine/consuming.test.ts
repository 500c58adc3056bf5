import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

async function brokerWith(texts: readonly string[]): Promise<TestClient> {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const text of texts) await client.publish("q", text);
  return client;
}

test("nothing is delivered before the session is started", async () => {
  const client = await brokerWith(["a"]);
  client.send(packets.createConsumer, 10, {
    consumerId: 0,
    queueName: "q",
    filter: null,
    browseOnly: false,
    requiresResponse: true,
    priority: 0,
  });
  await client.expect(packets.queueQueryResponseV3);
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  assert.deepEqual(await client.names(), []);
  client.send(packets.sessionStart, 10, {});
  assert.deepEqual(await client.texts(), ["a"]);
});

test("nothing is delivered after the answer to a stop", async () => {
  const client = await brokerWith([]);
  await client.consume("q");
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  client.post(messageOf("q", { text: "later" }), 1);
  await client.expect(packets.nullResponse);
  assert.deepEqual(await client.names(), []);
  client.send(packets.sessionStart, 10, {});
  assert.deepEqual(await client.texts(), ["later"]);
});

test("credits are counted in bytes of frames, and one delivery may overdraw them", async () => {
  const client = await brokerWith(["a", "b", "c"]);
  await client.consume("q", { credits: 1 });
  assert.equal(client.frames.length, 1);
  const frameBytes = client.frames[0]?.frameBytes ?? 0;
  assert.deepEqual(await client.texts(), ["a"]);
  // 1 − frameBytes is left: as much again brings it to 1, which is one more delivery.
  client.send(packets.flowToken, 10, { consumerId: 0, credits: frameBytes - 1 });
  assert.deepEqual(await client.texts(), []);
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 1 });
  assert.deepEqual(await client.texts(), ["b"]);
});

test("a credit of 0 takes all credit away", async () => {
  const client = await brokerWith([]);
  await client.consume("q", { credits: 1000 });
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 0 });
  client.post(messageOf("q", { text: "a" }), 1);
  assert.deepEqual(await client.names(), ["NULL_RESPONSE"]);
});

test("credits and forced deliveries for an unknown consumer are ignored", async () => {
  const client = await brokerWith([]);
  client.send(packets.flowToken, 10, { consumerId: 99, credits: 1000 });
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 99, sequence: 0 });
  assert.deepEqual(await client.names(), []);
});

test("a forced delivery is answered behind everything that can be delivered", async () => {
  const client = await brokerWith(["a", "b"]);
  await client.consume("q", { credits: 0 });
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 5 });
  const deliveries = await client.deliveries();
  assert.equal(deliveries.length, 3);
  const marker = deliveries[2];
  assert.deepEqual(marker?.properties.get("_hornetq.forced.delivery.seq"), {
    type: "long",
    value: 5,
  });
  assert.equal(marker?.deliveryCount, 0);
});

test("every forced delivery is answered in its turn, however many wait", async () => {
  const client = await brokerWith([]);
  await client.consume("q", { credits: -1 });
  const count = 20_000;
  await client.publish("q", "a");
  for (let sequence = 0; sequence < count; sequence += 1) {
    client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence });
  }
  const [first, ...markers] = await client.deliveries();
  assert.equal(first?.properties.has("_hornetq.forced.delivery.seq"), false);
  assert.deepEqual(
    markers.map((marker) => marker.properties.get("_hornetq.forced.delivery.seq")?.value),
    Array.from({ length: count }, (_, sequence) => sequence),
  );
});

test("a forced delivery is answered without credit and while the session is stopped", async () => {
  const client = await brokerWith(["a"]);
  await client.consume("q", { credits: 0 });
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 0 });
  assert.equal((await client.deliveries()).length, 1);
});

test("the marker of a forced delivery is not charged", async () => {
  const client = await brokerWith([]);
  await client.consume("q", { credits: 1 });
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 0 });
  assert.equal((await client.deliveries()).length, 1);
  client.post(messageOf("q", { text: "a" }), 1, false);
  assert.deepEqual(await client.texts(), ["a"]);
});

test("messages of a higher priority are delivered first", async () => {
  const client = await brokerWith([]);
  for (const priority of [4, 9, 0, 9]) {
    await client.publish("q", `p${priority}`, { priority });
  }
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["p9", "p9", "p4", "p0"]);
});

test("durable and non-durable messages of one priority keep their order", async () => {
  const client = await brokerWith([]);
  for (const [index, durable] of [true, false, true, false].entries()) {
    await client.publish("q", `${index}`, { durable });
  }
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["0", "1", "2", "3"]);
});

test("consumers of one priority take turns", async () => {
  const client = await brokerWith(["1", "2", "3", "4"]);
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  await client.consume("q", { credits: 0 });
  await client.consume("q", { consumerId: 1, credits: 0 });
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  for (const consumerId of [0, 1]) {
    client.send(packets.flowToken, 10, { consumerId, credits: -1 });
  }
  client.send(packets.sessionStart, 10, {});
  const consumers = (await client.deliveries()).map((delivery) => delivery.consumerId);
  assert.deepEqual(consumers, [0, 1, 0, 1]);
});

test("a consumer of higher priority gets everything that it has credit for", async () => {
  const client = await brokerWith([]);
  await client.consume("q", { consumerId: 0 });
  await client.consume("q", { consumerId: 1, priority: 5, credits: 1 });
  for (const text of ["a", "b", "c"]) client.post(messageOf("q", { text }), 1, false);
  const consumers = (await client.deliveries()).map((delivery) => delivery.consumerId);
  assert.deepEqual(consumers, [1, 0, 0]);
});

test("only the first consumer of an exclusive queue gets messages, until it leaves", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ exclusive: true });
  await client.consume("q", { consumerId: 0 });
  await client.consume("q", { consumerId: 1 });
  for (const text of ["a", "b"]) client.post(messageOf("q", { text }), 1, false);
  const first = await client.deliveries();
  assert.deepEqual(
    first.map((delivery) => delivery.consumerId),
    [0, 0],
  );
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  const names = await client.names();
  assert.deepEqual(names, ["NULL_RESPONSE", "SESS_RECEIVE_MSG", "SESS_RECEIVE_MSG"]);
});

test("a queue takes as many consumers as it allows", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ maxConsumers: 1 });
  await client.consume("q");
  client.send(packets.createConsumer, 10, {
    consumerId: 1,
    queueName: "q",
    filter: null,
    browseOnly: false,
    requiresResponse: true,
    priority: 0,
  });
  assert.equal((await client.expect(packets.exception)).code, 214);
});

test("consumers with filters share a queue, and what nobody wants stays", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q", { consumerId: 0, filter: "colour = 'red'" });
  await client.consume("q", { consumerId: 1, filter: "colour = 'blue'" });
  for (const colour of ["red", "blue", "green", "red"]) {
    const properties = { colour: { type: "string", value: colour } } as const;
    client.post(messageOf("q", { text: colour, properties }), 1, false);
  }
  const deliveries = await client.deliveries();
  const seen = deliveries.map((delivery) => `${delivery.consumerId} ${textOf(delivery)}`);
  assert.deepEqual(seen.sort(), ["0 red", "0 red", "1 blue"]);
  assert.equal(broker.queues()[0]?.messageCount, 4);
});

test("a filter finds a rare message far behind others", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (let index = 0; index < 5000; index += 1) client.post(messageOf("q"), 1, false);
  const properties = { wanted: { type: "boolean", value: true } } as const;
  await client.publish("q", "found", { properties });
  await client.consume("q", { filter: "wanted" });
  assert.deepEqual(await client.texts(), ["found"]);
});

test("a filtered message that comes back is delivered again", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { autoCommitAcks: false });
  await client.createQueue();
  await client.publish("q", "a");
  await client.consume("q", { filter: "AMQPriority = 4" });
  assert.deepEqual(await client.texts(), ["a"]);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  assert.deepEqual(await client.names(), ["NULL_RESPONSE", "SESS_RECEIVE_MSG"]);
});

test("A6.6 a filter may ask how often a message was delivered", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const text of ["1", "2"]) await client.publish("q", text);
  await client.consume("q", { filter: "JMSXDeliveryCount = 1 AND JMSXDeliveryCount < 2" });
  assert.deepEqual(await client.texts(), ["1", "2"]);
  const other = await TestClient.open(world);
  await other.consume("q", { filter: "JMSXDeliveryCount > 1" });
  assert.deepEqual(await other.texts(), []);
  // What a broken connection held counts as delivered.
  client.socket.close();
  await other.settle();
  assert.deepEqual(await other.texts(), ["1", "2"]);
});

test("an invalid filter is refused with its code", async () => {
  const client = await brokerWith([]);
  client.send(packets.createConsumer, 10, {
    consumerId: 1,
    queueName: "q",
    filter: "a = = b",
    browseOnly: false,
    requiresResponse: true,
    priority: 0,
  });
  assert.equal((await client.expect(packets.exception)).code, 103);
});

test("a browser sees what is ready, changes nothing, and needs no start", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const text of ["a", "b"]) await client.publish("q", text);
  client.send(packets.createConsumer, 10, {
    consumerId: 3,
    queueName: "q",
    filter: null,
    browseOnly: true,
    requiresResponse: true,
    priority: 0,
  });
  assert.equal((await client.expect(packets.queueQueryResponseV3)).consumerCount, 0);
  client.send(packets.flowToken, 10, { consumerId: 3, credits: -1 });
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 3, sequence: 0 });
  const deliveries = await client.deliveries();
  assert.deepEqual(deliveries.slice(0, 2).map(textOf), ["a", "b"]);
  assert.deepEqual(
    deliveries.map(({ deliveryCount }) => deliveryCount),
    [0, 0, 0],
  );
  assert.equal(deliveries.length, 3);
  // Its acknowledgements mean nothing, and what arrives later is seen as well.
  client.acknowledge(deliveries[0]?.messageId ?? 0, 3);
  await client.expect(packets.nullResponse);
  assert.equal(broker.queues()[0]?.messageCount, 2);
  client.post(messageOf("q", { text: "c" }), 1, false);
  assert.deepEqual(await client.texts(), ["c"]);
});

test("a browser passes over what has expired", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "short", { expiration: world.nowMs + 1000 });
  await client.publish("q", "long");
  await world.pass(1_200);
  await client.consume("q", { browseOnly: true });
  assert.deepEqual(await client.texts(), ["long"]);
  assert.equal(broker.queues()[0]?.messageCount, 2);
});

test("a browser keeps its place while messages before it go", async () => {
  const client = await brokerWith(["a", "b", "c", "d"]);
  const { world } = client;
  const browser = await TestClient.open(world);
  await browser.consume("q", { browseOnly: true, credits: 1 });
  assert.deepEqual(await browser.texts(), ["a"]);
  await client.consume("q", { credits: 1 });
  const [first] = await client.deliveries();
  client.acknowledge(first?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  browser.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  assert.deepEqual(await browser.texts(), ["b", "c", "d"]);
});

test("a consumer of a temporary queue belongs to the connection that made it", async () => {
  const { world, broker } = await startBroker();
  const owner = await TestClient.open(world);
  await owner.createQueue({ queueName: "tmp", temporary: true, durable: false });
  const other = await TestClient.open(world);
  await other.publish("tmp", "any may send");
  other.send(packets.createConsumer, 10, {
    consumerId: 0,
    queueName: "tmp",
    filter: null,
    browseOnly: false,
    requiresResponse: true,
    priority: 0,
  });
  assert.equal((await other.expect(packets.exception)).code, 105);
  await owner.consume("tmp");
  assert.deepEqual(await owner.texts(), ["any may send"]);
  // It outlives its session and ends with the connection.
  owner.send(packets.sessionClose, 10, {});
  await owner.expect(packets.nullResponse);
  assert.equal(broker.queues().length, 1);
  owner.socket.close();
  await world.settle();
  assert.equal(broker.queues().length, 0);
});

test("consumers of a queue that goes are told", async () => {
  const { world } = await startBroker();
  const owner = await TestClient.open(world);
  await owner.createQueue({ queueName: "tmp", temporary: true, durable: false });
  await owner.consume("tmp");
  owner.send(packets.deleteQueue, 10, { queueName: "tmp" });
  assert.equal((await owner.expect(packets.exception)).code, 104);
  owner.send(packets.consumerClose, 10, { consumerId: 0 });
  await owner.expect(packets.nullResponse);
  await owner.consume("tmp", { browseOnly: true });
  owner.send(packets.deleteQueue, 10, { queueName: "tmp" });
  assert.deepEqual((await owner.names()).sort(), ["DISCONNECT_CONSUMER", "NULL_RESPONSE"]);
});

test("a client that does not read gets no more than the limit, and everything once it reads", async () => {
  const { world } = await startBroker();
  const sender = await TestClient.open(world);
  await sender.createQueue();
  const body = new Uint8Array(100_000);
  for (let index = 0; index < 40; index += 1) sender.post(messageOf("q", { body }), 1, false);
  await sender.settle();
  const reader = await TestClient.open(world);
  await reader.consume("q", { credits: 0 });
  reader.socket.isReading = false;
  reader.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  reader.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 0 });
  await world.settle();
  const queued = reader.socket.link.queuedBytes;
  assert.ok(queued > 1_000_000 && queued < 1_300_000, `${queued} bytes are queued`);
  reader.socket.read();
  assert.equal((await reader.deliveries()).length, 41);
});

test("a browser sees no message twice when a consumer gives messages back", async () => {
  const client = await brokerWith(["a", "b", "c", "d"]);
  const browser = await TestClient.open(client.world);
  await browser.consume("q", { browseOnly: true });
  assert.deepEqual(await browser.texts(), ["a", "b", "c", "d"]);
  await client.consume("q", { credits: 1 });
  assert.deepEqual(await client.texts(), ["a"]);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await browser.texts(), []);
});
