import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

test("a durable message that was confirmed is delivered after a crash", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "one");
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q");
  const delivery = await other.delivery();
  assert.equal(textOf(delivery), "one");
  assert.equal(delivery.deliveryCount, 1);
});

test("a durable send is not answered before its write has completed", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  world.disk.holdsWrites = true;
  client.post(messageOf("q", { text: "one" }), 77);
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 77);
});

test("a message is not delivered before its write has completed", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q");
  world.disk.holdsWrites = true;
  client.post(messageOf("q", { text: "one" }), 1, false);
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  assert.deepEqual(await client.texts(), ["one"]);
});

test("a non-durable message is delivered and answered without the disk", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q");
  world.disk.holdsWrites = true;
  client.post(messageOf("q", { text: "quick", durable: false }), 5);
  const names = await client.names();
  assert.deepEqual(names.sort(), ["NULL_RESPONSE", "SESS_RECEIVE_MSG"]);
});

test("an answer that needs no disk waits for an earlier one that does", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  world.disk.holdsWrites = true;
  client.post(messageOf("q", { text: "slow" }), 1);
  client.post(messageOf("q", { text: "quick", durable: false }), 2);
  client.send(packets.queueQuery, 10, { queueName: "q" });
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 1);
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 2);
  await client.expect(packets.queueQueryResponseV3);
});

test("messages and their state survive an orderly stop", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (const text of ["a", "b", "c"]) await client.publish("q", text);
  const before = broker.fingerprint();
  await runUntil(world, broker.stop());
  const { broker: again } = await startBroker({}, world);
  assert.equal(again.fingerprint(), before);
});

test("a message for a consumer that waits is delivered by the write that stores it", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q");
  // More than one step of the dispatch limit.
  for (let index = 0; index < 200; index += 1) {
    client.post(messageOf("q", { text: `${index}` }), 1, false);
    const before = world.disk.writeCount;
    assert.deepEqual(await client.texts(), [`${index}`]);
    assert.equal(world.disk.writeCount, before + 1);
  }
});
