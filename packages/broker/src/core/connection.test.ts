import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import { limits } from "../limits.ts";
import { ManualWorld } from "../testing/manual-world.test-support.ts";
import { runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

test("a new connection gets its ping back and a topology whose first node is the last one", async () => {
  const { world, broker } = await startBroker();
  const client = new TestClient(world);
  client.send(packets.ping, 0, { connectionTtl: 45_000 });
  assert.equal((await client.expect(packets.ping)).connectionTtl, 45_000);
  client.send(packets.subscribeTopologyV2, 0, { clusterConnection: false, clientVersion: 136 });
  const topology = await client.expect(packets.clusterTopologyV4);
  assert.equal(topology.nodeId, broker.nodeId);
  assert.deepEqual(topology.pair, { primary: null, backup: null, last: true });
  assert.equal(topology.serverVersion, 136);
});

test("the node id is the same after a restart, and the topology's event id has grown", async () => {
  const { world, broker } = await startBroker();
  const ask = async (): Promise<{ nodeId: string; eventId: number }> => {
    const client = new TestClient(world);
    client.send(packets.subscribeTopologyV2, 0, { clusterConnection: false, clientVersion: 136 });
    return client.expect(packets.clusterTopologyV4);
  };
  const first = await ask();
  await runUntil(world, broker.stop());
  await world.pass(10);
  await startBroker({}, world);
  const second = await ask();
  assert.equal(second.nodeId, first.nodeId);
  assert.ok(second.eventId > first.eventId);
});

test("a client of an older version gets the topology packet that it knows", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world, 130);
  client.send(packets.subscribeTopologyV2, 0, { clusterConnection: false, clientVersion: 130 });
  await client.expect(packets.clusterTopologyV3);
});

test("a version that is not known is refused with 108, and the next lower one is tried on the same socket", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.createSession({ version: 137 });
  assert.equal((await client.expect(packets.exception)).code, 108);
  await client.createSession({ version: 136 });
  assert.equal((await client.expect(packets.createSessionResponse)).serverVersion, 136);
});

test("the first version that a connection names decides the layout of its packets", async () => {
  const { world } = await startBroker();
  // The client subscribes as 135 and re-creates its session with the broker's own number.
  const client = new TestClient(world, 135);
  await client.subscribe();
  await client.createSession({ version: 136 });
  client.frames.length = 0;
  await client.createQueue();
  await client.publish("q", "understood");
});

for (const version of [129, 130, 131, 132, 134, 136]) {
  test(`a client of version ${version} sends, receives and commits`, async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world, { version });
    await client.createQueue();
    client.post(messageOf("q", { text: "hello" }), 7);
    const { correlationId } = await client.expect(packets.nullResponse);
    assert.equal(correlationId, version >= 130 ? 7 : -1);
    await client.consume("q");
    assert.deepEqual(await client.texts(), ["hello"]);
    client.send(packets.commit, 10, { correlationId: version >= 132 ? 3 : null });
    await client.expect(packets.nullResponse);
  });
}

test("both forms of session creation are accepted", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.send(packets.createSessionV2, 1, {
    name: "second",
    sessionChannelId: 11,
    version: 136,
    username: null,
    password: null,
    minLargeMessageSize: 102_400,
    xa: false,
    autoCommitSends: true,
    autoCommitAcks: true,
    confirmationWindowSize: -1,
    preAcknowledge: false,
    defaultAddress: null,
    clientId: "me",
  });
  await client.expect(packets.createSessionResponse);
});

test("a reattachment is refused, a failover check is passed", async () => {
  const { world, broker } = await startBroker();
  const client = new TestClient(world);
  client.send(packets.checkForFailover, 1, { nodeId: broker.nodeId });
  assert.equal((await client.expect(packets.checkForFailoverReply)).okToFailover, true);
  client.send(packets.reattachSession, 1, { name: "lost", lastConfirmedCommandId: 5 });
  assert.deepEqual(await client.expect(packets.reattachSessionResponse), {
    lastConfirmedCommandId: -1,
    reattached: false,
  });
});

test("who asks for a session of another connection ends that connection: it is a dead client's", async () => {
  const { world } = await startBroker();
  const lost = await TestClient.open(world, { name: "lost" });
  await lost.createQueue();
  await lost.publish("q", "in hand");
  await lost.consume("q");
  assert.deepEqual(await lost.texts(), ["in hand"]);

  const client = await TestClient.open(world);
  client.send(packets.reattachSession, 1, { name: "lost", lastConfirmedCommandId: -1 });
  assert.equal((await client.expect(packets.reattachSessionResponse)).reattached, false);
  await client.consume("q");
  const delivery = await client.delivery();
  assert.equal(textOf(delivery), "in hand");
  assert.equal(delivery.deliveryCount, 2);
  assert.match(world.logged("warn").join("\n"), /A connection was closed/);
});

test("with users configured only they get a session", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  await startBroker({}, world);
  const client = new TestClient(world);
  await client.createSession({ username: "ann", password: "wrong" });
  assert.equal((await client.expect(packets.exception)).code, 105);
  await client.createSession();
  assert.equal((await client.expect(packets.exception)).code, 105);
  await client.createSession({ username: "ann", password: "secret" });
  await client.expect(packets.createSessionResponse);
});

test("while a password is checked the broker serves others, and answers come in order", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  const { broker } = await startBroker({}, world);
  const other = new TestClient(world);
  await other.createSession({ username: "ann", password: "secret" });
  await other.expect(packets.createSessionResponse);
  world.loginDelayMs = 100;
  const client = new TestClient(world);
  await client.createSession({ username: "ann", password: "secret" });
  client.send(packets.checkForFailover, 1, { nodeId: broker.nodeId });
  client.send(packets.ping, 0, { connectionTtl: 60_000 });
  await client.settle();
  // Pings are answered meanwhile: the client must not take the broker for dead.
  assert.deepEqual(
    client.frames.map(({ name }) => name),
    [packets.ping.name],
  );
  await other.createQueue();
  await world.pass(100);
  await client.settle();
  assert.deepEqual(
    client.frames.slice(1).map(({ name }) => name),
    [packets.createSessionResponse.name, packets.checkForFailoverReply.name],
  );
});

test("a client that leaves while its password is checked leaves nothing behind", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  const { broker } = await startBroker({}, world);
  world.loginDelayMs = 100;
  const client = new TestClient(world);
  await client.createSession({ username: "ann", password: "secret" });
  client.socket.close();
  await world.pass(100);
  assert.equal(broker.connectionCount, 0);
  broker.assertInvariants();
});

test("a connection has one password checked at a time, and none when it has gone", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  await startBroker({}, world);
  world.loginDelayMs = 100;
  const client = new TestClient(world);
  for (const [index, password] of ["guess", "secret", "secret"].entries()) {
    const name = `s${index}`;
    await client.createSession({
      name,
      sessionChannelId: 10 + index,
      username: "ann",
      password,
    });
  }
  assert.equal(world.loginsUnderWay, 1);
  await world.pass(100);
  assert.equal(world.loginsUnderWay, 1);
  await world.pass(100);
  assert.deepEqual(await client.names(), [packets.exception.name, "CREATESESSION_RESP"]);
  client.socket.close();
  await world.settle();
  assert.equal(world.loginsUnderWay, 0);
});

test("a client that floods the broker with logins and awaits none is cut off", async () => {
  const world = new ManualWorld();
  world.users = { ann: "secret" };
  await startBroker({}, world);
  world.loginDelayMs = 100;
  const client = new TestClient(world);
  for (let count = 0; count <= limits.sessionsPerConnectionMax; count += 1) {
    await client.createSession({ name: `s${count}`, username: "ann", password: "guess" });
  }
  assert.ok(client.socket.isClosed);
  await world.pass(100);
});

test("a session that works for branches of distributed transactions is opened", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.createSession({ xa: true });
  await client.expect(packets.createSessionResponse);
  client.send(packets.xaGetTimeout, 10, {});
  assert.equal((await client.expect(packets.xaGetTimeoutResponse)).seconds, 300);
});

test("a packet for an unknown channel is dropped", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.send(packets.sessionStart, 999, {});
  client.send(packets.queueQuery, 10, { queueName: "q" });
  await client.expect(packets.queueQueryResponseV3);
});

test("a closed session answers, and its channel can be used again", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.send(packets.sessionClose, 10, {});
  await client.expect(packets.nullResponse);
  client.send(packets.queueQuery, 10, { queueName: "q" });
  assert.deepEqual(await client.names(), []);
  await client.createSession();
  await client.expect(packets.createSessionResponse);
});

test("a client id belongs to one live session", async () => {
  const { world } = await startBroker();
  const unique = { key: "jms-client-id", data: "me", requiresConfirmation: true };
  const first = await TestClient.open(world);
  first.send(packets.addUniqueMetadata, 10, unique);
  await first.expect(packets.nullResponse);
  first.send(packets.addMetadataV2, 10, unique);
  await first.expect(packets.nullResponse);
  const second = await TestClient.open(world);
  second.send(packets.addUniqueMetadata, 10, unique);
  assert.equal((await second.expect(packets.exception)).code, 114);
  first.socket.close();
  await world.settle();
  second.send(packets.addUniqueMetadata, 10, unique);
  await second.expect(packets.nullResponse);
});

test("metadata without confirmation is not answered", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  const value = { key: "jms-session", data: "", requiresConfirmation: false };
  client.send(packets.addMetadataV2, 10, value);
  assert.deepEqual(await client.names(), []);
});

test("a client that is silent for longer than it announced is disconnected", async () => {
  const { world, broker } = await startBroker();
  const client = new TestClient(world);
  client.send(packets.ping, 0, { connectionTtl: 10_000 });
  await client.expect(packets.ping);
  await world.pass(9_000);
  client.send(packets.ping, 0, { connectionTtl: 10_000 });
  await client.expect(packets.ping);
  await world.pass(9_000);
  assert.equal(broker.connectionCount, 1);
  await world.pass(5_000);
  assert.equal(broker.connectionCount, 0);
  assert.ok(client.socket.isClosed);
});

test("a stopping broker says goodbye in the form that each client knows", async () => {
  const { world, broker } = await startBroker();
  const current = await TestClient.open(world);
  const older = await TestClient.open(world, { version: 130 });
  await runUntil(world, broker.stop());
  assert.deepEqual(await current.names(), ["DISCONNECT_V3"]);
  assert.deepEqual(await older.names(), ["DISCONNECT_V2"]);
  assert.ok(current.socket.isClosed);
});

test("a stopping broker answers what was asked before it says goodbye", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  world.disk.holdsWrites = true;
  client.post(messageOf("q"), 8);
  await world.settle();
  const stopping = broker.stop();
  await world.settle();
  assert.deepEqual(await client.names(), []);
  world.disk.releaseWrites();
  await runUntil(world, stopping);
  assert.deepEqual(await client.names(), ["NULL_RESPONSE", "DISCONNECT_V3"]);
});

test("a stopping broker does not wait for a client that never reads", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  client.socket.isReading = false;
  client.send(packets.queueQuery, 10, { queueName: "q" });
  await world.settle();
  const stopping = broker.stop();
  await world.pass(1_500);
  await runUntil(world, stopping);
  assert.ok(client.socket.isClosed);
});

test("a broker can be stopped twice, and started again on the same data", async () => {
  const { world, broker } = await startBroker();
  await runUntil(world, Promise.all([broker.stop(), broker.stop()]));
  await startBroker({}, world);
});

test("a data folder in use is refused", async () => {
  const { world } = await startBroker();
  await assert.rejects(startBroker({}, world), { code: "EVH_DATA_LOCKED" });
});

test("a broker whose journal fails closes every connection without an answer and reports", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  world.disk.writeError = world.disk.failure();
  client.post(messageOf("q"), 1);
  assert.deepEqual(await client.names(), []);
  assert.ok(client.socket.isClosed);
  assert.equal(broker.failure?.code, "EVH_IO");
  await runUntil(world, broker.stop());
});

test("metadata that was replaced is free for others, as is all of it after the session's end", async () => {
  const { world } = await startBroker();
  const first = await TestClient.open(world);
  const second = await TestClient.open(world);
  const claim = async (client: TestClient, data: string): Promise<void> => {
    client.send(packets.addUniqueMetadata, 10, { key: "id", data, requiresConfirmation: true });
    await client.expect(packets.nullResponse);
  };
  await claim(first, "one");
  await claim(first, "two");
  await claim(second, "one");
  first.socket.close();
  await world.settle();
  await claim(second, "two");
});
