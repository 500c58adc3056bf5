import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { SomeSettings } from "../settings/setting-table.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, type Delivery } from "../testing/test-client.test-support.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";

/** A broker that wants ten messages a second of each consumer of `q`, a sender, and somebody who is told. */
async function setUp(
  settings: SomeSettings = {},
  count = 100,
): Promise<{ world: ManualWorld; sender: TestClient; listener: TestClient }> {
  const { world } = await startBroker({
    addressSettings: { q: { slowConsumerThreshold: 10, ...settings } },
  });
  const sender = await TestClient.open(world, { name: "sender" });
  await sender.createQueue();
  for (let index = 0; index < count; index += 1) {
    sender.post(messageOf("q", { text: `${index}` }), 1, false);
  }
  await sender.settle();
  const listener = await TestClient.open(world, { name: "listener" });
  await listener.createQueue({
    address: "activemq.notifications",
    queueName: "told",
    routingType: 0,
    filter: "_AMQ_NotifType = 'CONSUMER_SLOW'",
  });
  await listener.consume("told");
  return { world, sender, listener };
}

async function told(listener: TestClient): Promise<Delivery[]> {
  return listener.deliveries();
}

describe("a slow consumer", () => {
  it("is told of at each look while it is slow, with who it is", async () => {
    const { world, listener } = await setUp();
    const slow = await TestClient.open(world, { name: "slow" });
    await slow.consume("q", { consumerId: 3 });
    // Nobody knows at the first look whether it had anything to do before.
    await world.pass(5000);
    assert.equal((await told(listener)).length, 0);
    await world.pass(5000);
    const [notification] = await told(listener);
    assert.ok(notification !== undefined);
    const said = (name: string): unknown => notification.properties.get(name)?.value;
    assert.equal(said("_AMQ_NotifType"), "CONSUMER_SLOW");
    assert.equal(said("_AMQ_Address"), "q");
    assert.equal(said("_AMQ_ConsumerCount"), 1);
    assert.equal(said("_AMQ_ConsumerName"), 3);
    assert.equal(said("_AMQ_SessionName"), "slow");
    assert.equal(typeof said("_AMQ_RemoteAddress"), "string");
    assert.equal(typeof said("_AMQ_ConnectionName"), "string");
    await world.pass(5000);
    assert.equal((await told(listener)).length, 1);
    assert.equal(world.logged("warn").filter((line) => line === "A consumer is slow").length, 1);
  });

  it("loses its connection with the policy kill, and others get what it held, counted", async () => {
    const { world } = await setUp({ slowConsumerPolicy: "kill" });
    const slow = await TestClient.open(world, { name: "slow" });
    await slow.consume("q");
    await slow.deliveries();
    await world.pass(5000);
    await slow.names();
    await world.pass(5000);
    const names = await slow.names();
    assert.deepEqual(names, ["DISCONNECT_CONSUMER_KILL"]);
    assert.equal(slow.socket.isClosed, true);
    const other = await TestClient.open(world, { name: "other" });
    await other.consume("q");
    const deliveries = await other.deliveries();
    assert.equal(deliveries.length, 100);
    assert.ok(deliveries.every(({ deliveryCount }) => deliveryCount === 2));
  });

  it("is one that takes nothing of what is there, too", async () => {
    const { world, listener } = await setUp();
    const frozen = await TestClient.open(world, { name: "frozen" });
    await frozen.consume("q", { credits: 0 });
    await world.pass(10_000);
    assert.equal((await told(listener)).length, 1);
  });

  it("is measured in the unit of the settings", async () => {
    const { world, listener } = await setUp({
      slowConsumerThreshold: 60,
      slowConsumerThresholdMeasurementUnit: "messagesPerMinute",
    });
    const consumer = await TestClient.open(world, { name: "consumer" });
    await consumer.consume("q");
    const deliveries = await consumer.deliveries();
    // Six in five seconds are more than one a second, four are fewer.
    let next = 0;
    const settle = (count: number): void => {
      next += count;
      consumer.acknowledge(deliveries[next - 1]?.messageId ?? 0, 0, false);
    };
    await world.pass(5000);
    settle(6);
    await world.pass(5000);
    assert.equal((await told(listener)).length, 0);
    settle(4);
    await world.pass(5000);
    assert.equal((await told(listener)).length, 1);
  });

  it("that is ended takes nothing with it of what its transaction did", async () => {
    const { world, sender } = await setUp({ slowConsumerPolicy: "kill" });
    await sender.createQueue({ queueName: "r" });
    const slow = await TestClient.open(world, { autoCommitAcks: false, autoCommitSends: false });
    await slow.consume("q");
    const held = await slow.deliveries();
    slow.acknowledge(held[3]?.messageId ?? 0, 0, false);
    slow.post(messageOf("r", { text: "done" }), 1, false);
    await world.pass(30_000);
    assert.equal(slow.socket.isClosed, true);
    const other = await TestClient.open(world);
    await other.consume("r");
    assert.deepEqual(await other.texts(), []);
    await other.consume("q", { consumerId: 1 });
    assert.equal((await other.deliveries()).length, held.length);
  });
});

describe("nobody is slow", () => {
  it("who waits for messages, or whose filter matches none", async () => {
    const { world, sender, listener } = await setUp();
    const filtering = await TestClient.open(world, { name: "filtering" });
    await filtering.consume("q", { filter: "colour = 'red'" });
    await world.pass(20_000);
    assert.equal((await told(listener)).length, 0);
    const quick = await TestClient.open(world, { name: "quick" });
    await quick.consume("q");
    for (const { messageId } of await quick.deliveries()) quick.acknowledge(messageId, 0, false);
    await world.pass(20_000);
    sender.post(messageOf("q", { text: "just now" }), 1, false);
    await sender.settle();
    await world.pass(5000);
    assert.equal((await told(listener)).length, 0);
  });

  it("where there are too few messages for anybody to be quick", async () => {
    const { world, listener } = await setUp({}, 9);
    const consumer = await TestClient.open(world, { name: "consumer" });
    await consumer.consume("q");
    await world.pass(20_000);
    assert.equal((await told(listener)).length, 0);
  });

  it("who only browses, and nobody at all without a threshold", async () => {
    const { world, listener } = await setUp();
    const browser = await TestClient.open(world, { name: "browser" });
    await browser.consume("q", { browseOnly: true });
    await world.pass(20_000);
    assert.equal((await told(listener)).length, 0);
    const plain = await startBroker();
    const client = await TestClient.open(plain.world);
    await client.createQueue();
    await client.publish("q", "x");
    await client.consume("q");
    await plain.world.pass(60_000);
    assert.equal(plain.world.logged("warn").length, 0);
  });

  it("who settles what it gets: its connection stays", async () => {
    const { world } = await setUp({ slowConsumerPolicy: "kill" });
    const consumer = await TestClient.open(world, { name: "consumer" });
    await consumer.consume("q");
    for (let second = 0; second < 20; second += 1) {
      const deliveries = await consumer.deliveries();
      for (const { messageId } of deliveries) consumer.acknowledge(messageId, 0, false);
      await world.pass(1000);
    }
    assert.equal(consumer.socket.isClosed, false);
  });
});
