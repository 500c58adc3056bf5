import assert from "node:assert/strict";
import { test } from "node:test";

import { Prng } from "@everhold/base";
import { ByteWriter, encodePacket, packets } from "@everhold/wire";

import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

/** A frame with any id, channel and body. */
function frame(
  id: number,
  channelId: number,
  body: readonly number[],
  length?: number,
): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(length ?? body.length + 9);
  writer.u8(id);
  writer.i64(channelId);
  for (const byte of body) writer.u8(byte);
  return writer.toBytes();
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const badBytes: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["a frame over the limit", frame(71, 10, [], 0x7fff_fff0)],
  ["a frame of negative length", frame(71, 10, [], -5)],
  ["a frame shorter than its header", frame(71, 10, [], 3)],
  ["a packet with an unknown id on a session", frame(200, 10, [])],
  ["a packet that only brokers send", frame(21, 10, [0, 0, 0, 0, 0, 0, 0, 0])],
  ["a packet of a session on the connection's channel", frame(71, 0, [])],
  ["a packet on the replication channel", frame(91, 2, [])],
  ["a send without a message", frame(71, 10, [])],
  ["an acknowledgement that is too short", frame(41, 10, [0, 0, 0])],
  ["a queue name that lies about its size", frame(45, 10, [0x7f, 0xff, 0xff, 0xff, 0])],
  [
    "a send whose body lies about its size",
    frame(71, 10, [0x7f, 0, 0, 0, ...Array<number>(60).fill(0)]),
  ],
];

for (const [what, bytes] of badBytes) {
  test(`${what} ends its connection with one log line, and nobody else notices`, async () => {
    const { world, broker } = await startBroker();
    const other = await TestClient.open(world);
    const client = await TestClient.open(world);
    client.socket.send(bytes);
    await world.settle();
    assert.ok(client.socket.isClosed);
    assert.equal(world.logged("warn").length, 1);
    assert.equal(broker.connectionCount, 1);
    await other.createQueue();
    await other.publish("q", "fine");
  });
}

const foreignBytes: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["HTTP", text("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
  ["AMQP", text("AMQP\0\x01\0\0")],
  ["TLS", new Uint8Array([0x16, 0x03, 0x01, 0, 0xa5, 1, 0, 0, 0xa1])],
  ["random bytes", new Uint8Array([9, 8, 7, 6, 5, 4, 3, 2, 1])],
];

for (const [what, bytes] of foreignBytes) {
  test(`a connection that speaks ${what} is closed with one log line`, async () => {
    const { world, broker } = await startBroker();
    const socket = world.network.dial();
    socket.send(bytes);
    await world.settle();
    assert.ok(socket.isClosed);
    assert.equal(world.logged("warn").length, 1);
    assert.equal(broker.connectionCount, 0);
  });
}

test("a connection that says nothing is closed after the handshake's time", async () => {
  const { world, broker } = await startBroker();
  const socket = world.network.dial();
  await world.pass(9_000);
  assert.equal(broker.connectionCount, 1);
  await world.pass(4_000);
  assert.ok(socket.isClosed);
  assert.equal(world.logged("warn").length, 1);
});

test("a connection that sends a byte a second and no frame is closed as well", async () => {
  const { world } = await startBroker();
  const socket = world.network.dial();
  const bytes = text("ARTEMIS");
  for (let second = 0; second < 14; second += 1) {
    socket.send(bytes.subarray(second % 7, (second % 7) + 1));
    await world.pass(1_000);
  }
  assert.ok(socket.isClosed);
});

test("a frame that arrives byte by byte is understood", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  const writer = new ByteWriter();
  encodePacket(writer, packets.queueQuery, 10, { queueName: "q" }, 136);
  for (const byte of writer.toBytes()) client.socket.send(new Uint8Array([byte]));
  await client.expect(packets.queueQueryResponseV3);
});

test("a client that floods requests and never reads is read no more", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.socket.isReading = false;
  for (let count = 0; count < 300; count += 1) {
    for (let more = 0; more < 300; more += 1) {
      client.send(packets.queueQuery, 10, { queueName: `q${more}` });
    }
    await world.settle();
    if (client.socket.isPausedByPeer) break;
  }
  assert.ok(client.socket.isPausedByPeer);
  assert.ok(client.socket.link.queuedBytes < 6_000_000);
  client.socket.read();
  await world.settle();
  assert.equal(client.socket.isPausedByPeer, false);
});

test("a client that takes nothing of its deliveries for as long as its time to live is cut off", async () => {
  const { world, broker } = await startBroker();
  const sender = await TestClient.open(world);
  await sender.createQueue();
  const body = new Uint8Array(100_000);
  for (let count = 0; count < 20; count += 1) sender.post(messageOf("q", { body }), 1, false);
  const client = await TestClient.open(world);
  await client.consume("q", { credits: 0 });
  client.socket.isReading = false;
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  for (let second = 0; second < 70; second += 10) {
    // It pings, and so does the other one.
    client.send(packets.ping, 0, { connectionTtl: 60_000 });
    sender.send(packets.ping, 0, { connectionTtl: 60_000 });
    await world.pass(10_000);
  }
  assert.ok(client.socket.isClosed);
  assert.equal(broker.connectionCount, 1);
  assert.equal(broker.queues()[0]?.inFlightCount, 0);
});

test("a client that was refused and never reads is gone at the next check", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.socket.isReading = false;
  client.send(packets.queueQuery, 10, { queueName: "q" });
  client.socket.send(frame(200, 10, []));
  await world.pass(2_500);
  assert.ok(client.socket.isClosed);
});

test("producers are read no more while the disk cannot follow", async () => {
  const { world } = await startBroker({
    journal: { segmentBytes: 32 * 1024 * 1024, prepareAheadBytes: 64 * 1024, freeBytesMin: 0 },
  });
  const client = await TestClient.open(world);
  await client.createQueue();
  world.disk.holdsWrites = true;
  const message = messageOf("q", { body: new Uint8Array(1_000_000) });
  for (let count = 0; count < 20; count += 1) client.post(message, 1);
  await world.settle();
  assert.ok(client.socket.isPausedByPeer);
  world.disk.releaseWrites();
  const names = await client.names();
  assert.equal(names.length, 20);
  assert.equal(client.socket.isPausedByPeer, false);
});

/** Sends a session's worth of valid frames with some bytes changed. */
async function sendMutated(world: ManualWorld, prng: Prng): Promise<void> {
  const client = await TestClient.open(world);
  const writer = new ByteWriter();
  encodePacket(writer, packets.queueQuery, 10, { queueName: "some queue" }, 136);
  const message = messageOf("q", { text: "hello", properties: { a: { type: "int", value: 1 } } });
  const sending = { message, requiresResponse: true, correlationId: 1, senderId: 0 };
  encodePacket(writer, packets.send, 10, sending, 136);
  const acknowledge = { consumerId: 0, messageId: 1, requiresResponse: true };
  encodePacket(writer, packets.acknowledge, 10, acknowledge, 136);
  const bytes = writer.toBytes();
  for (let count = prng.integer(1, 4); count > 0; count -= 1) {
    bytes[prng.integer(0, bytes.length - 1)] = prng.integer(0, 255);
  }
  client.socket.send(bytes.subarray(0, prng.integer(1, bytes.length)));
  await world.settle();
  client.socket.close();
  await world.settle();
}

test("frames with changed bytes never harm anybody else", async () => {
  const seed = Number(process.env["EVERHOLD_FUZZ_SEED"] ?? "1");
  const { world, broker } = await startBroker();
  const other = await TestClient.open(world);
  await other.createQueue({ queueName: "safe" });
  const prng = new Prng(seed);
  for (let round = 0; round < 300; round += 1) await sendMutated(world, prng);
  broker.assertInvariants();
  await other.publish("safe", "fine");
  assert.equal(broker.connectionCount, 1);
});
