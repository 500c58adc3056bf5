/** What the comparison of packets with Artemis has shown (`test/interop`, suite `same-packets`), one fact each. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, type TypedValue } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, type SessionChoices } from "../testing/test-client.test-support.ts";

async function open(choices: SessionChoices = {}): Promise<TestClient> {
  const { world } = await startBroker();
  return TestClient.open(world, choices);
}

async function describe(client: TestClient, queueName: string) {
  client.send(packets.queueQuery, 10, { queueName });
  return client.expect(packets.queueQueryResponseV3);
}

async function exists(client: TestClient, address: string): Promise<boolean> {
  client.send(packets.bindingQuery, 10, { address });
  return (await client.expect(packets.bindingQueryResponseV5)).exists;
}

test("attributes that nobody set are described as they are in effect", async () => {
  const client = await open();
  await client.createQueue();
  const found = await describe(client, "q");
  assert.deepEqual(
    [found.exclusive, found.lastValue, found.ringSize, found.autoDelete, found.enabled],
    [false, false, -1, false, true],
  );
  assert.equal((await describe(client, "missing")).durable, true);
});

test("a queue that was made automatically is described as one that goes by itself", async () => {
  const client = await open();
  await client.createQueue({ autoCreated: true });
  assert.equal((await describe(client, "q")).autoDelete, true);
});

test("browsers are no consumers of a queue", async () => {
  const client = await open();
  await client.createQueue();
  await client.consume("q", { browseOnly: true });
  assert.equal((await describe(client, "q")).consumerCount, 0);
});

test("a browser is told how often a message was delivered before, at first never", async () => {
  const client = await open();
  await client.createQueue();
  await client.publish("q", "one");
  await client.consume("q", { browseOnly: true });
  assert.equal((await client.delivery()).deliveryCount, 0);
});

test("a filter without a word in it is none", async () => {
  const client = await open();
  await client.createQueue({ filter: " " });
  assert.equal((await describe(client, "q")).filter, null);
});

test("a queue without a routing type is multicast, whatever its address has", async () => {
  const client = await open();
  const value = { address: "a", routingTypes: [1], requiresResponse: true, autoCreated: false };
  client.send(packets.createAddress, 10, value);
  await client.expect(packets.nullResponse);
  await client.createQueue({ address: "a", queueName: "q", routingType: 255 });
  assert.equal((await describe(client, "q")).routingType, 0);
});

test("an address goes with its last queue unless a client created it by itself", async () => {
  const client = await open();
  const value = { routingTypes: [1], requiresResponse: true, autoCreated: false };
  client.send(packets.createAddress, 10, { ...value, address: "kept" });
  await client.expect(packets.nullResponse);
  for (const address of ["kept", "implied"]) {
    await client.createQueue({ address, queueName: `${address}.q` });
    client.send(packets.deleteQueue, 10, { queueName: `${address}.q` });
    await client.expect(packets.nullResponse);
  }
  assert.deepEqual([await exists(client, "kept"), await exists(client, "implied")], [true, false]);
});

test("what a subscription filters out does not come in by its full name either", async () => {
  const client = await open();
  const red: TypedValue = { type: "string", value: "red" };
  await client.createQueue({ address: "a", queueName: "q", filter: "colour = 'red'" });
  await client.publish("a::q", "plain");
  await client.publish("a::q", "coloured", { properties: { colour: red } });
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["coloured"]);
});

test("a queue that purges without consumers takes nothing while it has none", async () => {
  const client = await open();
  await client.createQueue({ purgeOnNoConsumers: true });
  await client.publish("q", "lost");
  assert.equal((await describe(client, "q")).messageCount, 0);
  await client.consume("q");
  client.post(messageOf("q", { text: "kept" }), 1, false);
  assert.deepEqual(await client.texts(), ["kept"]);
});

test("a consumer of a higher priority does not take an exclusive queue over", async () => {
  const client = await open();
  await client.createQueue({ exclusive: true });
  await client.consume("q");
  client.post(messageOf("q", { text: "one" }), 1, false);
  assert.equal((await client.delivery()).consumerId, 0);
  await client.consume("q", { consumerId: 1, priority: 9 });
  client.post(messageOf("q", { text: "two" }), 1, false);
  assert.equal((await client.delivery()).consumerId, 0);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.equal((await client.delivery()).consumerId, 1);
});

test("a message that was moved carries the address where it lies, and no routing type", async () => {
  const client = await open();
  await client.createQueue();
  // Rows keep tenths of a second, from the broker's first start on.
  await client.world.pass(2000);
  client.post(messageOf("q", { text: "old", expiration: client.world.nowMs - 1000 }), 1, false);
  await client.consume("q");
  await client.names();
  await client.consume("ExpiryQueue", { consumerId: 1 });
  const moved = await client.delivery();
  assert.equal(moved.address, "ExpiryQueue");
  assert.equal(moved.properties.has("_AMQ_ROUTING_TYPE"), false);
  assert.deepEqual(moved.properties.get("_AMQ_ORIG_ROUTING_TYPE"), { type: "byte", value: 1 });
});

for (const autoCommitSends of [true, false]) {
  test(`a message without an address is delivered with the session's, ${autoCommitSends ? "at once" : "in a transaction"}`, async () => {
    const client = await open({ autoCommitSends });
    await client.createQueue();
    client.post(messageOf("q", { text: "one" }), 1, false);
    client.post(messageOf(null, { text: "two" }), 2, false);
    client.send(packets.commit, 10, { correlationId: 3 });
    await client.expect(packets.nullResponse);
    await client.consume("q");
    const found = await client.deliveries();
    assert.deepEqual(
      found.map(({ address }) => address),
      ["q", "q"],
    );
  });
}

test("messages in memory keep their order in a transaction, with a duplicate id among them", async () => {
  const client = await open({ autoCommitSends: false });
  const id = { _AMQ_DUPL_ID: { type: "string", value: "x" } } as const;
  await client.createQueue({ durable: false });
  for (const [text, properties] of [
    ["one", {}],
    ["two", id],
    ["three", {}],
  ] as const) {
    client.post(messageOf("q", { text, durable: false, properties }), 1, false);
  }
  client.send(packets.commit, 10, { correlationId: 3 });
  await client.expect(packets.nullResponse);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["one", "two", "three"]);
  client.post(messageOf("q", { text: "again", durable: false, properties: id }), 1, false);
  client.send(packets.commit, 10, { correlationId: 4 });
  assert.equal((await client.expect(packets.exception)).code, 113);
});
