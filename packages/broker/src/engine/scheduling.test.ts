import assert from "node:assert/strict";
import { test } from "node:test";

import { packets, type TypedValue } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

const transacted = { autoCommitSends: false, autoCommitAcks: false } as const;

function countOf(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.messageCount ?? -1;
}

/** What makes a message wait for `delayMs` from now on. */
function after(world: ManualWorld, delayMs: number): Pick<MessageChoices, "properties"> {
  return at({ type: "long", value: world.nowMs + delayMs });
}

function at(time: TypedValue): Pick<MessageChoices, "properties"> {
  return { properties: { _AMQ_SCHED_DELIVERY: time } };
}

/** A queue `q` and a consumer of it. */
async function consumedQueue(): Promise<{
  world: ManualWorld;
  broker: Broker;
  client: TestClient;
}> {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q");
  return { world, broker, client };
}

test("a scheduled message is in its queue at once and delivered at its time, not earlier", async () => {
  const { world, broker, client } = await consumedQueue();
  await client.publish("q", "later", after(world, 5000));
  await client.publish("q", "now");
  assert.deepEqual(await client.texts(), ["now"]);
  assert.equal(countOf(broker), 2);
  assert.equal(broker.queues()[0]?.inFlightCount, 1);
  await world.pass(4999);
  assert.deepEqual(await client.texts(), []);
  await world.pass(1);
  const delivery = await client.delivery();
  assert.equal(textOf(delivery), "later");
  assert.equal(delivery.deliveryCount, 1);
});

test("a time that has passed, and one that is no number, is at once", async () => {
  const { world, client } = await consumedQueue();
  const times: TypedValue[] = [
    { type: "long", value: world.nowMs - 1 },
    { type: "long", value: 0 },
    { type: "long", value: -5 },
    { type: "string", value: String(world.nowMs + 9000) },
    { type: "double", value: Number.NaN },
  ];
  for (const time of times) {
    await client.publish("q", time.type, at(time));
    assert.equal(textOf(await client.delivery()), time.type);
  }
});

test("any number is a time, as for Artemis", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "double", at({ type: "double", value: world.nowMs + 1000.5 }));
  assert.deepEqual(await client.texts(), []);
  await world.pass(1000);
  assert.deepEqual(await client.texts(), ["double"]);
});

test("messages due at one time come in the order of their sends, whenever they are looked at", async () => {
  const { world, client } = await consumedQueue();
  const time = after(world, 1000);
  for (const text of ["a", "b", "c"]) await client.publish("q", text, time);
  await client.publish("q", "volatile", { ...time, durable: false });
  await world.pass(1000);
  assert.deepEqual(await client.texts(), ["a", "b", "c", "volatile"]);
});

test("a message that is due stands before all that were sent after it", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "first");
  await client.publish("q", "due second", after(world, 2000));
  await client.publish("q", "due first", after(world, 1000));
  await client.publish("q", "last");
  await client.publish("q", "urgent", { ...after(world, 2000), priority: 9 });
  await world.pass(3000);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["urgent", "first", "due second", "due first", "last"]);
  assert.equal(broker.queues()[0]?.inFlightCount, 5);
});

test("a browser sees nothing before its time, and a forced delivery is answered without it", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "later", after(world, 1000));
  client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 7 });
  const marker = await client.delivery();
  assert.ok(marker.properties.has("_hornetq.forced.delivery.seq"));
  await client.consume("q", { consumerId: 1, browseOnly: true });
  assert.deepEqual(await client.texts(), []);
});

test("a consumer with a filter gets what falls due behind its place in the queue", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.consume("q", { filter: "colour = 'red'" });
  const colour = (value: string): Record<string, TypedValue> => ({
    colour: { type: "string", value },
  });
  const later = after(world, 1000).properties;
  await client.publish("q", "later", { properties: { ...later, ...colour("red") } });
  await client.publish("q", "blue", { properties: { ...later, ...colour("blue") } });
  await client.publish("q", "now", { properties: colour("red") });
  assert.deepEqual(await client.texts(), ["now"]);
  await world.pass(1000);
  assert.deepEqual(await client.texts(), ["later"]);
  assert.equal(countOf(broker), 3);
});

test("each subscription of a topic gets it, as far as there was one when it was sent", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ address: "t", queueName: "t.1", routingType: 0 });
  await client.createQueue({ address: "t", queueName: "t.2", routingType: 0, temporary: true });
  await client.publish("t", "later", { ...after(world, 500), routing: 0 });
  await client.createQueue({ address: "t", queueName: "t.3", routingType: 0 });
  for (const [consumerId, queueName] of ["t.1", "t.2", "t.3"].entries()) {
    await client.consume(queueName, { consumerId });
  }
  assert.deepEqual(await client.texts(), []);
  await world.pass(500);
  const consumers = (await client.deliveries()).map((delivery) => delivery.consumerId);
  assert.deepEqual(consumers.toSorted(), [0, 1]);
});

test("a scheduled message of a transaction does not exist before the commit, however late that is", async () => {
  const { world, broker } = await startBroker();
  const reader = await TestClient.open(world);
  await reader.createQueue();
  await reader.consume("q");
  const client = await TestClient.open(world, transacted);
  for (const end of ["rollback", "commit"]) {
    client.post(messageOf("q", { text: "later", ...after(world, 1000) }));
    client.post(messageOf("q", { text: "over soon", ...after(world, 10) }));
    await client.expect(packets.nullResponse);
    await client.expect(packets.nullResponse);
    await world.pass(500);
    assert.deepEqual(await reader.texts(), []);
    if (end === "commit") client.send(packets.commit, 10, { correlationId: null });
    else client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await client.expect(packets.nullResponse);
    assert.deepEqual(await reader.texts(), end === "commit" ? ["over soon"] : []);
  }
  await world.pass(499);
  assert.deepEqual(await reader.texts(), []);
  await world.pass(1);
  assert.deepEqual(await reader.texts(), ["later"]);
  assert.equal(countOf(broker), 2);
});

test("a message that expires before its time goes the way of expired ones", async () => {
  const { world, broker, client } = await consumedQueue();
  const expiration = world.nowMs + 1000;
  await client.publish("q", "short", { ...after(world, 2_000_000), expiration });
  await client.publish("q", "due when it expires", { ...after(world, 1000), expiration });
  await world.pass(1000);
  assert.deepEqual([countOf(broker), countOf(broker, "ExpiryQueue")], [1, 1]);
  await world.pass(31_000);
  assert.deepEqual([countOf(broker), countOf(broker, "ExpiryQueue")], [0, 2]);
  await client.consume("ExpiryQueue", { consumerId: 1 });
  const [first, second] = await client.deliveries();
  assert.equal(first?.expiration, 0);
  assert.deepEqual(second?.properties.get("_AMQ_ORIG_QUEUE"), { type: "string", value: "q" });
});

test("a clock that is set forward makes it due, one that is set back makes it wait", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "a", after(world, 600_000));
  world.nowMs += 599_000;
  await world.pass(999);
  assert.deepEqual(await client.texts(), []);
  await world.pass(1);
  assert.deepEqual(await client.texts(), ["a"]);

  await client.publish("q", "b", after(world, 2000));
  await world.pass(1500);
  world.nowMs -= 10_000;
  await world.pass(10_499);
  assert.deepEqual(await client.texts(), []);
  await world.pass(1);
  assert.deepEqual(await client.texts(), ["b"]);
});

test("a clock that is set back while producers wait for room makes what is sent next wait", async () => {
  const { world } = await startBroker({ addressSettings: { full: { maxSizeBytes: 1 } } });
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.createQueue({ address: "full", queueName: "full" });
  await client.consume("q");
  await client.publish("full", "a");
  client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "full" });
  await client.publish("q", "b");
  assert.deepEqual(await client.texts(), ["b"]);
  world.nowMs -= 600_000;
  await client.publish("q", "c", after(world, 2000));
  assert.deepEqual(await client.texts(), []);
  await world.pass(2000);
  assert.deepEqual(await client.texts(), ["c"]);
});

test("a clock that is set back right after a look for what has expired makes what is sent next wait", async () => {
  const { world, client } = await consumedQueue();
  // In the same millisecond as the look, after it.
  world.ports().timers.after(limits.scanIntervalMs, () => {
    world.nowMs -= 600_000;
    client.post(messageOf("q", after(world, 2000)), undefined, false);
  });
  await world.pass(limits.scanIntervalMs);
  assert.deepEqual(await client.deliveries(), []);
  await world.pass(2000);
  assert.equal((await client.deliveries()).length, 1);
});

test("what is scheduled survives a crash, and falls due while nobody is there", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "over", after(world, 1000));
  await client.publish("q", "later", after(world, 60_000));
  await client.publish("q", "volatile", { ...after(world, 1000), durable: false });
  world.crash();
  world.nowMs += 30_000;
  const broker = await crashAndRestart(world);
  assert.equal(countOf(broker), 2);
  const again = await TestClient.open(world);
  await again.consume("q");
  await world.pass(0);
  const [over, ...others] = await again.deliveries();
  assert.deepEqual(
    [over, ...others].map((one) => one && textOf(one)),
    ["over"],
  );
  assert.equal(over?.deliveryCount, 1);
  await world.pass(30_000);
  assert.deepEqual(await again.texts(), ["later"]);
});

test("what waits is not marked after a crash though others behind it were delivered, what was due is", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "due", after(world, 1000));
  await client.publish("q", "waits", after(world, 20_000));
  await client.publish("q", "plain");
  await world.pass(1000);
  assert.deepEqual(await client.texts(), ["plain", "due"]);
  await crashAndRestart(world);
  const again = await TestClient.open(world);
  await again.consume("q");
  await world.pass(20_000);
  const counts = (await again.deliveries()).map((one) => [textOf(one), one.deliveryCount]);
  assert.deepEqual(counts, [
    ["due", 2],
    ["plain", 2],
    ["waits", 1],
  ]);
});

test("what was not committed as due when the broker died was not delivered, and is not marked", async () => {
  const { world, client } = await consumedQueue();
  await client.publish("q", "a", after(world, 1000));
  world.disk.holdsWrites = true;
  await world.pass(1500);
  assert.deepEqual(await client.texts(), []);
  const broker = await crashAndRestart(world);
  broker.assertInvariants();
  const again = await TestClient.open(world);
  await again.consume("q");
  await world.pass(0);
  assert.equal((await again.delivery()).deliveryCount, 1);
});

test("a snapshot holds what waits, and where moved messages came from", async () => {
  const options = { addressSettings: { "#": { maxDeliveryAttempts: 1 } } };
  const { world, broker } = await startBroker(options);
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "later", after(world, 5000));
  for (const text of ["poison", "venom"]) await client.publish("q", text);
  await client.consume("q");
  client.socket.close();
  await runUntil(world, broker.snapshotNow());
  const before = broker.fingerprint();
  const again = await crashAndRestart(world, options);
  assert.equal(again.recovery.recordCount < 5, true);
  assert.equal(again.fingerprint(), before);
  const reader = await TestClient.open(world);
  await reader.consume("q");
  await reader.consume("DLQ", { consumerId: 1 });
  const [first, second] = await reader.deliveries();
  assert.deepEqual(first?.properties.get("_AMQ_ORIG_QUEUE"), { type: "string", value: "q" });
  assert.deepEqual(second?.properties.get("_AMQ_ORIG_QUEUE"), { type: "string", value: "q" });
  await world.pass(5000);
  assert.deepEqual(await reader.texts(), ["later"]);
});

test("a purge and the end of a queue take what is scheduled along, and its time passes unnoticed", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ queueName: "purged", address: "purged", purgeOnNoConsumers: true });
  await client.createQueue({ queueName: "ended", address: "ended" });
  await client.consume("purged");
  for (const address of ["purged", "ended"]) {
    await client.publish(address, "later", after(world, 1000));
  }
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  assert.equal(countOf(broker, "purged"), 0);
  client.send(packets.deleteQueue, 10, { queueName: "ended" });
  await client.expect(packets.nullResponse);
  await client.createQueue({ queueName: "ended", address: "ended" });
  await client.publish("ended", "another", after(world, 2000));
  await world.pass(1500);
  broker.assertInvariants();
  assert.deepEqual([countOf(broker, "purged"), countOf(broker, "ended")], [0, 1]);
});

test("an automatic queue does not go while something is scheduled in it", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.publish("auto", "later", after(world, 100_000));
  await client.consume("auto");
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  await world.pass(95_000);
  assert.equal(countOf(broker, "auto"), 1);
});

test("a stopped broker wakes for nothing", async () => {
  const { world, broker, client } = await consumedQueue();
  await client.publish("q", "later", after(world, 1000));
  client.socket.close();
  await runUntil(world, broker.stop());
  await world.pass(5000);
  const again = await startBroker({}, world);
  assert.equal(countOf(again.broker), 1);
});

test("many messages due at one time become ready a bounded number in a step", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const time = after(world, 1000);
  for (let index = 0; index < 4500; index += 1) {
    client.post(messageOf("q", { text: String(index), ...time }), index, false);
  }
  await client.settle();
  assert.equal(countOf(broker), 4500);
  await client.consume("q");
  await world.pass(1000);
  const texts = await client.texts();
  assert.deepEqual(
    texts,
    Array.from({ length: 4500 }, (_, index) => String(index)),
  );
});
