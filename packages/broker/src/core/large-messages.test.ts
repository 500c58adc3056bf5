import assert from "node:assert/strict";
import { test } from "node:test";

import { ByteWriter, packets, writeHeaders, type TypedValue } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";

function headers(properties: Readonly<Record<string, TypedValue>> = {}): Uint8Array {
  const writer = new ByteWriter();
  writeHeaders(writer, {
    messageId: 0,
    address: "q",
    userId: null,
    type: 4,
    durable: true,
    expiration: 0,
    timestamp: 0,
    priority: 4,
    properties: new Map(Object.entries(properties)),
  });
  return writer.toBytes();
}

function sendPart(
  client: TestClient,
  part: Uint8Array,
  correlationId: number,
  size?: number,
): void {
  client.send(packets.sendContinuation, 10, {
    part,
    continues: size === undefined,
    messageBodySize: size ?? null,
    requiresResponse: correlationId !== 0,
    correlationId,
    senderId: 0,
  });
}

test("a message that arrives in parts is delivered as one", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  client.send(packets.sendLarge, 10, { headers: headers() });
  sendPart(client, new Uint8Array(1000).fill(1), 0);
  // Other requests of the session come in between.
  client.send(packets.queueQuery, 10, { queueName: "q" });
  await client.expect(packets.queueQueryResponseV3);
  sendPart(client, new Uint8Array(500).fill(2), 9, 1500);
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 9);
  await client.consume("q");
  const { body, properties } = await client.delivery();
  assert.deepEqual([body.length, body[0], body[1499]], [1500, 1, 2]);
  assert.deepEqual(properties.get("_AMQ_LARGE_SIZE"), { type: "long", value: 1500 });
});

test("each part that wants an answer gets one", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  client.send(packets.sendLarge, 10, { headers: headers() });
  sendPart(client, new Uint8Array(10), 1);
  sendPart(client, new Uint8Array(0), 2, 10);
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 1);
  assert.equal((await client.expect(packets.nullResponse)).correlationId, 2);
});

test("a deflated message says how large it becomes", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const properties = { _AMQ_LARGE_COMPRESSED: { type: "boolean", value: true } } as const;
  client.send(packets.sendLarge, 10, { headers: headers(properties) });
  sendPart(client, new Uint8Array(10), 1, 5000);
  await client.expect(packets.nullResponse);
  await client.consume("q");
  const delivery = await client.delivery();
  assert.deepEqual(delivery.properties.get("_AMQ_LARGE_SIZE"), { type: "long", value: 5000 });
});

test("a new large message replaces one that was not finished", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  client.send(packets.sendLarge, 10, { headers: headers() });
  sendPart(client, new Uint8Array(10).fill(1), 0);
  client.send(packets.sendLarge, 10, { headers: headers() });
  sendPart(client, new Uint8Array(5).fill(2), 1, 5);
  await client.expect(packets.nullResponse);
  assert.equal(broker.queues()[0]?.messageCount, 1);
});

test("a large message above the limit is refused at its end, and its parts are not kept", async () => {
  const { world, broker } = await startBroker({ messageBytesMax: 2000 });
  const client = await TestClient.open(world);
  await client.createQueue();
  client.send(packets.sendLarge, 10, { headers: headers() });
  for (let part = 0; part < 5; part += 1) sendPart(client, new Uint8Array(1000), 0);
  sendPart(client, new Uint8Array(1000), 3, 6000);
  const { code, correlationId } = await client.expect(packets.exception);
  assert.deepEqual([code, correlationId], [999, 3]);
  assert.equal(broker.queues()[0]?.messageCount, 0);
});

test("a part without headers is refused", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  sendPart(client, new Uint8Array(10), 1, 10);
  assert.equal((await client.expect(packets.exception)).code, 104);
});
