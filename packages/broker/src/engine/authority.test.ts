import assert from "node:assert/strict";
import { test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

interface Governed {
  readonly world: ManualWorld;
  readonly broker: Broker;
  readonly client: TestClient;
  readonly authority: { mayDispatch: boolean; mayTake: boolean };
}

/** A broker with a queue, and a client that may be told what it may not do. */
async function governed(): Promise<Governed> {
  const authority = { mayDispatch: true, mayTake: true };
  const { world, broker } = await startBroker({}, undefined, { authority });
  const client = await TestClient.open(world);
  await client.createQueue();
  return { world, broker, client, authority };
}

test("nothing is handed out while that may not be, and everything when it may be again", async () => {
  const { broker, client, authority } = await governed();
  await client.consume("q");
  authority.mayDispatch = false;
  await client.publish("q", "a");
  await client.publish("q", "b");
  assert.deepEqual(await client.texts(), []);
  // What nobody needs authority for goes on: both sends were applied.
  assert.equal(broker.queues()[0]?.messageCount, 2);
  authority.mayDispatch = true;
  broker.authorityChanged();
  assert.deepEqual(await client.texts(), ["a", "b"]);
});

test("a queue that is deleted while its messages are withheld harms nobody", async () => {
  const { world, broker, client, authority } = await governed();
  authority.mayDispatch = false;
  await client.consume("q");
  await client.publish("q", "a");
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.expect(packets.nullResponse);
  client.send(packets.deleteQueue, 10, { queueName: "q" });
  await client.expect(packets.nullResponse);
  assert.deepEqual(broker.queues(), []);
  authority.mayDispatch = true;
  broker.authorityChanged();
  await world.settle();
  broker.assertInvariants();
});

test("requests stay unread while none may be taken", async () => {
  const { world, broker, client, authority } = await governed();
  authority.mayTake = false;
  broker.authorityChanged();
  client.post(messageOf("q", { text: "a" }), 1);
  assert.deepEqual(await client.names(), []);
  assert.equal(broker.queues()[0]?.messageCount, 0);
  authority.mayTake = true;
  broker.authorityChanged();
  await client.expect(packets.nullResponse);
  assert.equal(broker.queues()[0]?.messageCount, 1);
  await world.settle();
});
