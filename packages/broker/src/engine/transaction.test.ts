import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeProducerMark, packets, type TypedValue } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;

async function transactedClient(): Promise<{
  world: ManualWorld;
  broker: Broker;
  client: TestClient;
}> {
  const { world, broker } = await startBroker();
  const client = await TestClient.openMarking(world, transacted);
  await client.createQueue({ queueName: "in" });
  await client.createQueue({ queueName: "out" });
  return { world, broker, client };
}

function counts(broker: Broker): number[] {
  return broker.queues().map((queue) => queue.messageCount);
}

async function fill(world: ManualWorld, texts: readonly string[]): Promise<void> {
  const filler = await TestClient.open(world);
  for (const text of texts) await filler.publish("in", text);
  filler.socket.close();
  await world.settle();
}

async function commit(client: TestClient, correlationId: number | null = 3): Promise<void> {
  client.send(packets.commit, 10, { correlationId });
  const answer = await client.expect(packets.nullResponse);
  assert.equal(answer.correlationId, correlationId ?? -1);
}

test("what was sent in a transaction is seen after the commit, all of it in order", async () => {
  const { world, client } = await transactedClient();
  const reader = await TestClient.open(world);
  await reader.consume("out");
  for (const text of ["a", "b", "c"]) client.post(messageOf("out", { text }), 0, false);
  assert.deepEqual(await client.names(), []);
  assert.deepEqual(await reader.texts(), []);
  await commit(client);
  assert.deepEqual(await reader.texts(), ["a", "b", "c"]);
});

test("a commit without correlation id is answered as well", async () => {
  const { client } = await transactedClient();
  await commit(client, null);
});

test("a commit is not answered before its write has completed", async () => {
  const { world, client } = await transactedClient();
  client.post(messageOf("out"), 0, false);
  world.disk.holdsWrites = true;
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  await client.expect(packets.nullResponse);
});

test("inputs and outputs of a committed transaction survive a crash together", async () => {
  const { world, client } = await transactedClient();
  await fill(world, ["a", "b"]);
  await client.consume("in");
  const [first] = await client.deliveries();
  client.acknowledge(first?.messageId ?? 0, 0, false);
  client.post(messageOf("out", { text: "answer" }), 0, false);
  await commit(client);
  const broker = await crashAndRestart(world);
  assert.deepEqual(counts(broker), [1, 1]);
});

test("a transaction whose commit was not written leaves no trace", async () => {
  const { world, client } = await transactedClient();
  await fill(world, ["a"]);
  await client.consume("in");
  const [first] = await client.deliveries();
  client.acknowledge(first?.messageId ?? 0, 0, false);
  client.post(messageOf("out", { text: "answer" }), 0, false);
  world.disk.holdsWrites = true;
  client.send(packets.commit, 10, { correlationId: 1 });
  await client.settle();
  const broker = await crashAndRestart(world);
  assert.deepEqual(counts(broker), [1, 0]);
});

test("a rollback drops what was sent and gives back what was delivered, acknowledged or not", async () => {
  const { world, broker, client } = await transactedClient();
  await fill(world, ["a", "b", "c"]);
  await client.consume("in");
  const [first] = await client.deliveries();
  client.acknowledge(first?.messageId ?? 0, 0, false);
  client.post(messageOf("out"), 0, false);
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  assert.deepEqual(counts(broker), [3, 0]);
  assert.deepEqual(await client.names(), []);
  client.send(packets.sessionStart, 10, {});
  const again = await client.deliveries();
  // Only what was acknowledged in the transaction counts as an attempt.
  assert.deepEqual(
    again.map((delivery) => `${textOf(delivery)} ${delivery.deliveryCount}`),
    ["a 2", "b 1", "c 1"],
  );
});

test("a rollback can count the first delivery that was not acknowledged", async () => {
  const { world, client } = await transactedClient();
  await fill(world, ["a", "b"]);
  await client.consume("in");
  await client.deliveries();
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: true });
  await client.expect(packets.nullResponse);
  client.send(packets.sessionStart, 10, {});
  const again = await client.deliveries();
  assert.deepEqual(
    again.map((delivery) => delivery.deliveryCount),
    [2, 1],
  );
});

test("a connection that breaks rolls back", async () => {
  const { world, broker, client } = await transactedClient();
  await fill(world, ["a"]);
  await client.consume("in");
  const [first] = await client.deliveries();
  client.acknowledge(first?.messageId ?? 0, 0, false);
  client.post(messageOf("out"), 0, false);
  client.socket.close();
  await world.settle();
  assert.deepEqual(counts(broker), [1, 0]);
});

test("a session acknowledges in its transaction while its sends are committed at once", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world, { autoCommitAcks: false });
  await client.createQueue({ queueName: "in" });
  await client.publish("in", "a");
  await client.consume("in");
  const { messageId } = await client.delivery();
  client.acknowledge(messageId);
  await client.expect(packets.nullResponse);
  assert.deepEqual(counts(broker), [1]);
  await commit(client, null);
  assert.deepEqual(counts(broker), [0]);
});

test("a duplicate inside a transaction fails the commit with its own code", async () => {
  const { broker, client } = await transactedClient();
  const properties = { _AMQ_DUPL_ID: { type: "string", value: "same" } } as const;
  client.post(messageOf("out", { properties }), 0, false);
  await commit(client);
  client.post(messageOf("out", { text: "new" }), 0, false);
  client.post(messageOf("out", { properties }), 0, false);
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 113);
  assert.deepEqual(counts(broker), [0, 1]);
  // The next transaction of the session is unharmed.
  client.post(messageOf("out", { text: "next" }), 0, false);
  await commit(client);
  assert.deepEqual(counts(broker), [0, 2]);
});

test("the same duplicate id twice in one transaction fails it, and the id stays free", async () => {
  const { broker, client } = await transactedClient();
  const properties = { _AMQ_DUPL_ID: { type: "string", value: "same" } } as const;
  for (let time = 0; time < 2; time += 1) client.post(messageOf("out", { properties }), 0, false);
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 113);
  client.post(messageOf("out", { properties }), 0, false);
  await commit(client);
  assert.deepEqual(counts(broker), [0, 1]);
});

test("a wrong acknowledgement fails the transaction with the original code", async () => {
  const { world, broker, client } = await transactedClient();
  await fill(world, ["a"]);
  await client.consume("in");
  await client.deliveries();
  client.acknowledge(12_345, 0, false);
  client.post(messageOf("out"), 0, false);
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 104);
  assert.deepEqual(counts(broker), [1, 0]);
});

test("a send that is refused inside a transaction comes out at the commit", async () => {
  const { world } = await startBroker({ messageBytesMax: 2048 });
  const client = await TestClient.open(world, transacted);
  await client.createQueue({ queueName: "out" });
  client.post(messageOf("out", { body: new Uint8Array(3000) }), 0, false);
  assert.deepEqual(await client.names(), []);
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 999);
});

test("a transaction larger than the journal's groups is in it in pieces, and still one", async () => {
  const { world, broker, client } = await transactedClient();
  const body = new Uint8Array(200_000);
  for (let count = 0; count < 6; count += 1) client.post(messageOf("out", { body }), 0, false);
  await client.settle();
  world.disk.holdsWrites = true;
  client.send(packets.commit, 10, { correlationId: 1 });
  await client.settle();
  assert.deepEqual(counts(broker), [0, 6]);
  const again = await crashAndRestart(world);
  assert.deepEqual(counts(again), [0, 0]);
  const other = await TestClient.openMarking(world, transacted);
  for (let count = 0; count < 6; count += 1) other.post(messageOf("out", { body }), 0, false);
  await commit(other);
  assert.deepEqual(counts(again), [0, 6]);
  assert.deepEqual(counts(await crashAndRestart(world)), [0, 6]);
});

test("non-durable messages of a transaction are seen no sooner than its durable ones", async () => {
  const { world, client } = await transactedClient();
  const reader = await TestClient.open(world);
  await reader.consume("out");
  client.post(messageOf("out", { text: "durable" }), 0, false);
  client.post(messageOf("out", { text: "volatile", durable: false }), 0, false);
  world.disk.holdsWrites = true;
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.deepEqual(await client.names(), []);
  assert.deepEqual(await reader.texts(), []);
  world.disk.releaseWrites();
  await client.expect(packets.nullResponse);
  assert.deepEqual((await reader.texts()).sort(), ["durable", "volatile"]);
});

function marked(sequence: number): Readonly<Record<string, TypedValue>> {
  const value = encodeProducerMark({ id: new Uint8Array(16).fill(3), epoch: 0, sequence });
  return { _AMQ_DUPL_ID: { type: "bytes", value } };
}

test("sequences of a transaction that was rolled back are used up and refused when repeated", async () => {
  const { world, broker, client } = await transactedClient();
  for (const sequence of [1, 2]) {
    client.post(messageOf("out", { properties: marked(sequence) }), 0, false);
  }
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  const other = await TestClient.openMarking(world);
  other.post(messageOf("out", { properties: marked(2) }), 1);
  assert.equal((await other.expect(packets.exception)).code, 111);
  await other.publish("out", "3", { properties: marked(3) });
  assert.deepEqual(counts(broker), [0, 1]);
});

test("a transaction that was applied before fails when it is repeated", async () => {
  const { broker, client } = await transactedClient();
  for (let time = 0; time < 2; time += 1) {
    for (const sequence of [1, 2]) {
      client.post(messageOf("out", { properties: marked(sequence) }), 0, false);
    }
    client.send(packets.commit, 10, { correlationId: 1 });
    const names = await client.names();
    assert.deepEqual(names, [time === 0 ? "NULL_RESPONSE" : "EXCEPTION"]);
  }
  assert.deepEqual(counts(broker), [0, 2]);
});

test("each send of a transaction goes to one of the queues that take turns, and only after its write", async () => {
  const { world, client } = await transactedClient();
  const reader = await TestClient.open(world);
  await reader.createQueue({ address: "a", queueName: "stored" });
  await reader.createQueue({ address: "a", queueName: "memory", durable: false });
  await reader.consume("stored");
  await reader.consume("memory", { consumerId: 1 });
  for (const text of ["1", "2", "3", "4"]) client.post(messageOf("a", { text }), 0, false);
  world.disk.holdsWrites = true;
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.deepEqual(await client.names(), []);
  assert.deepEqual(await reader.texts(), []);
  world.disk.releaseWrites();
  await client.expect(packets.nullResponse);
  const seen = await reader.deliveries();
  const byConsumer = [0, 1].map((id) => seen.filter((one) => one.consumerId === id).map(textOf));
  assert.deepEqual(byConsumer, [
    ["1", "3"],
    ["2", "4"],
  ]);
});

test("a send with too long a duplicate id fails the transaction", async () => {
  const { broker, client } = await transactedClient();
  const value = new Uint8Array(600);
  client.post(messageOf("out", { text: "sound" }), 0, false);
  client.post(
    messageOf("out", { properties: { _AMQ_DUPL_ID: { type: "bytes", value } } }),
    0,
    false,
  );
  client.send(packets.commit, 10, { correlationId: 1 });
  assert.equal((await client.expect(packets.exception)).code, 999);
  assert.deepEqual(counts(broker), [0, 0]);
});

test("a commit of nothing is answered, and so is a rollback of nothing", async () => {
  const { client } = await transactedClient();
  await commit(client);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  await commit(client);
});

test("a transaction goes on without the queue that was deleted under it", async () => {
  const { world, broker, client } = await transactedClient();
  await fill(world, ["a"]);
  await client.consume("in");
  client.acknowledge((await client.delivery()).messageId, 0, false);
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  client.post(messageOf("out", { text: "answer" }), 0, false);
  const other = await TestClient.open(world);
  other.send(packets.deleteQueue, 10, { queueName: "in" });
  await other.expect(packets.nullResponse);
  await commit(client);
  assert.deepEqual(counts(broker), [1]);
  assert.deepEqual(counts(await crashAndRestart(world)), [1]);
});
