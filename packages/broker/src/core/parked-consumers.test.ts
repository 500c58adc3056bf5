import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import { ReturningClient } from "../testing/returning-client.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, type MessageChoices } from "../testing/test-client.test-support.ts";

import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";

interface Setting {
  readonly world: ManualWorld;
  readonly other: TestClient;
}

async function setUp(settings: SomeSettings = {}): Promise<Setting> {
  const { world } = await startBroker({ addressSettings: { q: settings } });
  const other = await TestClient.open(world, { name: "other" });
  await other.createQueue();
  return { world, other };
}

/** Breaks a client's connection. */
async function cut(client: ReturningClient): Promise<void> {
  client.cut(true);
  await client.settle();
}

async function consumer(
  { world }: Setting,
  choices: { browseOnly?: boolean; credits?: number } = {},
): Promise<ReturningClient> {
  const { browseOnly = false, credits = -1 } = choices;
  const client = await ReturningClient.open(world, {}, [], 1_000);
  client.send(packets.createConsumer, {
    consumerId: 0,
    queueName: "q",
    filter: null,
    browseOnly,
    requiresResponse: true,
    priority: 0,
  });
  client.send(packets.flowToken, { consumerId: 0, credits });
  client.send(packets.sessionStart, {});
  await client.take();
  return client;
}

/** The names of the next frames, some of which only come when the client is back. */
async function names(client: ReturningClient, count: number): Promise<string[]> {
  return (await client.take(count)).map(({ name }) => name);
}

async function publish({ other }: Setting, choices: MessageChoices = {}): Promise<void> {
  await other.publish("q", "a", choices);
}

describe("the consumer of a parked session", () => {
  it("is not slow, and may be when its client is back", async () => {
    const settings = {
      slowConsumerThreshold: 10,
      slowConsumerPolicy: "kill",
      slowConsumerCheckPeriod: 1_000,
    } as const;
    const setting = await setUp(settings);
    for (let index = 0; index < 30; index += 1) await publish(setting);
    const client = await consumer(setting);
    await client.take(30);
    await cut(client);
    await setting.world.pass(20_000);
    await client.comeBack();
    assert.deepEqual(client.answers, [true]);
    await setting.world.pass(5_000);
    assert.ok(setting.world.logged("warn").includes("A consumer is slow"));
  });

  it("answers a forced delivery when all that it could deliver is out", async () => {
    const setting = await setUp();
    const client = await consumer(setting);
    await cut(client);
    await publish(setting);
    client.send(packets.forceConsumerDelivery, { consumerId: 0, sequence: 1 });
    const frames = await client.take(2);
    const counts = frames.map((frame) => client.decode(packets.receive, frame).deliveryCount);
    assert.deepEqual(counts, [1, 0]);
  });

  it("keeps its credit, and what was delivered is not charged again", async () => {
    const setting = await setUp();
    const client = await consumer(setting, { credits: 500 });
    for (let index = 0; index < 10; index += 1) await publish(setting);
    await setting.world.settle();
    client.cut(false);
    await client.comeBack();
    await client.settle();
    const delivered = client.received.length - 1;
    assert.ok(delivered > 0);
    assert.ok(delivered < 10);
    client.send(packets.flowToken, { consumerId: 0, credits: -1 });
    await client.take(10);
  });

  it("browses on, and sees again what has gone from the queue meanwhile", async () => {
    const setting = await setUp();
    await publish(setting);
    const client = await consumer(setting, { browseOnly: true });
    client.cut(true);
    await client.settle();
    const [row] = client.received;
    assert.equal(row?.name, "SESS_QUEUEQUERY_RESP_V3");
    await client.comeBack();
    assert.deepEqual(await names(client, 1), ["SESS_RECEIVE_MSG"]);
    await setting.other.consume("q", { consumerId: 3 });
    const { messageId } = await setting.other.delivery();
    setting.other.acknowledge(messageId, 3);
    await setting.other.expect(packets.nullResponse);
    await publish(setting);
    assert.deepEqual(await names(client, 1), ["SESS_RECEIVE_MSG"]);
  });

  it("is told again that a message is the first of its group", async () => {
    const setting = await setUp();
    await setting.other.createQueue({ queueName: "grouped", groupFirstKey: "first" });
    const client = await ReturningClient.open(setting.world, {}, [
      { way: "in", frames: 1, isNoticed: true },
    ]);
    client.send(packets.createConsumer, {
      consumerId: 0,
      queueName: "grouped",
      filter: null,
      browseOnly: false,
      requiresResponse: true,
      priority: 0,
    });
    client.send(packets.flowToken, { consumerId: 0, credits: -1 });
    client.send(packets.sessionStart, {});
    await client.take();
    const properties = { _AMQ_GROUP_ID: { type: "string", value: "g" } } as const;
    await setting.other.publish("grouped", "a", { properties });
    const [frame] = await client.take();
    assert.ok(frame !== undefined);
    assert.equal(client.returnCount, 1);
    assert.ok(includesText(client.decode(packets.receive, frame).message, "first"));
  });
});

describe("the producers of a parked session", () => {
  it("get the credit that they waited for when their client is back", async () => {
    const setting = await setUp({ maxSizeBytes: 1_000, addressFullPolicy: "block" });
    const { world, other } = setting;
    other.post(messageOf("q", { body: new Uint8Array(2_000) }));
    await other.expect(packets.nullResponse);
    const client = await ReturningClient.open(world);
    client.send(packets.producerRequestCredits, { credits: 500, address: "q" });
    await client.settle();
    assert.equal(client.received.length, 0);
    await cut(client);
    await other.consume("q");
    const { messageId } = await other.delivery();
    other.acknowledge(messageId);
    await other.expect(packets.nullResponse);
    await world.pass(3_000);
    assert.deepEqual(await names(client, 1), ["SESS_PRODUCER_CREDITS"]);
  });
});

/** Whether bytes have a text in UTF-16, low byte first. */
function includesText(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes).includes(Buffer.from(text, "utf16le"));
}
