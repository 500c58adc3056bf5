import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, settleActions, type PacketOf } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  TestClient,
  textOf,
  type Delivery,
  type SessionChoices,
} from "../testing/test-client.test-support.ts";

interface Setting {
  readonly world: ManualWorld;
  readonly broker: Broker;
  readonly client: TestClient;
  readonly held: readonly Delivery[];
}

/** A queue `q` with these messages, all delivered to consumer 0. */
async function delivered(
  texts: readonly string[],
  settings: SomeSettings = {},
  choices: SessionChoices = {},
): Promise<Setting> {
  const { world, broker } = await startBroker({ addressSettings: { "#": settings } });
  const sender = await TestClient.open(world);
  await sender.createQueue();
  for (const text of texts) await sender.publish("q", text);
  const client = await TestClient.open(world, choices);
  await client.consume("q");
  return { world, broker, client, held: await client.deliveries() };
}

function settle(
  client: TestClient,
  messageId: number | undefined,
  choices: Partial<PacketOf<typeof packets.settle>> = {},
): void {
  client.send(packets.settle, 10, {
    consumerId: 0,
    messageId: messageId ?? -1,
    action: settleActions.release,
    delayMs: -1,
    reason: null,
    requiresResponse: true,
    correlationId: -1,
    ...choices,
  });
}

/** Frames that have arrived: deliveries by text and count, the others by name. */
async function seen(client: TestClient): Promise<string[]> {
  await client.settle();
  return client.frames.splice(0).map((frame) => {
    if (frame.name !== "SESS_RECEIVE_MSG") return frame.name;
    const delivery = client.decodeDelivery(frame);
    return `${textOf(delivery)} ${delivery.deliveryCount}`;
  });
}

function countOf(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.messageCount ?? -1;
}

test("each message that is released counts by itself, and those still held stay", async () => {
  const { client, held } = await delivered(["a", "b", "c"]);
  settle(client, held[2]?.messageId);
  settle(client, held[0]?.messageId);
  assert.deepEqual((await seen(client)).toSorted(), [
    "NULL_RESPONSE",
    "NULL_RESPONSE",
    "a 2",
    "c 2",
  ]);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await seen(client), ["a 2", "b 1", "c 2"]);
});

test("a message that is released with a delay comes again then, over a crash as well", async () => {
  const { world, client, held } = await delivered(["a", "b"], { redeliveryDelay: 90_000 });
  settle(client, held[0]?.messageId, { delayMs: 5000 });
  settle(client, held[1]?.messageId, { delayMs: 0 });
  assert.deepEqual((await seen(client)).toSorted(), ["NULL_RESPONSE", "NULL_RESPONSE", "b 2"]);
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q");
  assert.deepEqual(await seen(other), ["b 2"]);
  await world.pass(5000);
  assert.deepEqual(await seen(other), ["a 2"]);
});

test("a message that is released without a word about when, waits as its address is set", async () => {
  const { world, client, held } = await delivered(["a"], { redeliveryDelay: 2000 });
  settle(client, held[0]?.messageId);
  assert.deepEqual(await seen(client), ["NULL_RESPONSE"]);
  await world.pass(2000);
  assert.deepEqual(await seen(client), ["a 2"]);
});

test("a message that is released too often becomes a dead letter", async () => {
  const { broker, client, held } = await delivered(["a", "b"], { maxDeliveryAttempts: 2 });
  settle(client, held[1]?.messageId);
  await seen(client);
  settle(client, held[1]?.messageId);
  assert.deepEqual(await seen(client), ["NULL_RESPONSE"]);
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [1, 1]);
});

test("a message that is rejected goes to the dead letters with the reason, exactly once", async () => {
  const { world, client, held } = await delivered(["a", "b"]);
  settle(client, held[0]?.messageId, { action: settleActions.reject, reason: "no use" });
  settle(client, held[1]?.messageId, { action: settleActions.reject });
  assert.deepEqual(await seen(client), ["NULL_RESPONSE", "NULL_RESPONSE"]);
  const broker = await crashAndRestart(world);
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [0, 2]);
  const reader = await TestClient.open(world);
  await reader.consume("DLQ", { filter: "_EVH_CAUSE = 'rejected'" });
  const reasons = (await reader.deliveries()).map(
    (letter) => letter.properties.get("dlqDeliveryFailureCause")?.value,
  );
  assert.deepEqual(reasons, ["no use", "rejected by its consumer"]);
});

test("a very long reason is cut", async () => {
  const { world, client, held } = await delivered(["a"]);
  const reason = "x".repeat(60_000);
  settle(client, held[0]?.messageId, { action: settleActions.reject, reason });
  assert.deepEqual(await seen(client), ["NULL_RESPONSE"]);
  const reader = await TestClient.open(world);
  await reader.consume("DLQ");
  const letter = await reader.delivery();
  const text = letter.properties.get("dlqDeliveryFailureCause")?.value;
  assert.equal(text, reason.slice(0, 500 - "rejected ".length));
});

test("a dead letter that is rejected stays where it is, counted", async () => {
  const { broker, client, held } = await delivered(["a"], { deadLetterAddress: "q" });
  settle(client, held[0]?.messageId, { action: settleActions.reject, reason: "again" });
  assert.deepEqual((await seen(client)).toSorted(), ["NULL_RESPONSE", "a 2"]);
  assert.equal(countOf(broker), 1);
});

test("without a dead-letter address a rejected message is dropped and counted", async () => {
  const { broker, client, held } = await delivered(["a"], { deadLetterAddress: undefined });
  settle(client, held[0]?.messageId, { action: settleActions.reject });
  assert.deepEqual(await seen(client), ["NULL_RESPONSE"]);
  assert.equal(countOf(broker), 0);
  assert.equal(broker.management.read("queue.q", "MessagesKilled").value, 1);
});

test("what nobody looked at goes back uncounted with all that came after it", async () => {
  const { client, held } = await delivered(["a", "b", "c", "d"]);
  client.acknowledge(held[0]?.messageId ?? 0);
  client.send(packets.sessionStop, 10, {});
  assert.deepEqual(await seen(client), ["NULL_RESPONSE", "NULL_RESPONSE"]);
  settle(client, held[2]?.messageId, { action: settleActions.giveBack });
  client.send(packets.sessionStart, 10, {});
  assert.deepEqual((await seen(client)).toSorted(), ["NULL_RESPONSE", "c 1", "d 1"]);
  client.acknowledge(held[1]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
});

test("a settlement of what the consumer does not hold is refused and changes nothing", async () => {
  const { world, broker, client, held } = await delivered(["a", "b"], { maxDeliveryAttempts: 2 });
  const other = await TestClient.open(world);
  await other.consume("q");
  client.acknowledge(held[0]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
  for (const action of Object.values(settleActions)) {
    for (const [by, choices, messageId] of [
      // Settled before, unknown, of an unknown consumer, somebody else's.
      [client, {}, held[0]?.messageId],
      [client, {}, 12_345],
      [client, { consumerId: 7 }, held[1]?.messageId],
      [other, {}, held[1]?.messageId],
    ] as const) {
      settle(by, messageId, { ...choices, action });
      assert.equal((await by.expect(packets.exception)).code, 104);
    }
  }
  assert.deepEqual([countOf(broker), countOf(broker, "DLQ")], [1, -1]);
  client.acknowledge(held[1]?.messageId ?? 0);
  await client.expect(packets.nullResponse);
});

test("a settlement of an earlier session of the client is refused and changes nothing", async () => {
  const { world, broker, client, held } = await delivered(["a"]);
  client.socket.close();
  const again = await TestClient.open(world);
  settle(again, held[0]?.messageId, { action: settleActions.reject });
  assert.equal((await again.expect(packets.exception)).code, 104);
  assert.equal(countOf(broker), 1);
  await again.consume("q");
  assert.deepEqual(await seen(again), ["a 2"]);
});

test("what cannot be asked for is refused, and the delivery stays the consumer's", async () => {
  const { client, held } = await delivered(["a"]);
  const messageId = held[0]?.messageId;
  settle(client, messageId, { action: 9 });
  settle(client, messageId, { delayMs: Number.MAX_SAFE_INTEGER, correlationId: 77 });
  assert.equal((await client.expect(packets.exception)).correlationId, -1);
  assert.equal((await client.expect(packets.exception)).correlationId, 77);
  client.acknowledge(messageId ?? 0);
  await client.expect(packets.nullResponse);
});

test("in a transaction a release is at once, and a rejection is refused", async () => {
  const { client, held } = await delivered(["a", "b"], {}, { autoCommitAcks: false });
  client.acknowledge(held[0]?.messageId ?? 0);
  settle(client, held[1]?.messageId, { action: settleActions.reject });
  settle(client, held[1]?.messageId, { correlationId: 5 });
  assert.deepEqual(await seen(client), ["NULL_RESPONSE", "EXCEPTION", "b 2", "NULL_RESPONSE"]);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  assert.deepEqual((await seen(client)).toSorted(), ["NULL_RESPONSE", "a 2", "b 2"]);
});

test("the confirmation window counts a settlement, and confirms it once it is durable", async () => {
  const choices = { confirmationWindowSize: 1_000_000 };
  const { world, client, held } = await delivered(["a"], {}, choices);
  world.disk.holdsWrites = true;
  settle(client, held[0]?.messageId, { delayMs: 60_000, requiresResponse: false });
  // Now and then the broker confirms what it has done without being asked.
  await world.pass(2000);
  await seen(client);
  await world.pass(2000);
  assert.deepEqual(await seen(client), []);
  world.disk.releaseWrites();
  await world.pass(2000);
  assert.deepEqual(await seen(client), ["PACKETS_CONFIRMED"]);
});

test("a settlement is answered once it is written, and not before", async () => {
  const { world, client, held } = await delivered(["a"]);
  world.disk.holdsWrites = true;
  settle(client, held[0]?.messageId, { delayMs: 1000 });
  assert.deepEqual(await seen(client), []);
  world.disk.releaseWrites();
  assert.deepEqual(await seen(client), ["NULL_RESPONSE"]);
});

test("a settlement of a message whose queue is gone meanwhile is done with", async () => {
  const { broker, client, held } = await delivered(["a"]);
  broker.management.invoke("broker", "destroyQueue", ["q", true]);
  await seen(client);
  settle(client, held[0]?.messageId);
  assert.deepEqual(await seen(client), ["EXCEPTION"]);
  assert.deepEqual(broker.queues(), []);
});
