import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, textOf, type MessageChoices } from "../testing/test-client.test-support.ts";

const delayed: SomeSettings = { redeliveryDelay: 1000 };
const blocking: SomeSettings = { redeliveryDelay: 1000, redeliveryMode: "blocking" };

interface Setting {
  readonly world: ManualWorld;
  readonly broker: Broker;
  readonly client: TestClient;
}

/** A queue `q` with these messages, and a client whose consumer 0 has taken the first `credits`. */
async function consuming(
  settings: SomeSettings,
  texts: readonly string[],
  choices: MessageChoices = {},
): Promise<Setting> {
  const { world, broker } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(world, { autoCommitAcks: false });
  await client.createQueue();
  for (const text of texts) await client.publish("q", text, choices);
  await client.consume("q", { credits: 1 });
  return { world, broker, client };
}

/** Takes the one message that is delivered, and fails at it. Gives its text and delivery count. */
async function fail(client: TestClient): Promise<string> {
  const delivery = await client.delivery();
  client.acknowledge(delivery.messageId);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  return `${textOf(delivery)} ${delivery.deliveryCount}`;
}

/** Lets consumer 0 take one message more, or all. */
function credit(client: TestClient, credits = -1): void {
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 0 });
  client.send(packets.flowToken, 10, { consumerId: 0, credits });
}

async function seen(client: TestClient): Promise<string[]> {
  const deliveries = await client.deliveries();
  return deliveries.map((delivery) => `${textOf(delivery)} ${delivery.deliveryCount}`);
}

function countOf(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.messageCount ?? -1;
}

function scheduledCount(broker: Broker): unknown {
  return broker.management.read("queue.q", "ScheduledCount").value;
}

test("a message that failed comes again after the delay, and others overtake it meanwhile", async () => {
  const { world, client } = await consuming(delayed, ["a", "b"]);
  assert.equal(await fail(client), "a 1");
  credit(client);
  assert.deepEqual(await seen(client), ["b 1"]);
  await world.pass(999);
  assert.deepEqual(await seen(client), []);
  await world.pass(1);
  assert.deepEqual(await seen(client), ["a 2"]);
});

test("blocking redelivery keeps the order: what stands behind the message waits as long", async () => {
  const { world, client } = await consuming(blocking, ["a", "b"]);
  assert.equal(await fail(client), "a 1");
  credit(client);
  await client.publish("q", "c");
  assert.deepEqual(await seen(client), []);
  await world.pass(999);
  assert.deepEqual(await seen(client), []);
  await world.pass(1);
  assert.deepEqual(await seen(client), ["a 2", "b 1", "c 1"]);
});

test("blocking redelivery holds a consumer with a filter as well, and no browser", async () => {
  const { world, client } = await consuming(blocking, ["a", "b"]);
  await fail(client);
  await client.consume("q", { consumerId: 1, filter: "TRUE", credits: -1 });
  await client.consume("q", { consumerId: 2, browseOnly: true });
  assert.deepEqual(await client.texts(), ["b"]);
  await world.pass(1000);
  assert.deepEqual(await client.texts(), ["a", "b"]);
});

test("what has a higher priority passes a message that holds the others", async () => {
  const { world, client } = await consuming(blocking, ["a", "b"]);
  await fail(client);
  credit(client);
  await client.publish("q", "urgent", { priority: 9 });
  assert.deepEqual(await seen(client), ["urgent 1"]);
  await world.pass(1000);
  assert.deepEqual(await seen(client), ["a 2", "b 1"]);
});

test("messages in memory are held among those of the journal in the order of their sends", async () => {
  const { world, client } = await consuming(blocking, ["a"], { durable: false });
  assert.equal(await fail(client), "a 1");
  await client.publish("q", "b");
  await client.publish("q", "c", { durable: false });
  credit(client);
  assert.deepEqual(await seen(client), []);
  await world.pass(1000);
  assert.deepEqual(await seen(client), ["a 2", "b 1", "c 1"]);
});

test("several messages that failed together come again in their order, also with blocking", async () => {
  const { world, client } = await consuming(blocking, ["a", "b", "c", "d"]);
  credit(client, 1_000_000);
  const taken = await client.deliveries();
  assert.equal(taken.length, 4);
  client.acknowledge(taken[2]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await seen(client), []);
  await world.pass(1000);
  assert.deepEqual(await seen(client), ["a 2", "b 2", "c 2", "d 1"]);
});

test("the delay grows with each attempt, and after the last one the message is a dead letter", async () => {
  const { world, broker, client } = await consuming(
    { ...delayed, redeliveryDelayMultiplier: 3, maxDeliveryAttempts: 3 },
    ["a"],
  );
  assert.equal(await fail(client), "a 1");
  credit(client, 1);
  await world.pass(1000);
  assert.equal(await fail(client), "a 2");
  credit(client, 1);
  await world.pass(2999);
  assert.deepEqual(await seen(client), []);
  await world.pass(1);
  assert.equal(await fail(client), "a 3");
  assert.deepEqual([countOf(broker), scheduledCount(broker), countOf(broker, "DLQ")], [0, 0, 1]);
});

for (const mode of ["nonBlocking", "blocking"] as const) {
  test(`count, time and order of a redelivery survive a crash (${mode})`, async () => {
    const settings = { redeliveryDelay: 1000, redeliveryMode: mode };
    const { world, client } = await consuming(settings, ["a", "b"]);
    assert.equal(await fail(client), "a 1");
    await crashAndRestart(world, { addressSettings: { "#": settings } });
    const other = await TestClient.open(world);
    await other.consume("q");
    // Whether the second one was handed out is not known, so it is marked.
    assert.deepEqual(await seen(other), mode === "blocking" ? [] : ["b 2"]);
    await world.pass(1000);
    assert.deepEqual(await seen(other), mode === "blocking" ? ["a 2", "b 2"] : ["a 2"]);
  });
}

test("a crash before the failure is written makes it unhappened, never half of it", async () => {
  const { world, client } = await consuming(delayed, ["a"]);
  const delivery = await client.delivery();
  client.acknowledge(delivery.messageId);
  await client.expect(packets.nullResponse);
  world.disk.holdsWrites = true;
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.settle();
  const broker = await crashAndRestart(world, { addressSettings: { "#": delayed } });
  assert.deepEqual([countOf(broker), scheduledCount(broker)], [1, 0]);
  const other = await TestClient.open(world);
  await other.consume("q");
  assert.deepEqual(await seen(other), ["a 2"]);
});

test("the others go on when the message that holds them is removed", async () => {
  const { broker, client } = await consuming(blocking, ["a", "b"]);
  const { messageId } = await client.delivery();
  client.acknowledge(messageId);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  credit(client);
  assert.deepEqual(await client.names(), ["NULL_RESPONSE", "NULL_RESPONSE"]);
  broker.management.invoke("queue.q", "removeMessage", [messageId]);
  assert.deepEqual(await seen(client), ["b 1"]);
});

test("the others go on when the message that holds them expires", async () => {
  const settings = { ...blocking, redeliveryDelay: 90_000 };
  const { world, broker } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(world, { autoCommitAcks: false });
  await client.createQueue();
  await client.publish("q", "a", { expiration: world.nowMs + 10_000 });
  await client.publish("q", "b");
  await client.consume("q", { credits: 1 });
  await fail(client);
  credit(client);
  assert.deepEqual(await seen(client), []);
  await world.pass(31_000);
  assert.deepEqual(await seen(client), ["b 1"]);
  assert.equal(countOf(broker, "ExpiryQueue"), 1);
});

test("a queue whose message waits for its redelivery can be deleted", async () => {
  const { world, broker, client } = await consuming(blocking, ["a", "b"]);
  await fail(client);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  client.send(packets.deleteQueue, 10, { queueName: "q" });
  await client.expect(packets.nullResponse);
  await world.pass(2000);
  assert.deepEqual(broker.queues(), []);
});
