import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeProducerMark, packets, type TypedValue } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;
const sameId = 113;
const rolledBack = 111;

function withId(value: string): { properties: Record<string, TypedValue> } {
  return { properties: { _AMQ_DUPL_ID: { type: "string", value } } };
}

function marked(sequence: number): { properties: Record<string, TypedValue> } {
  const value = encodeProducerMark({ id: new Uint8Array(16).fill(3), epoch: 0, sequence });
  return { properties: { _AMQ_DUPL_ID: { type: "bytes", value } } };
}

function messageCount(broker: Broker): number | undefined {
  return broker.queues().find((queue) => queue.name === "q")?.messageCount;
}

async function commitCode(client: TestClient): Promise<number> {
  client.send(packets.commit, 10, { correlationId: 1 });
  await client.settle();
  const [frame] = client.frames.splice(0);
  assert.ok(frame !== undefined);
  return frame.name === "EXCEPTION" ? client.decode(packets.exception, frame).code : 0;
}

test("of two open transactions with one duplicate id exactly one commits", async () => {
  const { world, broker } = await startBroker();
  const first = await TestClient.open(world, transacted);
  const second = await TestClient.open(world, transacted);
  await first.createQueue();
  for (const client of [first, second]) client.post(messageOf("q", withId("a")), 0, false);
  assert.equal(await commitCode(second), 0);
  assert.equal(await commitCode(first), sameId);
  assert.equal(messageCount(broker), 1);
});

test("a send at once wins over an open transaction with its duplicate id", async () => {
  const { world, broker } = await startBroker();
  const open = await TestClient.open(world, transacted);
  const plain = await TestClient.open(world);
  await open.createQueue();
  open.post(messageOf("q", withId("a")), 0, false);
  await plain.publish("q", "at once", withId("a"));
  assert.equal(await commitCode(open), sameId);
  assert.equal(messageCount(broker), 1);
});

test("a transaction that was rolled back leaves its duplicate id to the next one", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world, transacted);
  await client.createQueue();
  client.post(messageOf("q", withId("a")), 0, false);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  client.post(messageOf("q", withId("a")), 0, false);
  assert.equal(await commitCode(client), 0);
  assert.equal(messageCount(broker), 1);
});

test("a prepared branch keeps its duplicate id for itself, as long as it is prepared", () =>
  checkReserved(false));

test("a prepared branch keeps its duplicate id for itself, after a crash", () =>
  checkReserved(true));

async function checkReserved(isRestarted: boolean): Promise<void> {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const xa = await XaClient.open(world);
  await xa.start(1);
  xa.post("q", "prepared", withId("a"));
  await xa.end(1);
  assert.equal(await xa.prepare(1), 0);
  const broker = isRestarted ? await crashAndRestart(world) : undefined;
  const plain = await TestClient.open(world);
  const open = await TestClient.open(world, transacted);
  const other = await XaClient.open(world);
  plain.post(messageOf("q", withId("a")));
  assert.equal((await plain.expect(packets.exception)).code, sameId);
  open.post(messageOf("q", withId("a")), 0, false);
  assert.equal(await commitCode(open), sameId);
  await other.start(2);
  other.post("q", "second", withId("a"));
  await other.end(2);
  assert.equal(await other.prepare(2), 103);
  assert.equal(await other.commit(1), 0);
  await plain.publish("q", "repeated", withId("a"));
  if (broker !== undefined) assert.equal(messageCount(broker), 1);
}

test("a branch that was rolled back after it was prepared leaves its duplicate id to others", async () => {
  const { world, broker } = await startBroker();
  const plain = await TestClient.open(world);
  await plain.createQueue();
  const xa = await XaClient.open(world);
  await xa.start(1);
  xa.post("q", "prepared", withId("a"));
  await xa.end(1);
  await xa.prepare(1);
  assert.equal(await xa.rollback(1), 0);
  await plain.publish("q", "later", withId("a"));
  assert.equal(messageCount(broker), 1);
  await plain.publish("q", "later", withId("a"));
  assert.equal(messageCount(broker), 1);
});

test("sequences of a prepared branch that is rolled back are refused when repeated", () =>
  checkRevoked("at once"));

test("sequences of a branch that was prepared before a crash are refused when it is rolled back", () =>
  checkRevoked("after a crash"));

test("sequences of a prepared branch in a snapshot are refused when it is rolled back", () =>
  checkRevoked("after a crash, with a snapshot"));

async function checkRevoked(
  how: "at once" | "after a crash" | "after a crash, with a snapshot",
): Promise<void> {
  const { world, broker } = await startBroker();
  const xa = new XaClient(await TestClient.openMarking(world, { ...transacted, xa: true }));
  await xa.client.createQueue();
  await xa.start(1);
  for (const sequence of [1, 2]) xa.post("q", "prepared", marked(sequence));
  await xa.end(1);
  assert.equal(await xa.prepare(1), 0);
  await (await TestClient.openMarking(world)).publish("q", "third", marked(3));
  if (how.endsWith("snapshot")) await runUntil(world, broker.snapshotNow());
  const running = how === "at once" ? broker : await crashAndRestart(world);
  assert.equal(await (await XaClient.open(world)).rollback(1), 0);
  const plain = await TestClient.openMarking(world);
  for (const sequence of [1, 2]) {
    plain.post(messageOf("q", marked(sequence)));
    assert.equal((await plain.expect(packets.exception)).code, rolledBack);
  }
  await plain.publish("q", "third again", marked(3));
  await plain.publish("q", "fourth", marked(4));
  assert.equal(messageCount(running), 2);
}

test("the id that a bridge gives a message counts in a transaction too, and is not passed on", async () => {
  const { world, broker } = await startBroker();
  const bridge = await TestClient.open(world, transacted);
  await bridge.createQueue();
  const bridged = {
    properties: {
      _AMQ_BRIDGE_DUP: { type: "bytes", value: new Uint8Array([1, 2, 3]) },
      _AMQ_DUPL_ID: { type: "string", value: "of the application" },
    },
  } as const;
  bridge.post(messageOf("q", bridged), 0, false);
  assert.equal(await commitCode(bridge), 0);
  bridge.post(messageOf("q", bridged), 0, false);
  assert.equal(await commitCode(bridge), sameId);
  assert.equal(messageCount(broker), 1);
  const reader = await TestClient.open(world);
  await reader.consume("q");
  const { properties } = await reader.delivery();
  assert.ok(!properties.has("_AMQ_BRIDGE_DUP"));
  assert.ok(properties.has("_AMQ_DUPL_ID"));
});

test("an address remembers as many duplicate ids as its setting says, also after a restart", async () => {
  const options = {
    addressSettings: { "#": { idCacheSize: 2 }, none: { idCacheSize: 0 } },
    journal: { segmentBytes: 1024 * 1024, prepareAheadBytes: 64 * 1024, freeBytesMin: 0 },
  };
  const { world, broker } = await startBroker(options);
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.createQueue({ queueName: "none" });
  for (const id of ["a", "b", "c", "c", "b", "a"]) await client.publish("q", id, withId(id));
  assert.equal(messageCount(broker), 4);
  for (const id of ["a", "a"]) await client.publish("none", id, withId(id));
  assert.equal(broker.queues().find((queue) => queue.name === "none")?.messageCount, 2);
  const again = await crashAndRestart(world, options);
  const other = await TestClient.open(world);
  for (const id of ["a", "c", "b"]) await other.publish("q", id, withId(id));
  assert.equal(messageCount(again), 5);
});
