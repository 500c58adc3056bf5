import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { packets, propertyNames } from "@everhold/wire";

import { limits } from "../limits.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { largeBytes, sendLarge, takeLarge } from "../testing/large-client.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import { XaClient } from "../testing/xa-client.test-support.ts";

const body = largeBytes(300_000);

/** That the next thing a new consumer of a queue gets is the large message. */
async function assertIn(client: TestClient, queueName: string, consumerId: number): Promise<void> {
  await client.consume(queueName, { consumerId });
  const received = await takeLarge(client);
  assert.equal(received.isWhole, true);
  assert.ok(Buffer.from(received.body).equals(body));
}

/** Sends in a transaction what it keeps in the journal, for it is more than may be in memory. */
async function sendMuch(client: TestClient): Promise<void> {
  const much = new Uint8Array(Math.ceil(limits.transactionHeldBytesMax / 20));
  for (let index = 0; index < 30; index += 1) {
    client.post(messageOf("q", { body: much }), 0, false);
    await client.settle();
  }
}

/** Takes the large message that is first, fails at it, and goes. */
async function failAtFirst(client: TestClient): Promise<void> {
  await client.consume("q", { credits: 200_000, filter: "_AMQ_LARGE_SIZE > 0" });
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 200_000 });
  const received = await takeLarge(client);
  assert.equal(received.isWhole, true);
  client.acknowledge(received.messageId);
  await client.expect(packets.nullResponse);
  client.send(packets.rollback, 10, { considerLastMessageAsDelivered: false });
  await client.expect(packets.nullResponse);
  client.socket.close();
  await client.world.settle();
}

describe("a large message", () => {
  test("is diverted as a whole, once or twice", async () => {
    for (const exclusive of [false, true]) {
      const toB = { address: "q", forwardingAddress: "b", exclusive } as const;
      const { world } = await startBroker({ diverts: { spy: toB } });
      const client = await TestClient.open(world);
      await client.createQueue();
      await client.createQueue({ queueName: "b" });
      sendLarge(client, body);
      await client.expect(packets.nullResponse);
      await crashAndRestart(world, {});
      const again = await TestClient.open(world);
      await again.consume("b");
      const copy = await takeLarge(again);
      assert.equal(copy.properties.get(propertyNames.originalAddress)?.value, "q");
      assert.ok(Buffer.from(copy.body).equals(body));
      if (!exclusive) await assertIn(again, "q", 1);
    }
  });

  test("of a prepared branch is whole after a crash and its commit", async () => {
    for (const withSnapshot of [false, true]) {
      const { world, broker } = await startBroker();
      const plain = await TestClient.open(world);
      await plain.createQueue();
      const xa = await XaClient.open(world);
      await xa.start(1);
      sendLarge(xa.client, body);
      await xa.client.expect(packets.nullResponse);
      assert.equal(await xa.end(1), 0);
      assert.equal(await xa.prepare(1), 0);
      if (withSnapshot) await runUntil(world, broker.snapshotNow());
      await crashAndRestart(world);
      const other = await XaClient.open(world);
      assert.equal(await other.commit(1), 0);
      await crashAndRestart(world);
      await assertIn(await TestClient.open(world), "q", 0);
    }
  });

  test("of a transaction that is kept in pieces comes with its commit", async () => {
    const { world } = await startBroker({ journal: { segmentBytes: 4 * 1024 * 1024 } });
    const client = await TestClient.open(world, { autoCommitSends: false });
    await client.createQueue();
    sendLarge(client, body);
    await sendMuch(client);
    sendLarge(client, body, { durable: false });
    sendLarge(client, body);
    await client.settle();
    client.frames.length = 0;
    client.send(packets.commit, 10, { correlationId: 1 });
    await client.expect(packets.nullResponse);
    const reader = await TestClient.open(world);
    await reader.consume("q");
    const first = await takeLarge(reader);
    assert.ok(Buffer.from(first.body).equals(body));
    const names = await reader.names();
    assert.equal(names.filter((name) => name === "SESS_RECEIVE_LARGE_MSG").length, 2);
    assert.equal(names.filter((name) => name === "SESS_RECEIVE_MSG").length, 30);
  });

  test("is kept by a last-value queue in place of the one before it", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ lastValue: true });
    const properties = { _AMQ_LVQ_NAME: { type: "string", value: "k" } } as const;
    for (const seed of [7, 1]) {
      sendLarge(client, largeBytes(300_000, seed), { properties });
      await client.expect(packets.nullResponse);
    }
    assert.equal(broker.queues()[0]?.messageCount, 1);
    await assertIn(client, "q", 0);
  });

  test("counts with all its bytes until it is gone", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    sendLarge(client, body);
    await client.expect(packets.nullResponse);
    assert.ok((broker.queues()[0]?.bytes ?? 0) >= body.length);
    const { value } = broker.management.invoke("queue.q", "listMessages", [null]);
    const listed = JSON.stringify(await runUntil(world, Promise.resolve(value)));
    assert.match(listed, /size[^0-9]*300\d\d\d\b/);
    assert.ok(listed.length < 2_000, "bodies are not listed");
    await crashAndRestart(world);
    const again = await TestClient.open(world);
    await again.consume("q");
    again.acknowledge((await takeLarge(again)).messageId);
    await again.expect(packets.nullResponse);
    const { broker: last } = await startBroker({}, (world.crash(), world));
    assert.equal(last.queues()[0]?.bytes, 0);
  });

  test("fails, waits, becomes a dead letter, and is retried as a whole, over crashes", async () => {
    for (const redeliveryMode of ["blocking", "nonBlocking"] as const) {
      const settings = { redeliveryDelay: 1_000, redeliveryMode, maxDeliveryAttempts: 2 };
      const options = { addressSettings: { "#": { ...settings, deadLetterAddress: "DLQ" } } };
      const { world, broker } = await startBroker(options);
      const sender = await TestClient.open(world);
      await sender.createQueue();
      sendLarge(sender, body);
      await sender.expect(packets.nullResponse);
      await sender.publish("q", "behind");
      await failAtFirst(await TestClient.open(world, { autoCommitAcks: false }));
      await runUntil(world, broker.snapshotNow());
      await crashAndRestart(world, options);
      const client = await TestClient.open(world, { autoCommitAcks: false });
      await client.consume("q");
      assert.deepEqual(await client.texts(), redeliveryMode === "blocking" ? [] : ["behind"]);
      client.socket.close();
      await world.pass(1_001);
      await failAtFirst(await TestClient.open(world, { autoCommitAcks: false }));
      const again = await crashAndRestart(world, options);
      const { value } = again.management.invoke("queue.DLQ", "retryMessages", []);
      assert.equal(await runUntil(world, Promise.resolve(value)), 1);
      const reader = await TestClient.open(world);
      await reader.consume("q", { filter: "_AMQ_LARGE_SIZE > 0" });
      assert.ok(Buffer.from((await takeLarge(reader)).body).equals(body));
    }
  });
});
