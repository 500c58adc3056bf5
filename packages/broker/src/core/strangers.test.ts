import assert from "node:assert/strict";
import { test } from "node:test";

import type { LogFields } from "@everhold/env";
import { ByteWriter, encodePacket, magicBytes, packets } from "@everhold/wire";

import { limits } from "../limits.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import type { TestSocket } from "../testing/memory-network.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";

function pingFrame(): Uint8Array {
  const writer = new ByteWriter();
  encodePacket(writer, packets.ping, 0, { connectionTtl: 60_000 }, 136);
  return writer.toBytes();
}

/** A connection whose handshake stops after these bytes. */
function stall(world: ManualWorld, bytes: Uint8Array): TestSocket {
  const socket = world.network.dial();
  if (bytes.length > 0) socket.send(bytes);
  return socket;
}

function warnings(world: ManualWorld): readonly (readonly [string, unknown, unknown])[] {
  return world.log
    .filter(({ level }) => level === "warn")
    .map(({ message, fields }) => [message, fields["code"], fields["times"]] as const);
}

function firstWarning(world: ManualWorld): LogFields {
  return world.log.find(({ level }) => level === "warn")?.fields ?? {};
}

const halfHandshakes: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["nothing", new Uint8Array(0)],
  ["three letters of its protocol", magicBytes.subarray(0, 3)],
  ["its protocol and nothing more", magicBytes],
  ["the length of a frame and nothing more", Uint8Array.of(...magicBytes, 0, 0, 0, 17)],
  ["half a frame", Uint8Array.of(...magicBytes, ...pingFrame().subarray(0, 10))],
];

for (const [what, bytes] of halfHandshakes) {
  test(`a connection that says ${what} is closed after the handshake's time`, async () => {
    const { world, broker } = await startBroker();
    const socket = stall(world, bytes);
    await world.pass(limits.handshakeTimeoutMs - 1_000);
    assert.equal(broker.connectionCount, 1);
    await world.pass(1_000 + limits.checkIntervalMs);
    assert.ok(socket.isClosed);
    assert.equal(broker.connectionCount, 0);
  });
}

test("the time for a handshake is not longer for who sends a byte a second", async () => {
  const { world } = await startBroker({ handshakeTimeoutMs: 20_000 });
  const socket = world.network.dial();
  let seconds = 0;
  for (const byte of [...magicBytes, ...pingFrame()]) {
    if (socket.isClosed) break;
    socket.send(Uint8Array.of(byte));
    await world.pass(1_000);
    seconds += 1;
  }
  assert.ok(socket.isClosed);
  assert.ok(seconds >= 20 && seconds <= 23, `closed after ${seconds} s`);
});

test("a client that asked for the topology may open its first session minutes later", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.subscribe();
  for (let minute = 0; minute < 5; minute += 1) {
    client.send(packets.ping, 0, { connectionTtl: 60_000 });
    await world.pass(50_000);
  }
  await client.createSession({});
  client.frames.length = 0;
  await client.createQueue();
});

test("before the first session only whole packets are signs of life", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.subscribe();
  const frame = new Uint8Array(200);
  frame.set([0, 0, 0, 196]);
  let seconds = 0;
  while (!client.socket.isClosed && seconds < 190) {
    client.socket.send(frame.subarray(seconds, seconds + 1));
    await world.pass(1_000);
    seconds += 1;
  }
  assert.ok(seconds >= 60 && seconds <= 65, `closed after ${seconds} s`);
});

test("a large frame is taken from a client with a session only", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  const frame = new Uint8Array(limits.handshakeFrameBytesMax + 4);
  const view = new DataView(frame.buffer);
  view.setInt32(0, limits.handshakeFrameBytesMax);
  // A packet of a channel that is unknown, which is normal.
  view.setUint8(4, packets.send.id);
  view.setUint8(12, 99);
  client.socket.send(frame);
  await client.createQueue();

  const stranger = new TestClient(world);
  stranger.socket.send(frame.subarray(0, 4));
  await world.settle();
  assert.ok(stranger.socket.isClosed);
  assert.deepEqual(warnings(world), [
    ["A connection was closed", "EVH_FRAME_TOO_LARGE", undefined],
  ]);
});

test("of too many without a session the oldest gives way, and who has one stays", async () => {
  const { world, broker } = await startBroker({ strangerCountMax: 3 });
  const known = await TestClient.open(world);
  const strangers = Array.from({ length: 10 }, () => world.network.dial());
  await world.settle();
  assert.deepEqual(
    strangers.map(({ isClosed }) => isClosed),
    [true, true, true, true, true, true, true, false, false, false],
  );
  // Whoever comes in earnest finds a place.
  const late = await TestClient.open(world);
  assert.equal(broker.connectionCount, 4);
  await known.createQueue();
  await late.createQueue({ queueName: "late" });
  await world.pass(limits.checkIntervalMs);
  const message = "A connection without a session gave way: there are too many";
  assert.deepEqual(warnings(world), [
    [message, undefined, undefined],
    [message, undefined, 7],
  ]);
});

test("a connection beyond the limit is closed with a line that says what to do", async () => {
  const { world, broker } = await startBroker({ connectionCountMax: 2 });
  const one = await TestClient.open(world);
  const two = await TestClient.open(world);
  const refused = Array.from({ length: 100 }, () => world.network.dial());
  await world.settle();
  assert.ok(refused.every(({ isClosed }) => isClosed));
  assert.equal(broker.connectionCount, 2);
  const { limit, cure } = firstWarning(world);
  assert.deepEqual([limit, cure], [2, "raise limits.connectionsAllowed"]);
  await world.pass(limits.checkIntervalMs);
  const message = "A connection was refused: there are too many";
  assert.deepEqual(warnings(world), [
    [message, undefined, undefined],
    [message, undefined, 99],
  ]);
  two.socket.close();
  await world.settle();
  const three = await TestClient.open(world);
  await three.createQueue();
  await one.createQueue({ queueName: "one" });
});

test("where all places are taken, who has no session gives way to who comes", async () => {
  const { world, broker } = await startBroker({ connectionCountMax: 3 });
  const known = await TestClient.open(world);
  const stalled = [world.network.dial(), world.network.dial()];
  const late = await TestClient.open(world);
  assert.deepEqual(
    stalled.map(({ isClosed }) => isClosed),
    [true, false],
  );
  assert.equal(broker.connectionCount, 3);
  await known.createQueue();
  await late.createQueue({ queueName: "late" });
});

test("where the system allows fewer connections than configured, its limit holds", async () => {
  const world = new ManualWorld();
  Object.assign(world.network, { linkCountMax: 1 });
  const { broker } = await startBroker({}, world);
  const client = await TestClient.open(world);
  const refused = world.network.dial();
  await world.settle();
  assert.ok(refused.isClosed);
  assert.equal(broker.connectionCount, 1);
  assert.match(String(firstWarning(world)["cure"]), /ulimit -n/);
  await client.createQueue();
});

test("a thousand refused logins a second are a line a second", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  await startBroker({}, world);
  for (let second = 0; second < 3; second += 1) {
    for (let count = 0; count < 100; count += 1) {
      const client = new TestClient(world);
      await client.createSession({ username: "ann", password: `guess ${count}` });
      assert.equal(client.frames.at(-1)?.name, packets.exception.name);
      client.socket.close();
    }
    await world.pass(1_000);
  }
  await world.pass(limits.checkIntervalMs);
  const lines = warnings(world);
  assert.ok(lines.length >= 3 && lines.length <= 6, JSON.stringify(lines));
  assert.ok(lines.every(([message]) => message === "A login was refused"));
  const times = lines.reduce((sum, line) => sum + Number(line[2] ?? 1), 0);
  assert.equal(times, 300);
});

test("hundreds that time out at once are told in some lines that count them", async () => {
  const { world, broker } = await startBroker();
  for (let count = 0; count < 500; count += 1) stall(world, magicBytes);
  await world.pass(limits.handshakeTimeoutMs + 3 * limits.checkIntervalMs);
  assert.equal(broker.connectionCount, 0);
  const lines = warnings(world);
  assert.ok(lines.length <= limits.strangerLinesBurst + 3, `${lines.length} lines`);
  const times = lines.reduce((sum, line) => sum + Number(line[2] ?? 1), 0);
  assert.equal(times, 500);
});
