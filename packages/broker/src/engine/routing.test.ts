import assert from "node:assert/strict";
import { test } from "node:test";

import { encodeProducerMark, packets, type TypedValue } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient, textOf } from "../testing/test-client.test-support.ts";

test("messages go round robin over the anycast queues of an address", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ address: "a", queueName: "one" });
  await client.createQueue({ address: "a", queueName: "two" });
  for (const text of ["1", "2", "3", "4"]) await client.publish("a", text);
  await client.consume("one");
  assert.deepEqual(await client.texts(), ["1", "3"]);
  await client.consume("two", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["2", "4"]);
});

test("of the anycast queues of an address those with consumers come first", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ address: "a", queueName: "one" });
  await client.createQueue({ address: "a", queueName: "two" });
  await client.consume("two");
  for (const text of ["1", "2"]) client.post(messageOf("a", { text }), 1, false);
  assert.deepEqual(await client.texts(), ["1", "2"]);
});

test("every multicast queue of an address gets a copy, filtered by its own filter", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  const red: TypedValue = { type: "string", value: "red" };
  const common = { address: "t", routingType: 0 };
  await client.createQueue({ ...common, queueName: "all" });
  await client.createQueue({ ...common, queueName: "red", filter: "colour = 'red'" });
  await client.publish("t", "plain", { routing: 0 });
  await client.publish("t", "coloured", { routing: 0, properties: { colour: red } });
  await client.consume("all");
  assert.deepEqual(await client.texts(), ["plain", "coloured"]);
  await client.consume("red", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["coloured"]);
});

test("of many filtered subscriptions each gets what it asks for, changed ones and restored ones too", async () => {
  const { world } = await startBroker();
  let client = await TestClient.open(world);
  const common = { address: "t", routingType: 0 };
  await client.createQueue({ ...common, queueName: "all" });
  for (let number = 0; number < 20; number += 1) {
    await client.createQueue({ ...common, queueName: `q${number}`, filter: `n = ${number}` });
  }
  await client.createQueue({ ...common, queueName: "most", filter: "n > 1" });
  await client.createQueue({ ...common, queueName: "other", filter: "n = 3 AND kind = 'x'" });
  const publish = async (number: number, kind: string): Promise<void> =>
    client.publish("t", `${number}${kind}`, {
      routing: 0,
      properties: { n: { type: "int", value: number }, kind: { type: "string", value: kind } },
    });
  await publish(3, "x");
  client.send(packets.deleteQueue, 10, { queueName: "q3" });
  await client.expect(packets.nullResponse);
  await publish(3, "y");
  await publish(1, "x");
  await crashAndRestart(world);
  client = await TestClient.open(world);
  await publish(3, "x");
  await publish(19, "x");
  const found: Record<string, readonly string[]> = {};
  for (const [index, queueName] of ["all", "q1", "q19", "q4", "most", "other"].entries()) {
    await client.consume(queueName, { consumerId: index });
    found[queueName] = await client.texts();
  }
  assert.deepEqual(found, {
    all: ["3x", "3y", "1x", "3x", "19x"],
    q1: ["1x"],
    q19: ["19x"],
    q4: [],
    most: ["3x", "3y", "3x", "19x"],
    other: ["3x", "3x"],
  });
});

test("a routing type selects the queues; a message without one goes to both kinds", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue({ address: "a", queueName: "any" });
  await client.createQueue({ address: "a", queueName: "multi", routingType: 0 });
  await client.publish("a", "anycast", { routing: 1 });
  await client.publish("a", "multicast", { routing: 0 });
  await client.publish("a", "unsaid", { routing: undefined });
  await client.consume("any");
  assert.deepEqual(await client.texts(), ["anycast", "unsaid"]);
  await client.consume("multi", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["multicast", "unsaid"]);
});

test("a fully qualified name reaches one queue", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  for (const queueName of ["one", "two"]) {
    await client.createQueue({ address: "t", queueName, routingType: 0 });
  }
  await client.publish("t::two", "for two", { routing: 0 });
  await client.consume("t::two");
  assert.deepEqual(await client.texts(), ["for two"]);
  await client.consume("one", { consumerId: 1 });
  assert.deepEqual(await client.texts(), []);
});

test("an anycast send makes its address and queue where that is allowed", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.publish("new", "kept");
  assert.deepEqual(
    broker.queues().map((queue) => [queue.name, queue.messageCount]),
    [["new", 1]],
  );
});

test("a send to an address that may not be created is refused", async () => {
  const { world } = await startBroker({ addressSettings: { "#": { autoCreateAddresses: false } } });
  const client = await TestClient.open(world);
  client.post(messageOf("new"), 9);
  const { code, correlationId } = await client.expect(packets.exception);
  assert.deepEqual([code, correlationId], [106, 9]);
});

test("a send to an address without queues succeeds and is dropped", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.publish("nobody", "lost", { routing: 0 });
  assert.deepEqual(broker.queues(), []);
});

test("a message without an address goes to the first address that its session used", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "named");
  client.post(messageOf(null, { text: "unnamed" }), 1);
  await client.expect(packets.nullResponse);
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["named", "unnamed"]);
});

test("a message without an address is refused while its session has used none", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  client.post(messageOf(null), 1);
  assert.equal((await client.expect(packets.exception)).code, 104);
});

test("the second message with a duplicate id is confirmed and dropped, also after a crash", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  const properties = { _AMQ_DUPL_ID: { type: "string", value: "same" } } as const;
  await client.publish("q", "first", { properties });
  await client.publish("q", "second", { properties });
  await crashAndRestart(world);
  const other = await TestClient.openMarking(world);
  await other.publish("q", "third", { properties });
  await other.consume("q");
  assert.deepEqual(await other.texts(), ["first"]);
});

/** The property that carries a producer's mark. */
function marked(sequence: number, epoch = 0): Readonly<Record<string, TypedValue>> {
  const id = new Uint8Array(16).fill(7);
  return { _AMQ_DUPL_ID: { type: "bytes", value: encodeProducerMark({ id, epoch, sequence }) } };
}

test("a producer's sequence is applied once, and a repeat is confirmed again", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  await client.publish("q", "1", { properties: marked(1) });
  await client.publish("q", "2", { properties: marked(2) });
  await crashAndRestart(world);
  const other = await TestClient.openMarking(world);
  await other.publish("q", "1 again", { properties: marked(1) });
  await other.publish("q", "2 again", { properties: marked(2) });
  await other.publish("q", "3", { properties: marked(3) });
  await other.consume("q");
  assert.deepEqual(await other.texts(), ["1", "2", "3"]);
});

test("a gap, an old epoch and an unknown producer each get their own code", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  client.post(messageOf("q", { properties: marked(5) }));
  assert.equal((await client.expect(packets.exception)).code, 9003);
  await client.publish("q", "1", { properties: marked(1, 3) });
  client.post(messageOf("q", { properties: marked(3, 3) }));
  assert.equal((await client.expect(packets.exception)).code, 9002);
  client.post(messageOf("q", { properties: marked(2, 2) }));
  assert.equal((await client.expect(packets.exception)).code, 9001);
});

test("a repeat of a refused sequence is refused again, after a crash as well", async () => {
  const settings = { autoCreateAddresses: false };
  const { world } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.openMarking(world);
  client.post(messageOf("missing", { properties: marked(1) }));
  assert.equal((await client.expect(packets.exception)).code, 106);
  await crashAndRestart(world, { addressSettings: { "#": settings } });
  const other = await TestClient.openMarking(world);
  await other.createQueue({ address: "missing" });
  other.post(messageOf("missing", { properties: marked(1) }));
  assert.equal((await other.expect(packets.exception)).code, 106);
  await other.publish("missing", "2", { properties: marked(2) });
  await other.consume("missing");
  assert.deepEqual(await other.texts(), ["2"]);
});

test("an application's duplicate id and a producer's mark go together", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  const both = (sequence: number): Readonly<Record<string, TypedValue>> => ({
    _AMQ_DUPL_ID: { type: "string", value: "order-1" },
    _EVH_SEQ: marked(sequence)["_AMQ_DUPL_ID"] ?? { type: "null", value: null },
  });
  await client.publish("q", "first", { properties: both(1) });
  // The same order under the next sequence: dropped, and the sequence is used up.
  await client.publish("q", "second", { properties: both(2) });
  await client.publish("q", "third", { properties: marked(3) });
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["first", "third"]);
});

test("a send refused for too long a duplicate id uses up its producer's number", async () => {
  const { world } = await startBroker();
  const client = await TestClient.openMarking(world);
  await client.createQueue();
  const tooLong: Readonly<Record<string, TypedValue>> = {
    _AMQ_DUPL_ID: { type: "string", value: "x".repeat(600) },
    _EVH_SEQ: marked(1)["_AMQ_DUPL_ID"] ?? { type: "null", value: null },
  };
  for (let count = 0; count < 2; count += 1) {
    client.post(messageOf("q", { properties: tooLong }));
    assert.equal((await client.expect(packets.exception)).code, 999);
  }
  await client.publish("q", "next", { properties: marked(2) });
  await client.consume("q");
  assert.deepEqual(await client.texts(), ["next"]);
});

test("marks and bridges' ids that come with a message passed on are no concern of its new send", async () => {
  const { world } = await startBroker();
  const producer = await TestClient.openMarking(world);
  await producer.createQueue();
  await producer.createQueue({ address: "other" });
  await producer.publish("q", "original", { properties: marked(1) });
  const foreign = await TestClient.open(world);
  await foreign.publish("other", "passed on", { properties: marked(1) });
  await foreign.publish("other", "and again", { properties: marked(1) });
  await foreign.publish("other", "from elsewhere", { properties: marked(9) });
  await foreign.consume("other");
  assert.deepEqual(await foreign.texts(), ["passed on", "and again", "from elsewhere"]);
  await producer.publish("q", "next", { properties: marked(2) });
});

test("a bridge's message is taken once by the id that the bridge gave it, and loses it", async () => {
  const { world } = await startBroker();
  const bridge = await TestClient.open(world);
  await bridge.createQueue();
  const bridged = (id: number): Readonly<Record<string, TypedValue>> => ({
    ...marked(5),
    _AMQ_BRIDGE_DUP: { type: "bytes", value: new Uint8Array(24).fill(id) },
  });
  await bridge.publish("q", "first", { properties: bridged(1) });
  await bridge.publish("q", "second", { properties: bridged(2) });
  await crashAndRestart(world);
  const again = await TestClient.open(world);
  await again.publish("q", "second again", { properties: bridged(2) });
  await again.publish("q", "third", { properties: bridged(3) });
  await again.consume("q");
  for (const text of ["first", "second", "third"]) {
    const message = await again.delivery();
    assert.equal(textOf(message), text);
    assert.deepEqual([...message.properties.keys()].sort(), ["_AMQ_DUPL_ID", "_AMQ_ROUTING_TYPE"]);
  }
});

test("a message that has expired on arrival is confirmed and goes to the expiry address", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.createQueue({ address: "ExpiryQueue", queueName: "ExpiryQueue" });
  await client.consume("q");
  // Rows keep tenths of a second, from the broker's first start on.
  await world.pass(2000);
  await client.publish("q", "late", { expiration: world.nowMs - 1000 });
  await client.consume("ExpiryQueue", { consumerId: 1 });
  assert.deepEqual(await client.texts(), ["late"]);
});

test("a full disk refuses sends and still takes acknowledgements", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "before");
  await client.consume("q");
  const { messageId } = await client.delivery();
  client.send(packets.sessionStop, 10, {});
  await client.expect(packets.nullResponse);
  await client.fillDisk("other");
  const count = (): number =>
    broker.queues().find((queue) => queue.name === "q")?.messageCount ?? -1;
  assert.equal(count(), 1);
  client.acknowledge(messageId);
  await client.expect(packets.nullResponse);
  assert.equal(count(), 0);
});

test("a message larger than the limit is refused, and the connection lives on", async () => {
  const { world } = await startBroker({ messageBytesMax: 2048 });
  const client = await TestClient.open(world);
  await client.createQueue();
  client.post(messageOf("q", { body: new Uint8Array(3000) }));
  assert.equal((await client.expect(packets.exception)).code, 999);
  await client.publish("q", "small");
});

test("a message for more queues than one record can name is refused for good", async () => {
  const journal = { segmentBytes: 64 * 1024, prepareAheadBytes: 4096, freeBytesMin: 0 };
  const { world, broker } = await startBroker({ journal });
  const client = await TestClient.openMarking(world);
  for (let index = 0; index < 400; index += 1) {
    await client.createQueue({ address: "t", queueName: `t.${index}`, routingType: 0 });
  }
  const choices = { routing: 0, properties: marked(1), body: new Uint8Array(56_900) };
  client.post(messageOf("t", choices));
  const refusal = await client.expect(packets.exception);
  assert.match(refusal.message ?? "", /400 queues/);
  client.post(messageOf("t", choices));
  assert.equal((await client.expect(packets.exception)).code, refusal.code);
  await client.publish("t", "small", { routing: 0, properties: marked(2) });
  assert.ok(broker.queues().every((queue) => queue.messageCount === 1));
});
