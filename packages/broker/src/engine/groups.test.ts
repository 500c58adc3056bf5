import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { SomeSettings } from "../settings/setting-table.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

type QueueChoices = Parameters<TestClient["createQueue"]>[0];

async function brokerWith(
  choices: QueueChoices = {},
  settings: SomeSettings = {},
): Promise<TestClient> {
  const { world } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(world);
  await client.createQueue(choices);
  return client;
}

/** Sends without waiting for an answer, which deliveries may overtake. */
async function send(client: TestClient, text: string, choices: MessageChoices = {}): Promise<void> {
  client.post(messageOf("q", { text, ...choices }), 1, false);
  await client.settle();
}

function ofGroup(group: string, sequence?: number): MessageChoices {
  const id = { _AMQ_GROUP_ID: { type: "string", value: group } } as const;
  if (sequence === undefined) return { properties: id };
  return { properties: { ...id, _AMQ_GROUP_SEQUENCE: { type: "int", value: sequence } } };
}

/** Sends messages of the groups that the letters name: `a1 b1 a2 …`. */
async function publish(client: TestClient, names: string): Promise<void> {
  for (const name of names.split(" ")) await send(client, name, ofGroup(name.slice(0, 1)));
}

/** Who got what, as `consumer:text`, sorted by consumers and then in the order of delivery. */
async function byConsumer(client: TestClient): Promise<string[]> {
  return shown(await client.deliveries());
}

function shown(deliveries: readonly Delivery[]): string[] {
  return deliveries
    .map((delivery) => `${delivery.consumerId}:${textOf(delivery)}`)
    .toSorted((left, right) => Number.parseInt(left, 10) - Number.parseInt(right, 10));
}

/** Opens consumers 0 … count − 1 with credit for everything, once all are there. */
async function consumeWith(client: TestClient, count: number): Promise<void> {
  for (let consumerId = 0; consumerId < count; consumerId += 1) {
    await client.consume("q", { consumerId, credits: 0 });
  }
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  for (let consumerId = 0; consumerId < count; consumerId += 1) {
    client.send(packets.flowToken, 10, { consumerId, credits: -1 });
  }
  client.send(packets.sessionStart, 10, {});
}

test("each group goes to one consumer, new groups to the consumers in turn", async () => {
  const client = await brokerWith();
  await consumeWith(client, 2);
  const got: string[] = [];
  for (const name of "a1 b1 a2 c1 b2 a3 d1 c2".split(" ")) {
    client.frames.length = 0;
    await send(client, name, ofGroup(name.slice(0, 1)));
    got.push(...(await byConsumer(client)));
  }
  assert.deepEqual(got, ["0:a1", "1:b1", "0:a2", "0:c1", "1:b2", "0:a3", "1:d1", "0:c2"]);
});

test("a backlog is dealt out by groups, each in its order", async () => {
  const client = await brokerWith();
  await publish(client, "a1 a2 b1 a3 b2 c1 b3 c2");
  await consumeWith(client, 2);
  const got = await byConsumer(client);
  assert.deepEqual(got, ["0:a1", "0:a2", "0:a3", "0:c1", "0:c2", "1:b1", "1:b2", "1:b3"]);
});

test("messages without a group go to whoever is next", async () => {
  const client = await brokerWith();
  await publish(client, "a1");
  for (const text of ["1", "2", "3"]) await send(client, text);
  await consumeWith(client, 2);
  assert.deepEqual(await byConsumer(client), ["0:a1", "0:2", "1:1", "1:3"]);
});

test("a consumer that takes nothing more holds up its own groups and no others", async () => {
  const client = await brokerWith();
  await client.consume("q", { consumerId: 0, credits: 1 });
  await client.consume("q", { consumerId: 1 });
  await publish(client, "a1 a2 b1 a3 c1 b2");
  assert.deepEqual(await byConsumer(client), ["0:a1", "1:b1", "1:c1", "1:b2"]);
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  assert.deepEqual(await byConsumer(client), ["0:a2", "0:a3"]);
});

test("when an owner closes, the next one gets what it held and the rest of its groups, in order", async () => {
  const client = await brokerWith();
  await client.consume("q", { consumerId: 0 });
  await publish(client, "a1 a2 a3");
  assert.deepEqual(await byConsumer(client), ["0:a1", "0:a2", "0:a3"]);
  await client.consume("q", { consumerId: 1 });
  await publish(client, "b1 c1 a4");
  assert.deepEqual(await byConsumer(client), ["0:b1", "0:a4", "1:c1"]);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.deepEqual(await byConsumer(client), ["1:a1", "1:a2", "1:a3", "1:b1", "1:a4"]);
});

test("the sequence −1 ends a group: its next message may go to another consumer", async () => {
  const client = await brokerWith();
  await consumeWith(client, 2);
  await publish(client, "a1 b1");
  await send(client, "a2", ofGroup("a", -1));
  await publish(client, "b2 c1");
  await publish(client, "a3");
  const got = await byConsumer(client);
  assert.deepEqual(got, ["0:a1", "0:a2", "0:c1", "1:b1", "1:b2", "1:a3"]);
});

test("what others passed over is theirs to see when its group ends", async () => {
  const client = await brokerWith();
  await client.consume("q", { consumerId: 0, credits: 1 });
  await publish(client, "a1");
  await send(client, "a2", ofGroup("a", -1));
  await publish(client, "a3");
  assert.deepEqual(await byConsumer(client), ["0:a1"]);
  await client.consume("q", { consumerId: 1 });
  // Enough for a2 alone, with which the group ends.
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 300 });
  const got = await byConsumer(client);
  assert.deepEqual(got, ["0:a2", "1:a3"]);
});

test("the first message for an owner has the property that the queue names, also after a change", async () => {
  const client = await brokerWith({ groupFirstKey: "JMSXGroupFirstForConsumer" });
  const isFirst = (delivery: Delivery): boolean =>
    delivery.properties.get("JMSXGroupFirstForConsumer")?.value === true;
  await client.consume("q", { consumerId: 0 });
  await publish(client, "a1 a2 b1");
  assert.deepEqual((await client.deliveries()).map(isFirst), [true, false, true]);
  await client.consume("q", { consumerId: 1 });
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.deepEqual((await client.deliveries()).map(isFirst), [true, false, true]);
});

test("an exclusive queue says which message is its consumer's first", async () => {
  const client = await brokerWith({ exclusive: true, groupFirstKey: "first" });
  await client.consume("q");
  await send(client, "1");
  await send(client, "2");
  const found = await client.deliveries();
  assert.deepEqual(
    found.map(({ properties }) => properties.get("first")?.value),
    [true, undefined],
  );
});

test("groups of one bucket share a consumer", async () => {
  const client = await brokerWith({ groupBuckets: 1 });
  await consumeWith(client, 2);
  await publish(client, "a1 b1 c1");
  assert.deepEqual(await byConsumer(client), ["0:a1", "0:b1", "0:c1"]);
});

test("without buckets there are no groups", async () => {
  const client = await brokerWith({ groupBuckets: 0 });
  await consumeWith(client, 2);
  await publish(client, "a1 a2 a3");
  assert.deepEqual(await byConsumer(client), ["0:a1", "0:a3", "1:a2"]);
});

test("groups are dealt out anew when a consumer comes, if the queue rebalances", async () => {
  const client = await brokerWith({ groupRebalance: true });
  await client.consume("q", { consumerId: 0 });
  await publish(client, "a1 b1");
  assert.deepEqual(await byConsumer(client), ["0:a1", "0:b1"]);
  await client.consume("q", { consumerId: 1 });
  await publish(client, "a2 b2");
  const got = await byConsumer(client);
  assert.equal(got.length, 2);
  assert.deepEqual(new Set(got.map((one) => one.slice(0, 1))), new Set(["0", "1"]));
});

test("a queue that pauses to rebalance hands out nothing before all is settled", async () => {
  const client = await brokerWith({ groupRebalance: true, groupRebalancePauseDispatch: true });
  await client.consume("q", { consumerId: 0 });
  await publish(client, "a1 b1");
  const held = await client.deliveries();
  assert.equal(held.length, 2);
  await client.consume("q", { consumerId: 1 });
  await publish(client, "a2 b2 c1");
  assert.deepEqual(await client.texts(), []);
  client.acknowledge(held[0]?.messageId ?? 0, 0, false);
  assert.deepEqual(await client.texts(), []);
  client.acknowledge(held[1]?.messageId ?? 0, 0, false);
  assert.deepEqual((await client.texts()).toSorted(), ["a2", "b2", "c1"]);
});

test("a filter chooses among the messages of the consumer's own groups", async () => {
  const client = await brokerWith();
  await client.consume("q", { consumerId: 0, filter: "AMQPriority > 4" });
  await client.consume("q", { consumerId: 1 });
  await send(client, "a high", { ...ofGroup("a"), priority: 9 });
  await send(client, "a low", ofGroup("a"));
  await send(client, "b low", ofGroup("b"));
  // The low one waits for the owner of its group, who does not want it. As in Artemis.
  assert.deepEqual(await byConsumer(client), ["0:a high", "1:b low"]);
});

test("a message that failed comes again before the rest of its group", async () => {
  const client = await brokerWith();
  await client.createSession({ name: "other", sessionChannelId: 11, autoCommitAcks: false });
  client.frames.length = 0;
  await client.consume("q", { consumerId: 0, credits: 400 }, 11);
  await client.consume("q", { consumerId: 1 });
  await publish(client, "a1 a2 a3 b1");
  const before = await client.deliveries();
  assert.ok(before.some((one) => one.consumerId === 0 && textOf(one) === "a1"));
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  client.send(packets.flowToken, 11, { consumerId: 0, credits: -1 });
  const again = (await byConsumer(client)).filter((one) => one.startsWith("0:"));
  assert.deepEqual(again.slice(0, 3), ["0:a1", "0:a2", "0:a3"]);
});

test("a browser sees every group", async () => {
  const client = await brokerWith();
  await publish(client, "a1 b1 a2");
  await client.consume("q", { consumerId: 0, browseOnly: true });
  assert.deepEqual(await client.texts(), ["a1", "b1", "a2"]);
});

test("groups hold after a restart", async () => {
  const client = await brokerWith();
  await publish(client, "a1 b1 a2 b2");
  await crashAndRestart(client.world);
  const again = await TestClient.open(client.world);
  await consumeWith(again, 2);
  assert.deepEqual(await byConsumer(again), ["0:a1", "0:a2", "1:b1", "1:b2"]);
});

test("blocking redelivery holds the rest of the message's group, and no other", async () => {
  const settings: SomeSettings = { redeliveryDelay: 1000, redeliveryMode: "blocking" };
  const client = await brokerWith({}, settings);
  await client.createSession({ name: "tx", sessionChannelId: 11, autoCommitAcks: false });
  client.frames.length = 0;
  await publish(client, "a1 a2 b1 a3 b2");
  await send(client, "a high", { ...ofGroup("a"), priority: 9 });
  await send(client, "low a", { ...ofGroup("a"), priority: 1 });
  await client.consume("q", { credits: 1 }, 11);
  assert.deepEqual(await client.texts(), ["a high"]);
  client.send(packets.flowToken, 11, { consumerId: 0, credits: 0 });
  client.send(packets.flowToken, 11, { consumerId: 0, credits: 1 });
  const failed = await client.delivery();
  assert.equal(textOf(failed), "a1");
  // Both fail: it acknowledges what was delivered before as well.
  client.acknowledge(failed.messageId, 0, true, 11);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  client.send(packets.flowToken, 11, { consumerId: 0, credits: -1 });
  assert.deepEqual(await client.texts(), ["b1", "b2"]);
  await client.world.pass(1_000);
  assert.deepEqual(await client.texts(), ["a high", "a1", "a2", "a3", "low a"]);
});

test("what a group waits for may be deleted, and a restart keeps it waiting", async () => {
  const settings: SomeSettings = { redeliveryDelay: 60_000, redeliveryMode: "blocking" };
  const client = await brokerWith({}, settings);
  await publish(client, "a1 a2 b1");
  await client.createSession({ name: "tx", sessionChannelId: 11, autoCommitAcks: false });
  client.frames.length = 0;
  await client.consume("q", { credits: 1 }, 11);
  const failed = await client.delivery();
  client.acknowledge(failed.messageId, 0, true, 11);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 11, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  const broker = await crashAndRestart(client.world, { addressSettings: { "#": settings } });
  const again = await TestClient.open(client.world);
  await again.consume("q");
  assert.deepEqual(await again.texts(), ["b1"]);
  const removed = broker.management.invoke("queue.q", "removeMessage", [failed.messageId]);
  assert.equal(removed.value, true);
  assert.deepEqual(await again.texts(), ["a2"]);
});

test("people see whose the groups are, and may take them away", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await consumeWith(client, 2);
  await publish(client, "a1 b1");
  client.frames.length = 0;
  const { value } = broker.management.invoke("queue.q", "listGroupsAsJSON", []);
  assert.match(
    JSON.stringify(value),
    /"groupID":"a","consumerID":0,.*"groupID":"b","consumerID":1/,
  );
  assert.equal(broker.management.read("queue.q", "GroupCount").value, 2);
  broker.management.invoke("queue.q", "resetGroup", ["b"]);
  await publish(client, "b2 a2");
  assert.deepEqual(await byConsumer(client), ["0:b2", "0:a2"]);
  broker.management.invoke("queue.q", "resetAllGroups", []);
  assert.equal(broker.management.read("queue.q", "GroupCount").value, 0);
});
