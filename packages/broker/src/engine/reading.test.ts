import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { BrokerOptions } from "../config.ts";
import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

/** Next to nothing stays in memory, so that deliveries come from the disk. */
const cold: BrokerOptions = {
  journal: {
    segmentBytes: 256 * 1024,
    prepareAheadBytes: 4096,
    freeBytesMin: 0,
    tailCacheBytes: 64 * 1024,
    readCacheBytes: 32 * 1024,
    readAheadBytes: 8192,
  },
};

async function fill(world: ManualWorld, count: number): Promise<TestClient> {
  const client = await TestClient.open(world);
  await client.createQueue();
  for (let index = 0; index < count; index += 1) {
    const body = new Uint8Array(1000).fill(index & 0xff);
    client.post(messageOf("q", { body, priority: index % 2 === 0 ? 4 : 5 }), 1);
    if (index % 50 === 0) await client.settle();
  }
  await client.settle();
  client.frames.length = 0;
  return client;
}

test("messages that are in memory no more are delivered from the disk, whole and in order", async () => {
  const { world } = await startBroker(cold);
  const client = await fill(world, 1500);
  await client.consume("q");
  const deliveries = await client.deliveries();
  assert.equal(deliveries.length, 1500);
  const expected = [1, 0].flatMap((odd) =>
    Array.from({ length: 750 }, (_, index) => (index * 2 + odd) & 0xff),
  );
  assert.deepEqual(
    deliveries.map((delivery) => delivery.body[999]),
    expected,
  );
});

test("a filter reads messages from the disk as well", async () => {
  const { world } = await startBroker(cold);
  const client = await fill(world, 400);
  const properties = { wanted: { type: "boolean", value: true } } as const;
  await client.publish("q", "found", { properties });
  await crashAndRestart(world, cold);
  const other = await TestClient.open(world);
  await other.consume("q", { filter: "wanted" });
  assert.deepEqual(await other.texts(), ["found"]);
});

test("a forced delivery waits until the disk has been read", async () => {
  const { world } = await startBroker(cold);
  await fill(world, 100);
  await crashAndRestart(world, cold);
  const client = await TestClient.open(world);
  await client.consume("q", { credits: 0 });
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 0 });
  const deliveries = await client.deliveries();
  assert.equal(deliveries.length, 101);
  assert.ok(deliveries[100]?.properties.has("_hornetq.forced.delivery.seq"));
});

test("a message whose bytes were damaged on the disk is never delivered, and other queues go on", async () => {
  const { world } = await startBroker(cold);
  const client = await TestClient.open(world);
  await client.createQueue({ queueName: "damaged" });
  await client.createQueue({ queueName: "sound" });
  await client.publish("damaged", "will be damaged");
  await client.publish("sound", "is sound");
  await crashAndRestart(world, cold);
  const needle = messageOf("damaged", { text: "will be damaged" }).subarray(10, 30);
  const names = (await world.disk.list()).filter((name) => name.endsWith(".journal"));
  for (const name of names) damage(world.disk.contentOf(name), needle);
  const other = await TestClient.open(world);
  await other.consume("damaged");
  assert.deepEqual(await other.texts(), []);
  assert.equal(world.logged("error").length, 1);
  await other.consume("sound", { consumerId: 1 });
  assert.equal(textOf(await other.delivery()), "is sound");
});

test("a queue that stands still goes on when the damage was mended", async () => {
  const { world } = await startBroker(cold);
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "will be damaged");
  await crashAndRestart(world, cold);
  const needle = messageOf("q", { text: "will be damaged" }).subarray(10, 30);
  const names = (await world.disk.list()).filter((name) => name.endsWith(".journal"));
  for (const name of names) damage(world.disk.contentOf(name), needle);
  const other = await TestClient.open(world);
  await other.consume("q");
  assert.deepEqual(await other.texts(), []);
  await world.pass(limits.scanIntervalMs);
  assert.deepEqual(await other.texts(), []);
  assert.equal(world.logged("error").length, 2);
  const flipped = needle.slice();
  flipped[0] = (flipped[0] ?? 0) ^ 1;
  for (const name of names) damage(world.disk.contentOf(name), flipped);
  await world.pass(limits.scanIntervalMs);
  assert.deepEqual(await other.texts(), ["will be damaged"]);
});

/** Flips a bit wherever the bytes of `needle` are found. */
function damage(content: Uint8Array, needle: Uint8Array): void {
  for (let at = 0; at + needle.length <= content.length; at += 1) {
    if (needle.every((byte, index) => content[at + index] === byte)) {
      content[at] = (content[at] ?? 0) ^ 1;
    }
  }
}

test("a queue that stands still answers forced deliveries all the same", async () => {
  const { world } = await startBroker(cold);
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "will be damaged");
  await crashAndRestart(world, cold);
  const needle = messageOf("q", { text: "will be damaged" }).subarray(10, 30);
  const names = (await world.disk.list()).filter((name) => name.endsWith(".journal"));
  for (const name of names) damage(world.disk.contentOf(name), needle);
  const other = await TestClient.open(world);
  await other.consume("q", { credits: 0 });
  other.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  for (const sequence of [0, 1]) {
    other.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence });
    assert.equal((await other.deliveries()).length, 1);
  }
});
