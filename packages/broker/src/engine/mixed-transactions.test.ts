import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeProducerMark, packets, type TypedValue } from "@everhold/wire";

import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

/** More than a transaction holds in memory, so that it is in pieces. */
const fillingCount = 21;
const filling = new Uint8Array(Math.ceil(limits.transactionHeldBytesMax / 20));

/** How a transaction is committed: as one group, in pieces, either of them under a number, or in two phases. */
const onePhase = ["in memory", "in pieces", "numbered", "numbered in pieces"] as const;
const ways = [...onePhase, "prepared"] as const;
type OnePhase = (typeof onePhase)[number];

/** A message by its text: durable where that is a capital letter, with the letter as its value. */
function post(client: TestClient, text: string, choices: MessageChoices = {}, to = "q"): void {
  const letter = text.slice(0, 1);
  const durable = letter === letter.toUpperCase();
  const value: TypedValue = { type: "string", value: letter.toLowerCase() };
  const properties = { _AMQ_LVQ_NAME: value, letter: value, ...choices.properties };
  client.post(messageOf(to, { ...choices, text, durable, properties }), 0, false);
}

function mark(sequence: number): MessageChoices {
  const value = encodeProducerMark({ id: new Uint8Array(16).fill(7), epoch: 0, sequence });
  return { properties: { _AMQ_DUPL_ID: { type: "bytes", value } } };
}

/** Has the open transaction lie in the journal in pieces. */
async function fill(client: TestClient): Promise<void> {
  for (let count = 0; count < fillingCount; count += 1) {
    client.post(messageOf("filling", { body: filling }), 0, false);
    await client.settle();
  }
}

/** Has a transaction in one phase lie where it is to be when it is committed. */
async function place(client: TestClient, how: OnePhase): Promise<void> {
  if (how.endsWith("in pieces")) await fill(client);
}

function sendCommit(client: TestClient, how: OnePhase): void {
  if (!how.startsWith("numbered")) {
    client.send(packets.commit, 10, { correlationId: 1 });
    return;
  }
  const producerId = new Uint8Array(16).fill(9);
  client.send(packets.commitAs, 10, { correlationId: 1, producerId, epoch: 1, number: 1 });
}

/** Sends messages in one transaction, and commits it. */
async function commit(
  world: ManualWorld,
  how: (typeof ways)[number],
  send: (client: TestClient) => void,
): Promise<void> {
  if (how === "prepared") {
    const xa = await XaClient.open(world);
    await xa.start(1);
    send(xa.client);
    await xa.end(1);
    await xa.prepare(1);
    assert.equal(await xa.commit(1), 0);
    return;
  }
  const client = await TestClient.openMarking(world, { autoCommitSends: false });
  send(client);
  await place(client, how);
  sendCommit(client, how);
  await client.expect(packets.nullResponse);
}

async function open(
  queue: Parameters<TestClient["createQueue"]>[0],
): Promise<{ world: ManualWorld; client: TestClient }> {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ queueName: "q", ...queue });
  await client.createQueue({ queueName: "filling" });
  return { world, client };
}

async function taken(world: ManualWorld, queueName = "q"): Promise<string[]> {
  const reader = await TestClient.open(world);
  await reader.consume(queueName);
  return reader.texts();
}

for (const how of ways) {
  test(`durable and other messages of a transaction ${how} come in the order of their sends`, async () => {
    const { world } = await open({});
    await commit(world, how, (client) => {
      for (const text of ["a", "B", "c", "d", "E", "F", "g"]) post(client, text);
    });
    assert.deepEqual(await taken(world), ["a", "B", "c", "d", "E", "F", "g"]);
  });

  test(`of messages of a transaction ${how} the last one of each value stays, durable or not`, async () => {
    const { world } = await open({ lastValue: true });
    await commit(world, how, (client) => {
      for (const text of ["a1", "B1", "A2", "b2", "c1", "C2", "d1", "D2", "d3"]) {
        post(client, text);
      }
    });
    assert.deepEqual(await taken(world), ["A2", "b2", "C2", "d3"]);
  });

  test(`a ring keeps the newest messages of a transaction ${how}, durable or not`, async () => {
    const { world } = await open({ ringSize: 2 });
    await commit(world, how, (client) => {
      for (const text of ["A", "b", "C", "d", "E"]) post(client, text);
    });
    assert.deepEqual(await taken(world), ["d", "E"]);
  });

  test(`messages of a transaction ${how} come in the order of their sends to a queue in memory`, async () => {
    const { world, client } = await open({});
    const address = { address: "news", routingType: 0 };
    await client.createQueue({ ...address, queueName: "memory", durable: false });
    const filter = "letter = 'a'";
    await client.createQueue({ ...address, queueName: "stored", filter });
    await commit(world, how, (sender) => {
      for (const text of ["a1", "B1", "A2", "b2", "B3", "A4", "B5", "a6"]) {
        post(sender, text, { routing: 0 }, "news");
      }
    });
    assert.deepEqual(await taken(world, "stored"), ["a1", "A2", "A4", "a6"]);
    assert.deepEqual(await taken(world, "memory"), [
      "a1",
      "B1",
      "A2",
      "b2",
      "B3",
      "A4",
      "B5",
      "a6",
    ]);
  });
}

for (const how of onePhase) {
  test(`marked messages of a transaction ${how} come in the order of their sends, durable or not`, async () => {
    const { world } = await open({});
    await commit(world, how, (client) => {
      for (const [index, text] of ["a", "B", "c", "D"].entries()) {
        post(client, text, mark(index + 1));
      }
    });
    assert.deepEqual(await taken(world), ["a", "B", "c", "D"]);
  });

  test(`what is in memory only of a transaction ${how} is hidden until its commit is written`, async () => {
    const { world, client } = await open({ lastValue: true });
    await client.consume("q");
    const sender = await TestClient.openMarking(world, { autoCommitSends: false });
    for (const text of ["a1", "A2", "b1"]) post(sender, text);
    await place(sender, how);
    world.disk.holdsWrites = true;
    sendCommit(sender, how);
    await sender.settle();
    assert.deepEqual(await client.texts(), []);
    world.disk.releaseWrites();
    await sender.expect(packets.nullResponse);
    // Who consumes is offered all that came.
    assert.deepEqual((await client.deliveries()).map(textOf), ["a1", "A2", "b1"]);
  });
}

for (const [how, filter] of onePhase.flatMap((one) => [
  [one, null] as const,
  [one, "letter = 'a'"] as const,
])) {
  const who = filter === null ? "any consumer" : "a consumer with a filter";
  test(`what is in memory only at the head of a transaction ${how} comes to ${who}, though an earlier write ends first`, async () => {
    const { world, client } = await open({});
    const consumer = await TestClient.open(world);
    await consumer.consume("q", { filter });
    const sender = await TestClient.openMarking(world, { autoCommitSends: false });
    for (const text of ["a1", "a2"]) post(sender, text);
    await place(sender, how);
    world.disk.holdsWrites = true;
    client.post(messageOf("filling", { text: "on its way" }), 0, false);
    await client.settle();
    // The number alone is a record as well.
    if (!how.startsWith("numbered")) post(sender, "B", {}, "filling");
    sendCommit(sender, how);
    await sender.settle();
    world.disk.releaseWrites();
    await sender.expect(packets.nullResponse);
    assert.deepEqual(await consumer.texts(), ["a1", "a2"]);
  });
}

test("what was sent in memory only comes when the acknowledgement in its transaction is written", async () => {
  const { world, client } = await open({});
  await client.createQueue({ queueName: "in" });
  client.post(messageOf("in", { text: "done" }), 0, false);
  const consumer = await TestClient.open(world);
  await consumer.consume("q");
  const worker = await TestClient.open(world, { autoCommitSends: false, autoCommitAcks: false });
  await worker.consume("in");
  const [held] = await worker.deliveries();
  assert.ok(held !== undefined);
  world.disk.holdsWrites = true;
  client.post(messageOf("filling", { text: "on its way" }), 0, false);
  await client.settle();
  worker.acknowledge(held.messageId, 0, false);
  post(worker, "a");
  worker.send(packets.commit, 10, { correlationId: 1 });
  await worker.settle();
  world.disk.releaseWrites();
  await worker.expect(packets.nullResponse);
  assert.deepEqual(await consumer.texts(), ["a"]);
});

test("a crash before the commit is written leaves nothing of what was in memory", async () => {
  const { world } = await open({});
  const sender = await TestClient.open(world, { autoCommitSends: false });
  for (const text of ["a", "B", "c"]) post(sender, text);
  world.disk.holdsWrites = true;
  sender.send(packets.commit, 10, { correlationId: 1 });
  await sender.settle();
  const broker = await crashAndRestart(world);
  assert.equal(broker.queues().find(({ name }) => name === "q")?.messageCount, 0);
});
