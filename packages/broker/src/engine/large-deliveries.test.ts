import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { packets } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import {
  beginLarge,
  largeBytes,
  sendLarge,
  sendPart,
  takeLarge,
} from "../testing/large-client.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

const partHeadBytes = 26;

/** A journal that keeps next to nothing in memory: bodies are read from the disk. */
const coldJournal = {
  segmentBytes: 4 * 1024 * 1024,
  prepareAheadBytes: 64 * 1024,
  freeBytesMin: 0,
  tailCacheBytes: 1024 * 1024,
  readCacheBytes: 1024 * 1024,
  readAheadBytes: 64 * 1024,
};

describe("a large message", () => {
  test("goes out in parts as large as the client's own", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world, { minLargeMessageSize: 50_000 });
    await client.createQueue();
    const body = largeBytes(250_000);
    sendLarge(client, body);
    await client.expect(packets.nullResponse);
    await client.consume("q");
    const received = await takeLarge(client);
    assert.deepEqual(received.partSizes, [50_000, 50_000, 50_000, 50_000, 50_000]);
    assert.equal(received.isWhole, true);
    assert.equal(received.largeMessageSize, 250_000);
    assert.equal(received.deliveryCount, 1);
    assert.deepEqual(received.properties.get("_AMQ_LARGE_SIZE"), { type: "long", value: 250_000 });
    assert.ok(body.every((byte, index) => byte === received.body[index]));
  });

  test("is read from the disk when it is no longer in memory", async () => {
    const { world } = await startBroker({ journal: coldJournal });
    const client = await TestClient.open(world);
    await client.createQueue();
    const body = largeBytes(6_000_000);
    sendLarge(client, body);
    await client.expect(packets.nullResponse);
    await client.consume("q");
    const received = await takeLarge(client);
    assert.equal(received.isWhole, true);
    assert.ok(Buffer.from(received.body).equals(body));
  });

  test("waits for credit between two parts, and its consumer gets nothing else meanwhile", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    await client.expect(packets.nullResponse);
    await client.publish("q", "second");
    await client.publish("q", "third");
    await client.consume("q", { credits: 1 });
    const head = client.frames[0];
    assert.equal(client.frames.length, 1);
    assert.equal(head?.name, "SESS_RECEIVE_LARGE_MSG");
    // Another consumer goes on with what is behind it.
    const other = await TestClient.open(world, { name: "other" });
    await other.consume("q", { credits: 1 });
    assert.deepEqual(await other.texts(), ["second"]);
    client.send(packets.flowToken, 10, { consumerId: 0, credits: head?.frameBytes ?? 0 });
    await client.settle();
    assert.deepEqual(
      client.frames.map((frame) => frame.frameBytes),
      [head?.frameBytes, 100_000 + partHeadBytes],
    );
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 250_000 });
    const received = await takeLarge(client);
    assert.equal(received.isWhole, true);
    // The parts took more than the credit that was left, so what follows waits.
    assert.deepEqual(client.frames, []);
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 200_000 });
    assert.deepEqual(await client.texts(), ["third"]);
  });

  test("that is rolled back half-way comes again from its beginning", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world, { autoCommitAcks: false });
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { credits: 50_000 });
    const half = await takeLarge(client);
    assert.deepEqual([half.isWhole, half.partSizes.length], [false, 1]);
    client.send(packets.sessionStop, 10, {});
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: true });
    await client.expect(packets.nullResponse);
    await client.expect(packets.nullResponse);
    client.send(packets.sessionStart, 10, {});
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 1_000_000 });
    const again = await takeLarge(client);
    assert.deepEqual([again.isWhole, again.deliveryCount], [true, 2]);
    assert.equal(again.body.length, 300_000);
  });

  test("stands still while its session is stopped", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { credits: 1 });
    client.frames.length = 0;
    client.send(packets.sessionStop, 10, {});
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 1_000_000 });
    assert.deepEqual(await client.names(), ["NULL_RESPONSE"]);
    client.send(packets.sessionStart, 10, {});
    assert.equal((await client.names()).length, 3);
  });

  test("goes to another consumer when the first one closes half-way", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { credits: 1 });
    client.send(packets.consumerClose, 10, { consumerId: 0 });
    await client.settle();
    assert.deepEqual(await client.names(), ["SESS_RECEIVE_LARGE_MSG", "NULL_RESPONSE"]);
    await client.consume("q", { consumerId: 1 });
    assert.equal((await takeLarge(client)).isWhole, true);
  });

  test("goes on when its message is settled or deleted half-way, and is gone then", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { credits: 1 });
    const head = await takeLarge(client);
    client.acknowledge(head.messageId);
    await client.expect(packets.nullResponse);
    assert.equal(broker.queues()[0]?.messageCount, 0);
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 1_000_000 });
    assert.deepEqual(await client.names(), [
      "SESS_RECEIVE_CONTINUATION",
      "SESS_RECEIVE_CONTINUATION",
      "SESS_RECEIVE_CONTINUATION",
    ]);
  });

  test("is whole for browsers and for sessions that acknowledge beforehand", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(150_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { browseOnly: true });
    assert.equal((await takeLarge(client)).body.length, 150_000);
    const other = await TestClient.open(world, { name: "other", preAcknowledge: true });
    await other.consume("q");
    assert.equal((await takeLarge(other)).body.length, 150_000);
    assert.equal(broker.queues()[0]?.messageCount, 0);
  });

  test("comes whole before the answer to a forced delivery", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(150_000));
    await client.expect(packets.nullResponse);
    await client.consume("q", { credits: 1 });
    client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 5 });
    await client.settle();
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 1_000_000 });
    assert.deepEqual(await client.names(), [
      "SESS_RECEIVE_LARGE_MSG",
      "SESS_RECEIVE_CONTINUATION",
      "SESS_RECEIVE_CONTINUATION",
      "SESS_RECEIVE_MSG",
    ]);
  });

  test("lies once in the journal for all queues of its address, and is whole after a crash", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ address: "t", queueName: "a", routingType: 0 });
    await client.createQueue({ address: "t", queueName: "b", routingType: 0 });
    const body = largeBytes(700_000);
    sendLarge(client, body, { address: "t" });
    await client.expect(packets.nullResponse);
    const queue = broker.queues().find((one) => one.name === "a");
    assert.ok((queue?.messageCount ?? 0) === 1);
    await crashAndRestart(world);
    const again = await TestClient.open(world);
    await again.consume("a");
    const first = await takeLarge(again);
    assert.ok(Buffer.from(first.body).equals(body));
    again.acknowledge(first.messageId);
    await again.expect(packets.nullResponse);
    await again.consume("b", { consumerId: 1 });
    assert.ok(Buffer.from((await takeLarge(again)).body).equals(body));
  });

  test("that is not durable is delivered like any other, and is gone after a crash", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    const body = largeBytes(700_000);
    sendLarge(client, body, { durable: false });
    await client.expect(packets.nullResponse);
    await client.consume("q");
    assert.ok(Buffer.from((await takeLarge(client)).body).equals(body));
    const broker = await crashAndRestart(world);
    assert.equal(broker.queues()[0]?.messageCount, 0);
  });

  test("goes to the dead-letter address as a whole", async () => {
    const { world } = await startBroker({
      addressSettings: { "#": { deadLetterAddress: "dead", maxDeliveryAttempts: 1 } },
    });
    const client = await TestClient.open(world, { autoCommitAcks: false });
    await client.createQueue();
    await client.createQueue({ queueName: "dead" });
    const body = largeBytes(200_000);
    sendLarge(client, body);
    await client.expect(packets.nullResponse);
    await client.consume("q");
    const { messageId } = await takeLarge(client);
    client.acknowledge(messageId);
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await client.expect(packets.nullResponse);
    await client.expect(packets.nullResponse);
    await client.consume("dead", { consumerId: 1 });
    const received = await takeLarge(client);
    assert.ok(Buffer.from(received.body).equals(body));
    assert.deepEqual(received.properties.get("_AMQ_ORIG_QUEUE"), { type: "string", value: "q" });
  });

  test("is chosen by selectors and expires by what its headers say", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    const colour = (value: string): LargeColour => ({ colour: { type: "string", value } });
    sendLarge(client, largeBytes(100_001, 1), { properties: colour("red") });
    sendLarge(client, largeBytes(100_002, 2), { properties: colour("blue") });
    sendLarge(client, largeBytes(100_003, 3), { expiration: world.nowMs + 1_000 });
    await client.settle();
    client.frames.length = 0;
    await world.pass(2_000);
    await client.consume("q", { filter: "colour = 'blue'" });
    assert.equal((await takeLarge(client)).body.length, 100_002);
    await client.consume("q", { consumerId: 1 });
    assert.equal((await takeLarge(client)).body.length, 100_001);
    assert.equal(broker.queues().find((one) => one.name === "q")?.messageCount, 2);
  });
});

describe("large messages of a transaction", () => {
  test("come with its commit, and not after a rollback", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world, { autoCommitSends: false });
    await client.createQueue();
    const body = largeBytes(300_000);
    sendLarge(client, body);
    client.post(messageOf("q", { text: "beside" }));
    await client.settle();
    client.frames.length = 0;
    client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
    await client.expect(packets.nullResponse);
    sendLarge(client, body);
    sendLarge(client, body, { durable: false });
    client.post(messageOf("q", { text: "beside" }));
    await client.settle();
    client.frames.length = 0;
    assert.equal(broker.queues()[0]?.messageCount, 0);
    client.send(packets.commit, 10, { correlationId: null });
    await client.expect(packets.nullResponse);
    assert.equal(broker.queues()[0]?.messageCount, 3);
    await client.consume("q");
    for (let count = 0; count < 2; count += 1) {
      assert.ok(Buffer.from((await takeLarge(client)).body).equals(body));
    }
    assert.deepEqual(await client.names(), ["SESS_RECEIVE_MSG"]);
  });
});

describe("an upload", () => {
  test("of one session mixes with those of others", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createSession({ name: "second", sessionChannelId: 11 });
    client.frames.length = 0;
    await client.createQueue();
    const bodies = [largeBytes(300_000, 1), largeBytes(300_000, 2)];
    [10, 11].forEach((channelId) => beginLarge(client, {}, channelId));
    for (let start = 0; start < 300_000; start += 100_000) {
      bodies.forEach((body, index) => {
        const size = start === 200_000 ? body.length : undefined;
        sendPart(client, body.subarray(start, start + 100_000), size, 10 + index);
      });
      // What is small goes through between two parts.
      client.post(messageOf("q", { text: String(start) }));
    }
    await client.settle();
    assert.equal(client.frames.length, 5);
    client.frames.length = 0;
    await client.consume("q");
    const small = client.frames.filter((one) => one.name === "SESS_RECEIVE_MSG");
    assert.equal(small.length, 3);
    for (const one of small) client.frames.splice(client.frames.indexOf(one), 1);
    for (const body of bodies) {
      assert.ok(Buffer.from((await takeLarge(client)).body).equals(body));
    }
  });

  test("that finds the disk full is refused at its end, and what had come of it is given up", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    beginLarge(client);
    for (let part = 0; part < 5; part += 1) sendPart(client, largeBytes(100_000));
    await client.settle();
    world.disk.free = 0;
    for (let part = 0; part < 20; part += 1) {
      sendPart(client, largeBytes(100_000));
      await client.settle();
    }
    client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
    await client.expect(packets.producerCredits);
    sendPart(client, largeBytes(10), 2_500_010);
    assert.equal((await client.expect(packets.exception)).code, 210);
    assert.equal(broker.queues()[0]?.messageCount, 0);
    world.disk.free = Number.MAX_SAFE_INTEGER;
    await world.pass(2_000);
    sendLarge(client, largeBytes(200_000));
    await client.expect(packets.nullResponse);
  });

  test("above the limit for large messages is refused at its end", async () => {
    const { world } = await startBroker({ largeMessageBytesMax: 250_000 });
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(300_000));
    assert.equal((await client.expect(packets.exception)).code, 999);
    sendLarge(client, largeBytes(200_000));
    await client.expect(packets.nullResponse);
  });

  test("with a duplicate id that is known is taken, and goes nowhere", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    const properties = { _AMQ_DUPL_ID: { type: "string", value: "one" } } as const;
    sendLarge(client, largeBytes(200_000), { properties });
    sendLarge(client, largeBytes(200_000), { properties });
    await client.settle();
    assert.equal(broker.queues()[0]?.messageCount, 1);
  });

  test("whose client goes leaves nothing", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, largeBytes(200_000));
    beginLarge(client);
    sendPart(client, largeBytes(200_000));
    await client.settle();
    client.socket.close();
    await world.settle();
    await crashAndRestart(world);
    assert.equal(broker.queues()[0]?.messageCount, 1);
  });
});

interface LargeColour {
  readonly [name: string]: { readonly type: "string"; readonly value: string };
}
