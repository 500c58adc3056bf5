import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

const eachCount = 10;
const priorities = [2, 5, 9];

/** A client with ten consumers of each priority; ids tell the priority by their tens. */
async function crowdOf(credits: number): Promise<TestClient> {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  for (let index = 0; index < eachCount; index += 1) {
    for (const priority of priorities) {
      await client.consume("q", { consumerId: priority * 10 + index, priority, credits });
    }
  }
  return client;
}

async function takers(client: TestClient): Promise<number[]> {
  return (await client.deliveries()).map(({ consumerId }) => consumerId);
}

function post(client: TestClient, count: number): void {
  for (let sent = 0; sent < count; sent += 1) {
    client.post(messageOf("q", { text: `${sent}` }), 1, false);
  }
}

const idsOf = (priority: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => priority * 10 + index);

test("of many consumers those of the highest priority take turns", async () => {
  const client = await crowdOf(-1);
  post(client, 20);
  assert.deepEqual(await takers(client), [...idsOf(9, 10), ...idsOf(9, 10)]);
});

test("when these have no credit, the next ones take turns, and when some leave, the others", async () => {
  const client = await crowdOf(1);
  post(client, 15);
  assert.deepEqual(await takers(client), [...idsOf(9, 10), ...idsOf(5, 5)]);
  for (const consumerId of idsOf(5, 8)) {
    client.send(packets.consumerClose, 10, { consumerId });
    await client.settle();
  }
  // What the first five held went to the next five, and what three of those held to the last priority.
  const after = (await client.names()).filter((name) => name === packets.receive.name);
  assert.equal(after.length, 8);
  post(client, 7);
  assert.deepEqual((await takers(client)).toSorted(), idsOf(2, 10).slice(3));
});

test("many consumers of an empty queue get their answers to forced deliveries", async () => {
  const client = await crowdOf(-1);
  const ids = priorities.flatMap((priority) => idsOf(priority, eachCount));
  for (const consumerId of ids) {
    client.send(packets.forceConsumerDelivery, 10, { consumerId, sequence: consumerId });
  }
  assert.deepEqual((await takers(client)).toSorted(), ids.toSorted());
  post(client, 1);
  assert.equal((await takers(client)).length, 1);
});

test("a message that comes back is found by those with a filter among many without", async () => {
  const client = await crowdOf(0);
  await client.consume("q", { consumerId: 100, filter: "AMQPriority = 4" });
  await client.consume("q", { consumerId: 101, credits: 0 });
  post(client, 1);
  assert.deepEqual(await takers(client), [100]);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  assert.deepEqual(
    (await client.names()).filter((name) => name === packets.receive.name),
    [packets.receive.name],
  );
});
