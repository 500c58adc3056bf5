import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, unsaidQueueAttributes } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

async function openClient(): Promise<TestClient> {
  const { world } = await startBroker();
  return TestClient.open(world);
}

test("a queue that does not exist is described by what could be created", async () => {
  const client = await openClient();
  client.send(packets.queueQuery, 10, { queueName: "a::q" });
  const answer = await client.expect(packets.queueQueryResponseV3);
  assert.equal(answer.exists, false);
  assert.equal(answer.name, "q");
  assert.equal(answer.address, "a");
  assert.equal(answer.autoCreateQueues, true);
});

test("a queue is described with every attribute that it was created with, after a crash as well", async () => {
  const client = await openClient();
  const attributes = {
    filter: "a > 1",
    maxConsumers: 3,
    exclusive: true,
    lastValueKey: "key",
    groupBuckets: 5,
    ringSize: 100,
    autoDeleteDelay: 1000,
  };
  await client.createQueue({ address: "a", queueName: "q", routingType: 0, ...attributes });
  await crashAndRestart(client.world);
  const other = await TestClient.open(client.world);
  other.send(packets.queueQuery, 10, { queueName: "q" });
  const answer = await other.expect(packets.queueQueryResponseV3);
  for (const [name, value] of Object.entries(attributes)) {
    assert.equal(Object.entries(answer).find(([key]) => key === name)?.[1], value, name);
  }
  assert.deepEqual([answer.exists, answer.durable, answer.routingType], [true, true, 0]);
});

test("an address is described with its queues and routing types", async () => {
  const client = await openClient();
  await client.createQueue({ address: "a", queueName: "one", routingType: 0 });
  await client.createQueue({ address: "a", queueName: "two", routingType: 0 });
  client.send(packets.bindingQuery, 10, { address: "a::one" });
  const answer = await client.expect(packets.bindingQueryResponseV5);
  assert.equal(answer.exists, true);
  assert.deepEqual(answer.queueNames, ["one", "two"]);
  assert.deepEqual([answer.supportsMulticast, answer.supportsAnycast], [true, false]);
  client.send(packets.bindingQuery, 10, { address: "other" });
  const missing = await client.expect(packets.bindingQueryResponseV5);
  assert.equal(missing.exists, false);
  assert.deepEqual([missing.supportsMulticast, missing.supportsAnycast], [false, false]);
});

test("a client below 135 gets the description without routing types", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { version: 134 });
  client.send(packets.bindingQuery, 10, { address: "a" });
  await client.expect(packets.bindingQueryResponseV4);
});

test("the address of features names what this broker offers", async () => {
  const client = await openClient();
  client.send(packets.bindingQuery, 10, { address: "$everhold.features" });
  const features = await client.expect(packets.bindingQueryResponseV5);
  assert.equal(features.exists, true);
  assert.deepEqual(features.queueNames, [
    "mark/1",
    "settle/1",
    "outcome/1",
    "outcome/2",
    "resume/1",
    "resume/2",
  ]);
});

test("creating an address again adds routing types", async () => {
  const client = await openClient();
  for (const routingType of [0, 1]) {
    client.send(packets.createAddress, 10, {
      address: "a",
      routingTypes: [routingType],
      requiresResponse: true,
      autoCreated: false,
    });
    await client.expect(packets.nullResponse);
  }
  client.send(packets.bindingQuery, 10, { address: "a" });
  const answer = await client.expect(packets.bindingQueryResponseV5);
  assert.deepEqual([answer.supportsMulticast, answer.supportsAnycast], [true, true]);
});

test("creating a queue that exists is refused with 101", async () => {
  const client = await openClient();
  await client.createQueue();
  client.frames.length = 0;
  await assert.rejects(client.createQueue());
});

test("a creation that wants no answer gets none, whatever comes of it", async () => {
  const client = await openClient();
  await client.createQueue();
  const queue = { address: "q", queueName: "q", filter: null, durable: true, temporary: false };
  client.send(packets.createQueue, 10, { ...queue, requiresResponse: false });
  client.send(packets.createConsumer, 10, {
    consumerId: 0,
    queueName: "missing",
    filter: null,
    browseOnly: false,
    requiresResponse: false,
    priority: 0,
  });
  assert.deepEqual(await client.names(), []);
});

test("a creation is not answered before its write has completed, nor a question about it", async () => {
  const client = await openClient();
  client.world.disk.holdsWrites = true;
  client.send(packets.createAddress, 10, {
    address: "a",
    routingTypes: [1],
    requiresResponse: false,
    autoCreated: false,
  });
  const other = await TestClient.open(client.world);
  other.send(packets.bindingQuery, 10, { address: "a" });
  assert.deepEqual(await other.names(), []);
  client.world.disk.releaseWrites();
  assert.equal((await other.expect(packets.bindingQueryResponseV5)).exists, true);
});

const sharedSubscription = {
  address: "t",
  queueName: "shared",
  filter: null,
  durable: true,
  routingType: 0,
  requiresResponse: true,
  maxConsumers: null,
  purgeOnNoConsumers: null,
  ...unsaidQueueAttributes,
};

test("a shared subscription is found again, and refused with another filter", async () => {
  const client = await openClient();
  for (let time = 0; time < 2; time += 1) {
    client.send(packets.createSharedQueueV2, 10, sharedSubscription);
    await client.expect(packets.nullResponse);
  }
  client.send(packets.createSharedQueueV2, 10, { ...sharedSubscription, filter: "a = 1" });
  assert.equal((await client.expect(packets.exception)).code, 118);
});

test("a shared subscription that is not durable ends with its last consumer", async () => {
  for (const durable of [false, true]) {
    const client = await openClient();
    client.send(packets.createSharedQueueV2, 10, { ...sharedSubscription, durable });
    await client.expect(packets.nullResponse);
    const consumerIds = [1, 2];
    for (const consumerId of consumerIds) await client.consume("shared", { consumerId });
    for (const consumerId of consumerIds) {
      client.send(packets.consumerClose, 10, { consumerId });
      await client.expect(packets.nullResponse);
      client.send(packets.queueQuery, 10, { queueName: "shared" });
      const isExpected = durable || consumerId === 1;
      assert.equal((await client.expect(packets.queueQueryResponseV3)).exists, isExpected);
    }
  }
});

test("a session that closes takes such a subscription with it, and its browsers", async () => {
  const client = await openClient();
  client.send(packets.createSharedQueueV2, 10, { ...sharedSubscription, durable: false });
  await client.expect(packets.nullResponse);
  await client.consume("shared", { consumerId: 1 });
  await client.consume("shared", { consumerId: 2, browseOnly: true });
  client.send(packets.sessionClose, 10, {});
  assert.deepEqual(await client.names(), ["DISCONNECT_CONSUMER", "NULL_RESPONSE"]);
  const other = await TestClient.open(client.world);
  other.send(packets.queueQuery, 10, { queueName: "shared" });
  assert.equal((await other.expect(packets.queueQueryResponseV3)).exists, false);
});

test("deleting a queue drops its messages for good", async () => {
  const client = await openClient();
  await client.createQueue();
  await client.publish("q", "a");
  client.send(packets.deleteQueue, 10, { queueName: "q" });
  await client.expect(packets.nullResponse);
  client.send(packets.deleteQueue, 10, { queueName: "q" });
  assert.equal((await client.expect(packets.exception)).code, 100);
  const broker = await crashAndRestart(client.world);
  assert.deepEqual(broker.queues(), []);
});

test("non-durable and temporary queues are gone after a restart", async () => {
  const client = await openClient();
  await client.createQueue({ queueName: "kept" });
  await client.createQueue({ queueName: "volatile", durable: false });
  await client.createQueue({ queueName: "temporary", durable: false, temporary: true });
  await client.publish("volatile", "a");
  const broker = await crashAndRestart(client.world);
  assert.deepEqual(
    broker.queues().map((queue) => queue.name),
    ["kept"],
  );
});

test("credits for producers are granted as asked, with the address as it was written", async () => {
  const client = await openClient();
  client.send(packets.producerRequestCredits, 10, { credits: 102_431, address: "a::b" });
  assert.deepEqual(await client.expect(packets.producerCredits), {
    credits: 102_431,
    address: "a::b",
  });
});

test("credits for a full address come when there is room again", async () => {
  const { world } = await startBroker({ addressSettings: { "#": { maxSizeBytes: 100 } } });
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "fills the address".repeat(10));
  client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
  assert.deepEqual(await client.names(), []);
  await client.consume("q");
  const { messageId } = await client.delivery();
  client.acknowledge(messageId, 0, false);
  assert.equal((await client.expect(packets.producerCredits)).credits, 1000);
});

test("messages in memory are bounded: first credits stop, then sends are refused", async () => {
  const { world } = await startBroker({ memoryBytesMax: 2 * 1024 * 1024 });
  const client = await TestClient.open(world);
  await client.createQueue();
  const message = messageOf("q", { durable: false, body: new Uint8Array(100_000) });
  let sends = 0;
  while (sends < 100) {
    sends += 1;
    client.post(message, sends);
    if ((await client.names())[0] === "EXCEPTION") break;
  }
  assert.ok(sends > 20 && sends < 40, `${sends} sends were taken`);
  client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
  assert.deepEqual(await client.names(), []);
  await client.publish("q", "durable ones are taken");
  client.send(packets.deleteQueue, 10, { queueName: "q" });
  const names = await client.names();
  assert.deepEqual(names.sort(), ["NULL_RESPONSE", "SESS_PRODUCER_CREDITS"]);
});

test("with the policy fail a full address refuses credits and sends", async () => {
  const addressSettings = { "#": { maxSizeBytes: 100, addressFullPolicy: "fail" } } as const;
  const { world } = await startBroker({ addressSettings });
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "fills the address".repeat(10));
  client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
  await client.expect(packets.producerFailCredits);
  client.post(messageOf("q"), 4);
  assert.equal((await client.expect(packets.exception)).code, 210);
});

test("producers are neither answered nor remembered", async () => {
  const client = await openClient();
  client.send(packets.createProducer, 10, { producerId: 1, address: "q" });
  client.send(packets.removeProducer, 10, { producerId: 99 });
  assert.deepEqual(await client.names(), []);
});

test("credits come at once when messages in memory make room, though nothing is written", async () => {
  const { world } = await startBroker({ addressSettings: { "#": { maxSizeBytes: 100 } } });
  const client = await TestClient.open(world);
  await client.createQueue({ durable: false });
  await client.publish("q", "fills the address".repeat(10), { durable: false });
  client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
  assert.deepEqual(await client.names(), []);
  await client.consume("q");
  const { messageId } = await client.delivery();
  client.acknowledge(messageId, 0, false);
  assert.equal((await client.expect(packets.producerCredits)).credits, 1000);
});

test("an address that names a routing type several times has it once", async () => {
  const client = await openClient();
  for (const routingTypes of [
    [1, 1, 1],
    [0, 0, 1, 0],
  ]) {
    const value = { address: "a", routingTypes, requiresResponse: true, autoCreated: false };
    client.send(packets.createAddress, 10, value);
    await client.expect(packets.nullResponse);
  }
});
