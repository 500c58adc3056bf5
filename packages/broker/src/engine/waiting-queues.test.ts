import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, textOf } from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

/** A queue that hands out nothing while its last consumer's deliveries are not settled. */
const gated = { consumersBeforeDispatch: 1 } as const;

interface Setting {
  readonly world: ManualWorld;
  readonly broker: Broker;
  readonly client: TestClient;
}

async function gatedQueue(settings: SomeSettings = {}): Promise<Setting> {
  const { world, broker } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(world);
  await client.createQueue(gated);
  for (const text of ["1", "2"]) await client.publish("q", text);
  return { world, broker, client };
}

/** Acknowledges the first message in a branch, prepares that, and consumes no more. */
async function prepareFirst(world: ManualWorld): Promise<XaClient> {
  const xa = await XaClient.open(world);
  await xa.start(1);
  await xa.client.consume("q", { credits: 1 });
  const first = await xa.client.delivery();
  assert.equal(textOf(first), "1");
  xa.client.acknowledge(first.messageId, 0, false);
  await xa.end(1);
  assert.equal(await xa.prepare(1), 0);
  xa.client.send(packets.consumerClose, 10, { consumerId: 0 });
  await xa.client.expect(packets.nullResponse);
  return xa;
}

test("a queue that waits for what a prepared branch holds goes on when that is decided", async () => {
  for (const commits of [true, false]) {
    const { world, client } = await gatedQueue();
    const xa = await prepareFirst(world);
    await client.consume("q");
    assert.deepEqual(await client.texts(), []);
    assert.equal(commits ? await xa.commit(1) : await xa.rollback(1), 0);
    assert.deepEqual(await client.texts(), commits ? ["2"] : ["1", "2"]);
  }
});

test("a queue that waits for what a prepared branch holds goes on after a restart, too", async () => {
  for (const commits of [true, false]) {
    const { world } = await gatedQueue();
    await prepareFirst(world);
    await crashAndRestart(world);
    const client = await TestClient.open(world);
    await client.consume("q");
    assert.deepEqual(await client.texts(), []);
    const xa = await XaClient.open(world);
    assert.equal(commits ? await xa.commit(1) : await xa.rollback(1), 0);
    assert.deepEqual(await client.texts(), commits ? ["2"] : ["1", "2"]);
  }
});

test("a queue that waits for a message goes on when that becomes a dead letter", async () => {
  for (const isSunk of [true, false]) {
    const settings = { maxDeliveryAttempts: 1, deadLetterAddress: "DLQ" };
    const { world, client } = await gatedQueue(isSunk ? settings : { maxDeliveryAttempts: 1 });
    const other = await TestClient.open(world, { autoCommitAcks: false });
    await other.consume("q", { credits: 1 });
    const first = await other.delivery();
    other.acknowledge(first.messageId, 0, false);
    other.send(packets.consumerClose, 10, { consumerId: 0 });
    await other.expect(packets.nullResponse);
    await client.consume("q");
    assert.deepEqual(await client.texts(), []);
    other.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await other.expect(packets.nullResponse);
    assert.deepEqual(await client.texts(), ["2"]);
  }
});

test("a queue that waits for a message goes on when its client finds that expired", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ groupRebalance: true, groupRebalancePauseDispatch: true });
  for (const text of ["1", "2"]) await client.publish("q", text);
  await client.consume("q", { credits: 1 });
  const { messageId } = await client.delivery();
  // Groups are dealt out anew, so all that was handed out is to be settled first.
  await client.consume("q", { consumerId: 1 });
  assert.deepEqual(await client.texts(), []);
  client.send(packets.expired, 10, { consumerId: 0, messageId });
  assert.deepEqual(await client.texts(), ["2"]);
});

test("what waits for a message that comes again later goes on when a newer one takes its place", async () => {
  for (const durable of [true, false]) {
    const { world } = await startBroker({
      addressSettings: { "#": { redeliveryDelay: 100_000, redeliveryMode: "blocking" } },
    });
    const client = await TestClient.open(world, { autoCommitAcks: false });
    await client.createQueue({ lastValueKey: "k" });
    const sender = await TestClient.open(world);
    const publish = async (text: string, value: string): Promise<void> => {
      await sender.publish("q", text, { durable, properties: { k: { type: "string", value } } });
    };
    await publish("1", "one");
    await publish("2", "two");
    await client.consume("q", { credits: 1 });
    client.acknowledge((await client.delivery()).messageId, 0, false);
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await client.expect(packets.nullResponse);
    client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
    assert.deepEqual(await client.texts(), []);
    await publish("3", "one");
    assert.deepEqual(await client.texts(), ["2", "3"]);
  }
});

test("what waits for a message of its group goes on when that is gone, though groups are told apart no more", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { "#": { redeliveryDelay: 100_000, redeliveryMode: "blocking" } },
  });
  const client = await TestClient.open(world, { autoCommitAcks: false });
  await client.createQueue();
  const sender = await TestClient.open(world);
  const properties = { _AMQ_GROUP_ID: { type: "string", value: "a" } } as const;
  for (const text of ["1", "2"]) await sender.publish("q", text, { properties });
  await client.consume("q", { credits: 1 });
  const { messageId } = await client.delivery();
  client.acknowledge(messageId, 0, false);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  client.send(packets.flowToken, 10, { consumerId: 0, credits: -1 });
  assert.deepEqual(await client.texts(), []);
  const changed = JSON.stringify({ name: "q", "group-buckets": 0 });
  broker.management.invoke("broker", "updateQueue", [changed]);
  assert.deepEqual(await client.texts(), [], "it still waits");
  broker.management.invoke("queue.q", "removeMessage", [messageId]);
  assert.deepEqual(await client.texts(), ["2"]);
});
