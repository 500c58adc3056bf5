import assert from "node:assert/strict";
import { test } from "node:test";

import { EverholdError } from "@everhold/base";
import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { BrokerOptions } from "../config.ts";
import type { SomeSettings } from "../settings/setting-table.ts";
import { largeBytes, sendLarge, takeLarge } from "../testing/large-client.test-support.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import {
  messageOf,
  TestClient,
  textOf,
  type Delivery,
  type MessageChoices,
} from "../testing/test-client.test-support.ts";

const once: SomeSettings = { maxDeliveryAttempts: 1 };
const perAddress: SomeSettings = {
  ...once,
  autoCreateDeadLetterResources: true,
  autoCreateExpiryResources: true,
};

function counts(broker: Broker): Record<string, number> {
  return Object.fromEntries(broker.queues().map((queue) => [queue.name, queue.messageCount]));
}

/** Sends a message, takes it, and breaks the connection. @returns its id */
async function failOn(
  world: ManualWorld,
  address: string,
  text: string,
  choices: MessageChoices = {},
): Promise<number | undefined> {
  const client = await TestClient.open(world);
  await client.publish(address, text, choices);
  return take(world, address, client);
}

/** Takes what is in a queue, and breaks the connection. @returns the id of the first message */
async function take(
  world: ManualWorld,
  queue: string,
  by?: TestClient,
): Promise<number | undefined> {
  const client = by ?? (await TestClient.open(world));
  await client.consume(queue);
  const [first] = await client.deliveries();
  client.socket.close();
  await world.settle();
  return first?.messageId;
}

async function browse(world: ManualWorld, queue: string, filter?: string): Promise<Delivery[]> {
  const client = await TestClient.open(world);
  await client.consume(queue, { browseOnly: true, filter: filter ?? null });
  const found = await client.deliveries();
  client.socket.close();
  await world.settle();
  return found;
}

type Line = Readonly<Record<string, number>>;

/** What an operation of the queue `q` gives. */
function invoke(
  world: ManualWorld,
  broker: Broker,
  operation: string,
  args: readonly (string | number | undefined)[],
): Promise<unknown> {
  const given = args.map((arg) => arg ?? null);
  const { value } = broker.management.invoke("queue.q", operation, given);
  return runUntil(world, Promise.resolve(value));
}

function property(delivery: Delivery | undefined, name: string): unknown {
  return delivery?.properties.get(name)?.value;
}

test("a dead letter says why it is one, to consumers, filters and those who list it, also after a crash", async () => {
  const { world } = await startBroker({ addressSettings: { "#": once } });
  const sentId = await failOn(world, "q", "poison", { expiration: world.nowMs + 60_000 });
  const broker = await crashAndRestart(world, { addressSettings: { "#": once } });
  const [letter] = await browse(world, "DLQ", "_EVH_CAUSE = 'attempts'");
  assert.equal(property(letter, "_EVH_CAUSE"), "attempts");
  const text = "delivered 1 times without success, which is the limit";
  assert.equal(property(letter, "dlqDeliveryFailureCause"), text);
  assert.equal(property(letter, "_AMQ_ORIG_QUEUE"), "q");
  assert.equal(property(letter, "_AMQ_ORIG_ADDRESS"), "q");
  assert.equal(property(letter, "_AMQ_ORIG_MESSAGE_ID"), sentId);
  assert.notEqual(letter?.messageId, sentId, "it has an id of its own");
  assert.equal(property(letter, "_AMQ_ACTUAL_EXPIRY"), undefined);
  const { value } = broker.management.invoke("queue.DLQ", "listMessages", [""]);
  const [listed] = (await runUntil(world, Promise.resolve(value))) as Record<string, unknown>[];
  assert.equal(listed?.["_EVH_CAUSE"], "attempts");
  assert.equal(listed?.["dlqDeliveryFailureCause"], text);
  assert.equal(listed?.["_AMQ_ORIG_ADDRESS"], "q");
  for (const [name, counted] of [
    ["_AMQ_ORIG_ADDRESS", { q: 1 }],
    ["constructor", { null: 1 }],
  ] as const) {
    const grouped = broker.management.invoke("queue.DLQ", "countMessages", [null, name]);
    assert.deepEqual(await runUntil(world, Promise.resolve(grouped.value)), counted);
  }
});

test("a message that expires in two queues is two messages where both go, each settled for itself", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  for (const name of ["all", "some"]) {
    await client.createQueue({ queueName: name, address: "news", routingType: 0 });
  }
  const expiration = world.nowMs + 1000;
  await client.publish("news", "short", { expiration, routing: 0 });
  await world.pass(31_000);
  await client.consume("ExpiryQueue");
  const found = await client.deliveries();
  assert.equal(found.length, 2);
  const [first, second] = found;
  assert.notEqual(first?.messageId, second?.messageId);
  client.acknowledge(first?.messageId ?? 0);
  await world.settle();
  assert.equal(counts(broker)["ExpiryQueue"], 1);
  client.acknowledge(second?.messageId ?? 0);
  await world.settle();
  assert.equal(counts(broker)["ExpiryQueue"], 0);
});

test("an expired message says that it is one, and no cause of a dead letter", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const expiration = world.nowMs + 1000;
  await client.publish("q", "short", { expiration });
  await world.pass(31_000);
  const [found] = await browse(world, "ExpiryQueue", "_EVH_CAUSE = 'expired'");
  assert.equal(property(found, "_AMQ_ACTUAL_EXPIRY"), expiration);
  assert.equal(property(found, "dlqDeliveryFailureCause"), undefined);
});

test("each address has a queue of its own for dead letters and for expired messages, where that is set", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { "#": { ...perAddress, expiryQueueSuffix: ".late" } },
  });
  await failOn(world, "a", "one");
  await failOn(world, "it's", "two");
  await failOn(world, "a", "three");
  const client = await TestClient.open(world);
  await client.publish("a", "late", { expiration: world.nowMs + 1 });
  await world.pass(31_000);
  assert.deepEqual(counts(broker), {
    a: 0,
    "it's": 0,
    "DLQ.a": 2,
    "DLQ.it's": 1,
    "EXP.a.late": 1,
  });
  const own = broker.management.read("queue.DLQ.it's", "Filter").value;
  assert.equal(own, "_AMQ_ORIG_ADDRESS = 'it''s'");
  assert.equal(broker.management.read("queue.DLQ.a", "Address").value, "DLQ");
  assert.deepEqual((await browse(world, "DLQ.a")).map(textOf), ["one", "three"]);
});

test("a queue of one address at the sink takes no others, nor does another sink of its name", async () => {
  const { world, broker } = await startBroker({ addressSettings: { "#": once, a: perAddress } });
  const client = await TestClient.open(world);
  await client.createQueue({ address: "elsewhere", queueName: "DLQ.a", routingType: 0 });
  await failOn(world, "a", "one");
  await failOn(world, "b", "two");
  await failOn(world, "a", "three");
  assert.deepEqual(counts(broker), { "DLQ.a": 0, DLQ: 3, a: 0, b: 0 });
  const warnings = world.log.filter(({ message }) => message.includes("name of another one"));
  assert.equal(warnings.length, 1);
});

test("all multicast queues of the sink that take a dead letter get it, and an anycast one only else", async () => {
  const { world, broker } = await startBroker({ addressSettings: { "#": once } });
  const client = await TestClient.open(world);
  const multicast = { address: "DLQ", routingType: 0 };
  await client.createQueue({ address: "DLQ", queueName: "rest" });
  await client.createQueue({ ...multicast, queueName: "red", filter: "colour = 'red'" });
  await client.createQueue({ ...multicast, queueName: "of a", filter: "_AMQ_ORIG_ADDRESS = 'a'" });
  const red = { properties: { colour: { type: "string", value: "red" } } } as const;
  await failOn(world, "a", "both", red);
  await failOn(world, "b", "one", red);
  await failOn(world, "b", "none");
  await failOn(world, "a", "in memory", { ...red, durable: false });
  assert.deepEqual(counts(broker), { rest: 1, red: 3, "of a": 2, a: 0, b: 0 });
});

test("a filter of the sink is asked about messages that have to be read from the disk", async () => {
  // Next to nothing stays in memory. What expires is found by the scan, which reads nothing by itself.
  const cold: BrokerOptions = {
    addressSettings: { "#": { expiryAddress: "late" } },
    journal: {
      segmentBytes: 256 * 1024,
      prepareAheadBytes: 4096,
      freeBytesMin: 0,
      tailCacheBytes: 64 * 1024,
      readCacheBytes: 32 * 1024,
      readAheadBytes: 8192,
    },
  };
  const { world } = await startBroker(cold);
  const client = await TestClient.open(world);
  const multicast = { address: "late", routingType: 0 };
  await client.createQueue({ ...multicast, queueName: "red", filter: "colour = 'red'" });
  await client.createQueue();
  const body = new Uint8Array(1000);
  for (let index = 0; index < 200; index += 1) {
    const colour = { type: "string", value: index % 2 === 0 ? "red" : "blue" } as const;
    const expiration = world.nowMs + 1000;
    client.post(messageOf("q", { body, expiration, properties: { colour } }), 1);
    if (index % 20 === 0) await client.settle();
  }
  await client.settle();
  const broker = await crashAndRestart(world, cold);
  await world.pass(31_000);
  assert.deepEqual(counts(broker), { red: 100, q: 0, late: 100 });
});

test("dead letters are kept when the sink has no queue and another address has one of its name", async () => {
  const { world, broker } = await startBroker({ addressSettings: { "#": once } });
  const client = await TestClient.open(world);
  await client.createQueue({ address: "elsewhere", queueName: "DLQ" });
  await failOn(world, "q", "poison");
  assert.deepEqual(counts(broker), { DLQ: 0, q: 0, "DLQ.2": 1 });
  await failOn(world, "q", "venom");
  assert.deepEqual(counts(broker), { DLQ: 0, q: 0, "DLQ.2": 2 });
});

test("a message stays, and is tried again later, when the queue for it cannot be made", async () => {
  const sink = "s".repeat(1000);
  const { world, broker } = await startBroker({
    addressSettings: { "#": { ...once, deadLetterAddress: sink, expiryAddress: sink } },
  });
  const client = await TestClient.open(world);
  await client.createQueue({ address: "elsewhere", queueName: sink });
  await failOn(world, "q", "poison");
  await client.publish("q", "late", { expiration: world.nowMs + 1 });
  await world.pass(100);
  await client.consume("q");
  assert.deepEqual(await client.names(), []);
  assert.equal(counts(broker)["q"], 2);
  client.send(packets.deleteQueue, 10, { queueName: sink });
  await client.expect(packets.nullResponse);
  await world.pass(31_000);
  const again = await client.delivery();
  assert.deepEqual([textOf(again), again.deliveryCount], ["poison", 1]);
  client.socket.close();
  await world.settle();
  assert.deepEqual(counts(broker), { q: 0, [sink]: 2 });
});

test("two addresses that are each other's sink do not pass a dead letter to and fro", async () => {
  const { world, broker } = await startBroker({
    addressSettings: {
      a: { ...once, deadLetterAddress: "b" },
      b: { ...once, deadLetterAddress: "a" },
    },
  });
  await failOn(world, "a", "poison");
  assert.deepEqual(counts(broker), { a: 0, b: 1 });
  for (let time = 0; time < 3; time += 1) await take(world, "b");
  assert.deepEqual(counts(broker), { a: 0, b: 1 });
  const warnings = world.log.filter(({ message }) => message.includes("stays where it is"));
  assert.equal(warnings.length, 1);
});

test("without a dead-letter address messages are dropped and counted, and the log says so once", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { "#": { ...once, deadLetterAddress: undefined } },
  });
  await failOn(world, "q", "a");
  await failOn(world, "q", "b");
  assert.deepEqual(counts(broker), { q: 0 });
  assert.equal(broker.management.read("queue.q", "MessagesKilled").value, 2);
  assert.equal(world.log.filter(({ message }) => message.includes("dropped")).length, 1);
});

test("a message that no queue takes goes to the dead letters where that is set, and expires no more", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { t: { sendToDlaOnNoRoute: true }, u: {} },
  });
  const client = await TestClient.open(world);
  const topic = { routing: 0, expiration: world.nowMs + 1000 } as const;
  await client.publish("u", "dropped", topic);
  await client.publish("t", "kept", topic);
  await client.createQueue({ address: "t", queueName: "s", routingType: 0, filter: "FALSE" });
  await client.publish("t", "filtered", topic);
  await world.pass(31_000);
  assert.deepEqual(counts(broker), { DLQ: 2, s: 0 });
  const [kept] = await browse(world, "DLQ", "_AMQ_ORIG_ADDRESS = 't'");
  assert.deepEqual([kept?.address, kept?.expiration], ["DLQ", 0]);
  assert.equal(property(kept, "_AMQ_ORIG_QUEUE"), undefined);
});

test("a message that no queue takes is refused where its dead letters can have no queue", async () => {
  // The queue would have the name of its address; that is taken, and there is none that is longer.
  const deadLetterAddress = "d".repeat(1000);
  const { world, broker } = await startBroker({
    addressSettings: { t: { sendToDlaOnNoRoute: true, deadLetterAddress } },
  });
  const client = await TestClient.open(world);
  await client.createQueue({ address: "elsewhere", queueName: deadLetterAddress });
  client.post(messageOf("t", { routing: 0, text: "lost?" }), 1, true);
  assert.equal((await client.expect(packets.exception)).code, 100);
  assert.equal(broker.queues().length, 1);
  await client.publish("elsewhere", "the next operation works", { routing: 1 });
});

test("a transaction sends what no queue takes to the dead letters of each address", async () => {
  const settings = { ...perAddress, sendToDlaOnNoRoute: true, expiryDelay: 5000 };
  const { world, broker } = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(world, { autoCommitSends: false });
  client.post(messageOf("t", { routing: 0, text: "a" }), 1, false);
  client.post(messageOf("t", { routing: 0, text: "b", durable: false }), 1, false);
  client.send(packets.commit, 10, { correlationId: null });
  await client.expect(packets.nullResponse);
  assert.deepEqual(counts(broker), { "DLQ.t": 2 });
  const again = await crashAndRestart(world, { addressSettings: { "#": settings } });
  assert.deepEqual(counts(again), { "DLQ.t": 1 });
});

test("a message expires when the settings of its address say so, and says that to its consumers", async () => {
  const { world, broker } = await startBroker({
    addressSettings: { late: { expiryDelay: 5000 }, never: { noExpiry: true } },
  });
  const client = await TestClient.open(world);
  const expiration = world.nowMs + 100;
  await client.publish("late", "a");
  await client.publish("late", "in memory", { durable: false });
  await client.publish("never", "b", { expiration });
  const later = world.nowMs + 5000;
  assert.deepEqual(
    (await browse(world, "late")).map((one) => one.expiration),
    [later, later],
  );
  await world.pass(31_000);
  const [kept] = await browse(world, "never");
  assert.equal(kept?.expiration, 0);
  assert.deepEqual(counts(broker), { late: 0, never: 1, ExpiryQueue: 2 });
});

test("a dead letter that is retried is as it was sent, expires no more, and is a dead letter anew if it fails", async () => {
  const { world, broker } = await startBroker({ addressSettings: { "#": once } });
  await (await TestClient.open(world)).createQueue();
  await failOn(world, "q", "poison", { expiration: world.nowMs + 60_000 });
  await world.pass(90_000);
  const { value } = broker.management.invoke("queue.DLQ", "retryMessages", []);
  assert.equal(await runUntil(world, Promise.resolve(value)), 1);
  const again = await crashAndRestart(world, { addressSettings: { "#": once } });
  const [retried] = await browse(world, "q", "AMQExpiration = 0 AND _AMQ_ORIG_QUEUE IS NULL");
  assert.deepEqual([retried?.address, retried?.expiration], ["q", 0]);
  assert.deepEqual([...(retried?.properties.keys() ?? [])], ["_AMQ_ROUTING_TYPE"]);
  await take(world, "q");
  assert.deepEqual(counts(again), { q: 0, DLQ: 1 });
  const [letter] = await browse(world, "DLQ");
  assert.equal(property(letter, "_EVH_CAUSE"), "attempts");
});

test("a dead letter goes back to a queue whose name ends with a colon, and to no other one", async () => {
  const { world } = await startBroker({ addressSettings: { "#": once } });
  const client = await TestClient.open(world);
  for (const queueName of ["a", "a:", ":"]) await client.createQueue({ queueName });
  for (const name of ["a:", ":"]) await failOn(world, name, `from ${name}`);
  const broker = await crashAndRestart(world, { addressSettings: { "#": once } });
  const letters = await browse(world, "DLQ", "_EVH_CAUSE = 'attempts'");
  assert.deepEqual(
    letters.map((letter) => property(letter, "_AMQ_ORIG_QUEUE")),
    ["a:", ":"],
  );
  const { value } = broker.management.invoke("queue.DLQ", "retryMessages", []);
  assert.equal(await runUntil(world, Promise.resolve(value)), 2);
  assert.deepEqual(counts(broker), { a: 0, "a:": 1, ":": 1, DLQ: 0 });
});

test("a large message that expired is retried whole", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  const body = largeBytes(300_000);
  sendLarge(client, body, { expiration: world.nowMs + 1000 });
  await client.expect(packets.nullResponse);
  await world.pass(31_000);
  const { value } = broker.management.invoke("queue.ExpiryQueue", "retryMessages", []);
  assert.equal(await runUntil(world, Promise.resolve(value)), 1);
  await crashAndRestart(world);
  const other = await TestClient.open(world);
  await other.consume("q");
  const received = await takeLarge(other);
  assert.deepEqual([received.isWhole, received.expiration], [true, 0]);
  assert.ok(Buffer.from(received.body).equals(body));
});

test("a large message is copied whole, and keeps its body when its priority is changed", async () => {
  const { world, broker } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.createQueue({ queueName: "copies" });
  const body = largeBytes(300_000);
  sendLarge(client, body);
  await client.expect(packets.nullResponse);
  const [{ messageID } = {}] = (await invoke(world, broker, "listMessages", [""])) as Line[];
  assert.equal(await invoke(world, broker, "copyMessage", [messageID, "copies"]), true);
  assert.equal(await invoke(world, broker, "changeMessagePriority", [messageID, 9]), true);
  await crashAndRestart(world);
  for (const queue of ["q", "copies"]) {
    const other = await TestClient.open(world);
    await other.consume(queue);
    const received = await takeLarge(other);
    assert.equal(received.isWhole, true);
    assert.ok(Buffer.from(received.body).equals(body));
    other.acknowledge(received.messageId);
    await other.settle();
    other.socket.close();
  }
});

test("what an administrator moves or retries keeps to the limits of the address it goes to", async () => {
  const full: SomeSettings = { maxSizeMessages: 1, addressFullPolicy: "fail" };
  const { world, broker } = await startBroker({
    addressSettings: { "#": once, q: { ...once, ...full } },
  });
  await failOn(world, "q", "poison");
  const client = await TestClient.open(world);
  await client.publish("q", "in its place");
  await client.publish("other", "x");
  for (const [queue, operation, args] of [
    ["DLQ", "retryMessages", []],
    ["other", "moveMessages", ["", "q"]],
  ] as const) {
    assert.throws(
      () => broker.management.invoke(`queue.${queue}`, operation, [...args]),
      (error) => EverholdError.is(error, "EVH_ADDRESS_FULL"),
    );
  }
  assert.deepEqual(counts(broker), { DLQ: 1, q: 1, other: 1 });
});
