import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

type QueueChoices = Parameters<TestClient["createQueue"]>[0];

async function brokerWith(
  choices: QueueChoices = {},
): Promise<{ client: TestClient; broker: Broker }> {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ lastValue: true, ...choices });
  return { client, broker };
}

function ofValue(value: string, name = "_AMQ_LVQ_NAME"): MessageChoices {
  return { properties: { [name]: { type: "string", value } } };
}

/** Sends without waiting for an answer, which deliveries may overtake. */
async function send(client: TestClient, text: string, choices: MessageChoices = {}): Promise<void> {
  client.post(messageOf("q", { text, ...choices }), 1, false);
  await client.settle();
}

/** Sends messages of the values that the letters name: `a1 b1 a2 …`. */
async function publish(client: TestClient, names: string): Promise<void> {
  for (const name of names.split(" ")) await send(client, name, ofValue(name.slice(0, 1)));
}

function countOf(broker: Broker): number {
  return broker.queues().find((queue) => queue.name === "q")?.messageCount ?? -1;
}

async function browse(client: TestClient, consumerId = 9): Promise<string[]> {
  await client.consume("q", { consumerId, browseOnly: true });
  const texts = await client.texts();
  client.send(packets.consumerClose, 10, { consumerId });
  await client.expect(packets.nullResponse);
  return texts;
}

async function close(client: TestClient, consumerId = 0): Promise<void> {
  client.send(packets.consumerClose, 10, { consumerId });
  await client.expect(packets.nullResponse);
  await client.settle();
}

test("a last-value queue keeps the newest message of each value, and all without one", async () => {
  const { client, broker } = await brokerWith();
  await publish(client, "a1 b1 a2");
  await send(client, "x");
  await send(client, "y");
  await publish(client, "b2 a3");
  assert.equal(countOf(broker), 4);
  assert.deepEqual(await browse(client), ["x", "y", "b2", "a3"]);
});

test("the value may be any property, as a text", async () => {
  const { client } = await brokerWith({ lastValueKey: "reuters" });
  const number = { properties: { reuters: { type: "int", value: 7 } } } as const;
  await send(client, "1", ofValue("7", "reuters"));
  await send(client, "2", number);
  await send(client, "3", ofValue("7"));
  await send(client, "4", ofValue("8", "reuters"));
  assert.deepEqual(await browse(client), ["3", "4"]);
});

test("messages of all priorities, durable or not, are of one value", async () => {
  const { client, broker } = await brokerWith();
  await send(client, "1", { ...ofValue("a"), priority: 9 });
  await send(client, "2", { ...ofValue("a"), priority: 0 });
  await send(client, "3", { ...ofValue("a"), durable: false });
  assert.deepEqual(await browse(client), ["3"]);
  await send(client, "4", { ...ofValue("a"), priority: 7 });
  assert.deepEqual(await browse(client), ["4"]);
  assert.equal(countOf(broker), 1);
});

test("a restart keeps the newest message of each value, and goes on", async () => {
  const { client } = await brokerWith();
  await publish(client, "a1 b1 a2 b2 a3");
  await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  await publish(again, "b3");
  assert.deepEqual(await browse(again), ["a3", "b3"]);
});

test("a value that is not durable replaces a durable one for good, and is lost with the broker", async () => {
  const { client } = await brokerWith();
  await publish(client, "a1 b1");
  await send(client, "a2", { ...ofValue("a"), durable: false });
  const broker = await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  assert.deepEqual(await browse(again), ["b1"]);
  assert.equal(countOf(broker), 1);
});

test("what a consumer holds is not replaced, and vanishes when it comes back", async () => {
  const { client, broker } = await brokerWith();
  await publish(client, "a1");
  await client.consume("q", { credits: 1 });
  assert.deepEqual(await client.texts(), ["a1"]);
  await publish(client, "a2 a3");
  assert.equal(countOf(broker), 2);
  await close(client);
  assert.equal(countOf(broker), 1);
  assert.deepEqual(await browse(client), ["a3"]);
});

test("what comes back takes the place of newer ones that were consumed", async () => {
  const { client, broker } = await brokerWith();
  await publish(client, "a1");
  await client.consume("q", { consumerId: 0, credits: 1 });
  await client.texts();
  await publish(client, "a2");
  await client.consume("q", { consumerId: 1 });
  const newer = await client.deliveries();
  assert.deepEqual(newer.map(textOf), ["a2"]);
  client.acknowledge(newer[0]?.messageId ?? 0, 1);
  await client.expect(packets.nullResponse);
  await close(client, 1);
  await close(client, 0);
  assert.deepEqual(await browse(client), ["a1"]);
  await publish(client, "a3");
  assert.deepEqual(await browse(client), ["a3"]);
  assert.equal(countOf(broker), 1);
});

test("a crash while an older message is in a consumer's hands leaves the newest", async () => {
  const { client } = await brokerWith();
  await publish(client, "a1");
  await client.consume("q", { credits: 1 });
  await client.texts();
  await publish(client, "a2");
  const broker = await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  assert.deepEqual(await browse(again), ["a2"]);
  assert.equal(countOf(broker), 1);
});

test("a transaction adds the newest of its values, and a rolled back one nothing", async () => {
  const { client } = await brokerWith();
  await publish(client, "a1 b1");
  await client.createSession({ name: "tx", sessionChannelId: 11, autoCommitSends: false });
  client.frames.length = 0;
  for (const name of ["a2", "b2", "a3"]) {
    client.post(messageOf("q", { text: name, ...ofValue(name.slice(0, 1)) }), 1, false, 11);
  }
  assert.deepEqual(await browse(client), ["a1", "b1"]);
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await browse(client), ["a1", "b1"]);
  for (const name of ["a4", "b4", "a5"]) {
    client.post(messageOf("q", { text: name, ...ofValue(name.slice(0, 1)) }), 1, false, 11);
  }
  client.send(packets.commit, 11, { correlationId: 1 });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await browse(client), ["b4", "a5"]);
});

test("a scheduled message replaces others when its time has come, and not before", async () => {
  const { client } = await brokerWith();
  const due = { type: "long", value: client.world.nowMs + 1_000 } as const;
  const { properties } = ofValue("a");
  await send(client, "later", { properties: { ...properties, _AMQ_SCHED_DELIVERY: due } });
  await publish(client, "a1");
  assert.deepEqual(await browse(client), ["a1"]);
  await client.world.pass(2_000);
  assert.deepEqual(await browse(client), ["later"]);
  await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  assert.deepEqual(await browse(again), ["later"]);
});

test("several last-value queues of one address go by properties of their own", async () => {
  const { client } = await brokerWith({ address: "t", queueName: "one", lastValueKey: "x" });
  await client.createQueue({ address: "t", queueName: "two", lastValueKey: "y", routingType: 0 });
  await client.createQueue({ address: "t", queueName: "three", lastValueKey: "x", routingType: 0 });
  for (const [index, [x, y]] of [
    ["1", "1"],
    ["1", "2"],
    ["2", "2"],
  ].entries()) {
    const properties = {
      x: { type: "string", value: x ?? "" },
      y: { type: "string", value: y ?? "" },
    } as const;
    const message = messageOf("t", { text: `${index}`, routing: 0, properties });
    client.post(message, 1, false);
    await client.settle();
  }
  await client.consume("two", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["0", "2"]);
  await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  await again.consume("three", { consumerId: 1 });
  assert.deepEqual(await again.texts(), ["1", "2"]);
});

test("a non-destructive last-value queue shows everybody the newest of each value", async () => {
  const { client, broker } = await brokerWith({ nonDestructive: true });
  await publish(client, "a1 b1");
  await client.consume("q", { consumerId: 0 });
  assert.deepEqual(await client.texts(), ["a1", "b1"]);
  await publish(client, "a2");
  assert.deepEqual(await client.texts(), ["a2"]);
  assert.equal(countOf(broker), 2);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["b1", "a2"]);
});

test("an expired or acknowledged message makes room for its value", async () => {
  const { client, broker } = await brokerWith();
  const expiration = client.world.nowMs + 1_000;
  await send(client, "a1", { ...ofValue("a"), expiration });
  await client.world.pass(60_000);
  assert.equal(countOf(broker), 0);
  await publish(client, "a2");
  await client.consume("q");
  const [delivery] = await client.deliveries();
  client.acknowledge(delivery?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker), 0);
  await publish(client, "a3");
  assert.deepEqual(await client.texts(), ["a3"]);
});

test("a key that is too long is refused, and the next send works", async () => {
  const { client } = await brokerWith();
  client.post(messageOf("q", { text: "1", ...ofValue("x".repeat(1_025)) }));
  const refused = await client.expect(packets.exception);
  assert.match(refused.message ?? "", /1025 characters, at most 1024/);
  await client.publish("q", "2", ofValue("x".repeat(1_024)));
  assert.deepEqual(await browse(client), ["2"]);
});

test("what is moved to a last-value queue is the newest of its value", async () => {
  const { client, broker } = await brokerWith();
  await publish(client, "a1 b1");
  await client.createQueue({ address: "other" });
  client.post(messageOf("other", { text: "a2", ...ofValue("a") }));
  await client.expect(packets.nullResponse);
  const moved = broker.management.invoke("queue.other", "moveMessages", [null, "q"]);
  assert.equal(await moved.value, 1);
  assert.deepEqual(await browse(client), ["b1", "a2"]);
  await publish(client, "a3");
  assert.deepEqual(await browse(client), ["b1", "a3"]);
  const again = await crashAndRestart(client.world);
  assert.equal(countOf(again), 2);
});
