import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import { Confirmations, RecreationGrammar, type RecreationStep } from "./confirmations.ts";

/** A session whose window is so small that every counted packet is confirmed at once. */
async function windowedClient(): Promise<TestClient> {
  const { world } = await startBroker();
  return TestClient.open(world, { confirmationWindowSize: 1 });
}

test("every counted packet is confirmed once its effect is committed", async () => {
  const client = await windowedClient();
  await client.createQueue();
  assert.equal((await client.expect(packets.packetsConfirmed)).commandId, 0);
  client.world.disk.holdsWrites = true;
  client.post(messageOf("q"), 1);
  client.send(packets.sessionStart, 10, {});
  assert.deepEqual(await client.names(), []);
  client.world.disk.releaseWrites();
  const names = await client.names();
  assert.deepEqual(names, ["NULL_RESPONSE", "PACKETS_CONFIRMED", "PACKETS_CONFIRMED"]);
});

test("an error is sent before the confirmation that covers its request, which counts as well", async () => {
  const client = await windowedClient();
  client.send(packets.deleteQueue, 10, { queueName: "missing" });
  await client.expect(packets.exception);
  assert.equal((await client.expect(packets.packetsConfirmed)).commandId, 0);
});

test("a confirmation that is not due is sent with the next ping", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { confirmationWindowSize: 100_000 });
  client.send(packets.sessionStart, 10, {});
  client.send(packets.createProducer, 10, { producerId: 1, address: null });
  assert.deepEqual(await client.names(), []);
  client.send(packets.ping, 0, { connectionTtl: 60_000 });
  assert.equal((await client.expect(packets.packetsConfirmed)).commandId, 1);
  await client.expect(packets.ping);
  client.send(packets.ping, 0, { connectionTtl: 60_000 });
  assert.deepEqual(await client.names(), ["PING"]);
});

test("a confirmation that is not due is sent within the check interval, and before a close is answered", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world, { confirmationWindowSize: 100_000 });
  client.send(packets.sessionStart, 10, {});
  await world.pass(2_100);
  assert.deepEqual(await client.names(), ["PACKETS_CONFIRMED"]);
  client.send(packets.sessionClose, 10, {});
  assert.equal((await client.expect(packets.packetsConfirmed)).commandId, 1);
  await client.expect(packets.nullResponse);
});

test("metadata counts only when it wants an answer", async () => {
  const client = await windowedClient();
  const pair = { key: "a", data: "b" };
  client.send(packets.addMetadataV2, 10, { ...pair, requiresConfirmation: false });
  client.send(packets.addMetadata, 10, pair);
  assert.deepEqual(await client.names(), ["NULL_RESPONSE"]);
  client.send(packets.addMetadataV2, 10, { ...pair, requiresConfirmation: true });
  assert.deepEqual(await client.names(), ["NULL_RESPONSE", "PACKETS_CONFIRMED"]);
});

test("a session without a window is never sent a confirmation", async () => {
  const { world } = await startBroker();
  const client = await TestClient.open(world);
  await client.createQueue();
  await client.publish("q", "a");
  await world.pass(5_000);
  assert.deepEqual(await client.names(), []);
});

/** Sends what a Java client sends, unrecorded, while it re-creates a session. */
function recreate(client: TestClient): void {
  const queue = { address: "q", queueName: "q", filter: null, durable: true, temporary: false };
  client.send(packets.createQueue, 10, { ...queue, requiresResponse: false });
  client.send(packets.createConsumer, 10, {
    consumerId: 0,
    queueName: "q",
    filter: null,
    browseOnly: false,
    requiresResponse: false,
    priority: 0,
  });
  client.send(packets.flowToken, 10, { consumerId: 0, credits: 1000 });
  client.send(packets.sessionStart, 10, {});
}

test("what a client does not record while it re-creates a session is not counted", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.subscribe();
  client.send(packets.reattachSession, 1, { name: "lost", lastConfirmedCommandId: 5 });
  await client.createSession({ confirmationWindowSize: 1 });
  client.frames.length = 0;
  recreate(client);
  assert.deepEqual(await client.names(), []);
  client.send(packets.producerRequestCredits, 10, { credits: 65_536, address: "q" });
  const names = await client.names();
  assert.deepEqual(names.sort(), ["PACKETS_CONFIRMED", "SESS_PRODUCER_CREDITS"]);
});

test("the same packets count in a session that does not follow a refused reattachment", async () => {
  const { world } = await startBroker();
  const client = new TestClient(world);
  await client.subscribe();
  client.send(packets.reattachSession, 1, { name: "lost", lastConfirmedCommandId: 5 });
  client.send(packets.checkForFailover, 1, { nodeId: null });
  await client.createSession({ confirmationWindowSize: 1 });
  client.frames.length = 0;
  recreate(client);
  const names = await client.names();
  assert.equal(names.filter((name) => name === "PACKETS_CONFIRMED").length, 4);
});

const grammarCases: readonly (readonly [steps: readonly RecreationStep[], excluded: number])[] = [
  [["start", "other"], 1],
  [["createConsumer", "credits", "start", "start"], 3],
  [["createQueue", "createConsumer", "credits", "createConsumer", "credits", "start"], 6],
  [["createConsumer", "credits", "forceDelivery", "createConsumer", "credits", "other"], 5],
  [["createConsumer", "credits", "forceDelivery", "forceDelivery"], 3],
  [["createConsumer", "forceDelivery", "start"], 1],
  [["createQueue", "createQueue"], 1],
  [["createQueue", "start"], 1],
  [["transactionFailed", "start", "credits"], 2],
  [["transactionFailed", "transactionFailed"], 1],
  [["other", "start"], 0],
  [["credits"], 0],
];

for (const [steps, excluded] of grammarCases) {
  test(`of the packets ${steps.join(", ")} the first ${excluded} are not counted`, () => {
    const grammar = new RecreationGrammar();
    let count = 0;
    for (const step of steps) {
      if (grammar.isOver || !grammar.excludes(step)) break;
      count += 1;
    }
    assert.equal(count, excluded);
  });
}

test("a confirmation is due when the counted bytes reach the window", () => {
  const confirmations = new Confirmations(100);
  assert.equal(confirmations.count(60), false);
  assert.equal(confirmations.pending, true);
  assert.equal(confirmations.count(40), true);
  assert.equal(confirmations.take(), 1);
  assert.equal(confirmations.pending, false);
  assert.equal(confirmations.count(60), false);
});
