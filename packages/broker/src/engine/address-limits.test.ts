import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import type { SomeSettings } from "../settings/setting-table.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";

/** A broker with these settings, and a client with the queue `q`. */
async function setUp(
  settings: SomeSettings,
): Promise<Awaited<ReturnType<typeof startBroker>> & { client: TestClient }> {
  const started = await startBroker({ addressSettings: { "#": settings } });
  const client = await TestClient.open(started.world);
  await client.createQueue();
  return { ...started, client };
}

/** Messages of the queue `q`. */
function depth(broker: { queues(): readonly { name: string; messageCount: number }[] }): number {
  return broker.queues().find(({ name }) => name === "q")?.messageCount ?? -1;
}

/** Sends and takes the answer: its packet, and for a refusal its code. */
async function answer(client: TestClient, message: Uint8Array): Promise<string> {
  client.post(message);
  await client.settle();
  const frame = client.frames.shift();
  assert.ok(frame !== undefined);
  if (frame.name !== "EXCEPTION") return frame.name;
  return `EXCEPTION ${client.decode(packets.exception, frame).code}`;
}

const body = new Uint8Array(1000);
const kilobyte = messageOf("q", { body });

describe("a full address", () => {
  it("takes and drops what is sent to it with the policy drop, and says so once", async () => {
    const { world, broker, client } = await setUp({
      maxSizeMessages: 2,
      addressFullPolicy: "drop",
    });
    for (let index = 0; index < 5; index += 1) {
      assert.equal(await answer(client, kilobyte), "NULL_RESPONSE");
    }
    assert.equal(depth(broker), 2);
    assert.equal(warnings(world).length, 1);
    client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
    await client.expect(packets.producerCredits);
    // With room again it takes them again, and would say anew that it is full.
    await client.consume("q");
    const deliveries = await client.deliveries();
    for (const { messageId } of deliveries) client.acknowledge(messageId, 0, false);
    await client.settle();
    for (let index = 0; index < 4; index += 1) await answer(client, kilobyte);
    assert.equal(depth(broker), 2);
    assert.equal(warnings(world).length, 2);
  });

  it("holds after a crash what it took, and not what it dropped", async () => {
    const settings = { maxSizeMessages: 1, addressFullPolicy: "drop" } as const;
    const { world, client } = await setUp(settings);
    await client.publish("q", "kept");
    await client.publish("q", "dropped", {
      properties: { _AMQ_DUPL_ID: { type: "string", value: "mine" } },
    });
    const again = await crashAndRestart(world, { addressSettings: { "#": settings } });
    assert.equal(depth(again), 1);
  });

  it("refuses sends with the policy fail, counted in messages too", async () => {
    const { broker, client } = await setUp({ maxSizeMessages: 2, addressFullPolicy: "fail" });
    const answers: string[] = [];
    for (let index = 0; index < 3; index += 1) answers.push(await answer(client, kilobyte));
    assert.deepEqual(answers, ["NULL_RESPONSE", "NULL_RESPONSE", "EXCEPTION 210"]);
    assert.equal(depth(broker), 2);
  });

  it("gives no credit with the policy block, and refuses sends only above its threshold", async () => {
    const { client } = await setUp({ maxSizeBytes: 500, maxSizeBytesRejectThreshold: 2500 });
    const answers: string[] = [];
    for (let index = 0; index < 4; index += 1) answers.push(await answer(client, kilobyte));
    assert.deepEqual(answers, ["NULL_RESPONSE", "NULL_RESPONSE", "NULL_RESPONSE", "EXCEPTION 210"]);
    client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
    assert.deepEqual(await client.names(), []);
  });

  it("goes on as if nothing were with the policy page", async () => {
    const { broker, client } = await setUp({ maxSizeBytes: 100, addressFullPolicy: "page" });
    for (let index = 0; index < 3; index += 1) {
      assert.equal(await answer(client, kilobyte), "NULL_RESPONSE");
    }
    client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
    await client.expect(packets.producerCredits);
    assert.equal(depth(broker), 3);
  });

  it("fails or drops what a transaction sends as its policy says", async () => {
    for (const addressFullPolicy of ["drop", "fail"] as const) {
      const { world, broker, client } = await setUp({ maxSizeMessages: 1, addressFullPolicy });
      await client.publish("q", "fills it");
      const transacted = await TestClient.open(world, { autoCommitSends: false });
      transacted.post(kilobyte);
      transacted.post(kilobyte, 2);
      transacted.send(packets.commit, 10, { correlationId: 3 });
      await transacted.settle();
      const last = transacted.frames.at(-1);
      assert.equal(last?.name, addressFullPolicy === "drop" ? "NULL_RESPONSE" : "EXCEPTION");
      assert.equal(depth(broker), 1);
    }
  });

  it("counts what it drops of a transaction when that is committed, each message once", async () => {
    const { world, broker, client } = await setUp({
      maxSizeMessages: 1,
      addressFullPolicy: "drop",
    });
    const dropped = (): unknown => broker.management.read("address.q", "DroppedMessageCount").value;
    await client.publish("q", "fills it");
    await client.createQueue({ queueName: "other" });
    const transacted = await TestClient.open(world, { autoCommitSends: false });
    // Too much for one record group, so it is looked at once more for its pieces.
    const large = new Uint8Array(90_000);
    for (const address of ["q", ...Array.from({ length: 12 }, () => "other"), "q"]) {
      transacted.post(messageOf(address, { body: large }), 0, false);
    }
    await transacted.settle();
    assert.equal(dropped(), 0);
    transacted.send(packets.commit, 10, { correlationId: 3 });
    await transacted.expect(packets.nullResponse);
    assert.equal(dropped(), 2);
    assert.equal(broker.management.read("address.q", "UnRoutedMessageCount").value, 0);
  });
});

function warnings(world: ManualWorld): readonly string[] {
  return world.logged("warn").filter((line) => line.includes("are dropped"));
}

/** So many sessions on few connections, in the order in which they ask. */
async function manySessions(
  world: ManualWorld,
  count: number,
): Promise<{ client: TestClient; channel: number }[]> {
  const all: { client: TestClient; channel: number }[] = [];
  let client: TestClient | undefined;
  for (let index = 0; index < count; index += 1) {
    const channel = 10 + (index % 100);
    if (client === undefined || channel === 10)
      client = await TestClient.open(world, { name: `s${index}` });
    else await client.createSession({ name: `s${index}`, sessionChannelId: channel });
    client.frames.length = 0;
    all.push({ client, channel });
  }
  return all;
}

describe("producers that wait for room at an address", () => {
  const wanted = 2000;
  const message = messageOf("q", { body: new Uint8Array(1800) });

  it("get credit in the order in which they asked, as much as there is room for, a thousand of them", async () => {
    const maxSizeBytes = 100_000;
    const { world, broker, client } = await setUp({ maxSizeBytes });
    while (depth(broker) * message.length < maxSizeBytes) await answer(client, message);
    const sessions = await manySessions(world, 1000);
    for (const { client: asking, channel } of sessions) {
      asking.send(packets.producerRequestCredits, channel, { credits: wanted, address: "q" });
      await asking.settle();
    }
    const keys = new Map(sessions.map((one, index) => [one, index]));
    const consumer = await TestClient.open(world, { name: "consumer" });
    await consumer.consume("q", { credits: 2 * message.length });
    const served: number[] = [];
    let most = 0;
    for (let round = 0; served.length < sessions.length && round < 5000; round += 1) {
      // Two are consumed at a time.
      const deliveries = await consumer.deliveries();
      for (const { messageId } of deliveries) consumer.acknowledge(messageId, 0, false);
      consumer.send(packets.flowToken, 10, { consumerId: 0, credits: 2 * message.length });
      await consumer.world.settle();
      for (const session of sessions) {
        if (session.client.socket.received.length === 0) continue;
        await session.client.settle();
        for (const frame of session.client.frames.splice(0)) {
          if (frame.name !== "SESS_PRODUCER_CREDITS") continue;
          const found = sessions.findIndex(
            (one) => one.client === session.client && one.channel === frame.channelId,
          );
          served.push(found);
          // Whoever has credit uses it, for one message.
          session.client.post(message, 1, false, frame.channelId);
        }
      }
      await world.pass(5);
      most = Math.max(most, depth(broker));
    }
    assert.equal(keys.size, 1000);
    assert.deepEqual(
      served,
      served.map((_, index) => index),
      "in the order of their requests",
    );
    assert.equal(served.length, 1000);
    assert.ok(most * message.length <= maxSizeBytes + message.length + wanted, `${most} messages`);
  });

  it("are served in turn, however much each of them wants", async () => {
    const { world, broker, client } = await setUp({ maxSizeBytes: 10_000 });
    while (depth(broker) * message.length < 10_000) await answer(client, message);
    const [large, small, last] = await manySessions(world, 3);
    assert.ok(large !== undefined && small !== undefined && last !== undefined);
    for (const [session, credits] of [
      [large, 1_000_000],
      [small, 100],
      [last, 1_000_000],
    ] as const) {
      session.client.send(packets.producerRequestCredits, session.channel, {
        credits,
        address: "q",
      });
    }
    await client.consume("q", { credits: 1 });
    const order: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const [delivery] = await client.deliveries();
      assert.ok(delivery !== undefined);
      client.acknowledge(delivery.messageId, 0, false);
      await world.settle();
      await large.client.settle();
      order.push(...large.client.frames.splice(0).map(({ channelId }) => channelId));
      // Nobody uses what was granted: after a second the next one's turn comes.
      await world.pass(1500);
      client.send(packets.flowToken, 10, { consumerId: 0, credits: 5000 });
      await client.settle();
    }
    assert.deepEqual(order, [large.channel, small.channel, last.channel]);
  });

  it("are forgotten with their session, and others take their place", async () => {
    const { world, client } = await setUp({ maxSizeBytes: 1000 });
    await answer(client, message);
    const gone = await TestClient.open(world, { name: "gone" });
    gone.send(packets.producerRequestCredits, 10, { credits: wanted, address: "q" });
    await gone.settle();
    const stays = await TestClient.open(world, { name: "stays" });
    stays.send(packets.producerRequestCredits, 10, { credits: wanted, address: "q" });
    await stays.settle();
    gone.socket.close();
    await world.settle();
    await client.consume("q");
    const { messageId } = await client.delivery();
    client.acknowledge(messageId, 0, false);
    assert.equal((await stays.expect(packets.producerCredits)).credits, wanted);
  });

  it("are refused at an address with the policy fail, and wait at others", async () => {
    const { world } = await startBroker({
      addressSettings: {
        "#": { maxSizeBytes: 1000 },
        strict: { addressFullPolicy: "fail" },
      },
    });
    const client = await TestClient.open(world);
    for (const address of ["q", "strict"]) {
      await client.createQueue({ address, queueName: address });
      await client.publish(address, "x".repeat(2000));
      client.send(packets.producerRequestCredits, 10, { credits: 10, address });
    }
    const failed = await client.expect(packets.producerFailCredits);
    assert.equal(failed.address, "strict");
    assert.deepEqual(await client.names(), []);
  });
});
