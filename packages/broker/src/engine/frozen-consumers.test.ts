import assert from "node:assert/strict";
import { test } from "node:test";

import { startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

type QueueChoices = Parameters<TestClient["createQueue"]>[0];
type ConsumerChoices = Parameters<TestClient["consume"]>[1];

interface Freezing {
  /** Sends, and consumes beside the frozen one. */
  readonly client: TestClient;
  readonly frozen: TestClient;
}

/**
 * A queue `q`, and a consumer of it that takes nothing any more: its client reads no bytes, and as many as
 * its connection may hold are on their way.
 */
async function freezing(
  queue: QueueChoices = {},
  consumer: ConsumerChoices = {},
  choices: MessageChoices = {},
): Promise<Freezing> {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue(queue);
  const frozen = await TestClient.open(world, { name: "frozen" });
  await frozen.consume("q", consumer);
  frozen.socket.isReading = false;
  const body = new Uint8Array(100_000);
  for (let count = 0; count < 40; count += 1)
    client.post(messageOf("q", { body, ...choices }), 1, false);
  await client.settle();
  return { client, frozen };
}

async function send(client: TestClient, text: string, choices: MessageChoices = {}): Promise<void> {
  client.post(messageOf("q", { text, ...choices }), 1, false);
  await client.settle();
}

/** The texts of what came, without the large bodies that the frozen consumer left. */
async function small(client: TestClient): Promise<string[]> {
  const deliveries = await client.deliveries();
  return deliveries.filter(({ body }) => body.length < 1_000).map(textOf);
}

function ofGroup(group: string): MessageChoices {
  return { properties: { _AMQ_GROUP_ID: { type: "string", value: group } } };
}

test("a consumer whose client reads nothing holds up nobody on its queue", async () => {
  const { client } = await freezing();
  await client.consume("q", { consumerId: 1 });
  await send(client, "small");
  assert.deepEqual(await small(client), ["small"]);
});

test("a consumer of a higher priority that takes nothing holds up nobody", async () => {
  const { client } = await freezing({}, { priority: 9 });
  await client.consume("q", { consumerId: 1 });
  await send(client, "small");
  assert.deepEqual(await small(client), ["small"]);
});

test("a consumer with a filter that takes nothing holds up nobody, and nobody its messages", async () => {
  const red = { properties: { colour: { type: "string", value: "red" } } } as const;
  const { client } = await freezing({}, { filter: "colour = 'red'" }, red);
  await client.consume("q", { consumerId: 1, filter: "colour = 'blue'" });
  for (const colour of ["red", "blue"]) {
    await send(client, colour, { properties: { colour: { type: "string", value: colour } } });
  }
  assert.deepEqual(await small(client), ["blue"]);
});

test("an owner of a group that takes nothing holds up its group and no other", async () => {
  const { client } = await freezing({}, {}, ofGroup("frozen"));
  await client.consume("q", { consumerId: 1 });
  await send(client, "of its group", ofGroup("frozen"));
  await send(client, "of another", ofGroup("other"));
  await send(client, "of none");
  assert.deepEqual(await small(client), ["of another", "of none"]);
});

test("when the owner of a group is cut off, others get what it held, in order", async () => {
  const { client, frozen } = await freezing({}, {}, ofGroup("frozen"));
  await client.consume("q", { consumerId: 1 });
  await send(client, "of its group", ofGroup("frozen"));
  assert.deepEqual(await client.deliveries(), []);
  frozen.socket.close();
  const deliveries = await client.deliveries();
  assert.equal(deliveries.length, 41);
  assert.deepEqual(deliveries.slice(-1).map(textOf), ["of its group"]);
});

test("a reader of a non-destructive queue that takes nothing holds up no other reader", async () => {
  const { client } = await freezing({ nonDestructive: true });
  await client.consume("q", { consumerId: 1 });
  await send(client, "small");
  assert.deepEqual(await small(client), ["small"]);
});

test("a frozen browser holds up nobody", async () => {
  const { client } = await freezing({}, { browseOnly: true });
  await client.consume("q", { consumerId: 1 });
  await send(client, "small");
  assert.deepEqual(await small(client), ["small"]);
});

test("on an exclusive queue everybody waits for the one that takes nothing, until it is cut off", async () => {
  const { client, frozen } = await freezing({ exclusive: true });
  await client.consume("q", { consumerId: 1 });
  await send(client, "small");
  assert.deepEqual(await client.deliveries(), []);
  frozen.socket.close();
  assert.deepEqual(await small(client), ["small"]);
});
