import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

async function openClient(options: Parameters<typeof startBroker>[0] = {}) {
  const { world, broker } = await startBroker(options);
  return { world, broker, client: await TestClient.open(world) };
}

function counts(broker: Broker): Record<string, number> {
  return Object.fromEntries(broker.queues().map((queue) => [queue.name, queue.messageCount]));
}

const multicast = { routingType: 0 } as const;

describe("a wildcard address", () => {
  it("gets what is sent to the addresses that it stands for, and nothing else", async () => {
    const { world, broker, client } = await openClient();
    for (const name of ["news.#", "news.*.eu", "#", "news.sport.eu"]) {
      await client.createQueue({ address: name, queueName: `on ${name}`, ...multicast });
    }
    const sent = ["news", "news.sport", "news.sport.eu", "news.a.b.eu", "weather.eu", "newspaper"];
    for (const address of sent) await client.publish(address, address, { routing: 0 });
    const expected = { "on news.#": 4, "on news.*.eu": 1, "on #": 6, "on news.sport.eu": 1 };
    assert.deepEqual(counts(broker), expected);
    assert.deepEqual(counts(await crashAndRestart(world)), expected);
    const again = await TestClient.open(world);
    await again.publish("news.sport.eu", "after the restart", { routing: 0 });
    await again.consume("on news.*.eu");
    const found = await again.deliveries();
    assert.deepEqual(
      found.map((one) => one.address),
      ["news.sport.eu", "news.sport.eu"],
    );
  });

  it("is heard from its creation until its end, by producers that send on as well", async () => {
    const { broker, client } = await openClient();
    await client.createQueue({ queueName: "a.b", ...multicast });
    await client.publish("a.b", "before", { routing: 0 });
    await client.createQueue({ address: "a.*", queueName: "wild", ...multicast });
    await client.publish("a.b", "meanwhile", { routing: 0 });
    client.send(packets.deleteQueue, 10, { queueName: "wild" });
    await client.expect(packets.nullResponse);
    await client.publish("a.b", "after", { routing: 0 });
    assert.deepEqual(counts(broker), { "a.b": 3 });
    await client.createQueue({ address: "a.*", queueName: "wild", ...multicast });
    await client.publish("a.b", "again", { routing: 0 });
    assert.deepEqual(counts(broker), { "a.b": 4, wild: 1 });
  });

  it("stands for no other one: a send to its name goes to its own queues", async () => {
    const { broker, client } = await openClient();
    await client.createQueue({ address: "a.*", queueName: "star", ...multicast });
    await client.createQueue({ address: "a.#", queueName: "hash", ...multicast });
    await client.publish("a.*", "by name", { routing: 0 });
    assert.deepEqual(counts(broker), { star: 1, hash: 0 });
  });

  it("with anycast queues gives each message to one of them", async () => {
    const { broker, client } = await openClient();
    for (const queueName of ["one", "two"]) {
      await client.createQueue({ address: "orders.*", queueName });
    }
    for (let count = 0; count < 4; count += 1) {
      await client.publish("orders.eu", "order", { routing: 1 });
    }
    assert.deepEqual(counts(broker), { one: 2, two: 2, "orders.eu": 4 });
    await client.publish("orders.eu", "for subscribers", { routing: 0 });
    assert.deepEqual(counts(broker), { one: 2, two: 2, "orders.eu": 4 });
  });

  it("has filters, and its queues take what a transaction commits, once", async () => {
    const { world, broker, client } = await openClient();
    await client.createQueue({
      address: "a.#",
      queueName: "reds",
      filter: "color = 'red'",
      ...multicast,
    });
    await client.createQueue({ queueName: "a.b", ...multicast });
    const other = await TestClient.open(world, { autoCommitSends: false });
    const properties = {
      color: { type: "string", value: "red" },
      _AMQ_DUPL_ID: { type: "string", value: "1" },
    } as const;
    const red = { routing: 0, properties };
    other.post(messageOf("a.b", red), 2, false);
    other.send(packets.commit, 10, { correlationId: 5 });
    await other.expect(packets.nullResponse);
    client.post(messageOf("a.b", red), 3);
    await client.settle();
    await client.publish("a.b", "colourless", { routing: 0 });
    assert.deepEqual(counts(broker), { reds: 1, "a.b": 2 });
  });

  it("that is full holds back those who send to it by other names", async () => {
    const { client } = await openClient({
      addressSettings: { "a.#": { maxSizeBytes: 100, addressFullPolicy: "fail" } },
    });
    await client.createQueue({ address: "a.*", queueName: "wild", ...multicast });
    await client.publish("a.b", "fills the address".repeat(10), { routing: 0 });
    client.send(packets.producerRequestCredits, 10, { credits: 1_000, address: "a.b" });
    assert.deepEqual(await client.names(), ["SESS_PRODUCER_FAIL_CREDITS"]);
    client.post(messageOf("a.b", { routing: 0 }), 4);
    assert.equal((await client.expect(packets.exception)).code, 210);
  });
});
