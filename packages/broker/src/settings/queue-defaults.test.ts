import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";

const addressSettings = {
  "a.#": {
    defaultMaxConsumers: 2,
    defaultPurgeOnNoConsumers: true,
    defaultExclusiveQueue: true,
    defaultRingSize: 5,
    defaultLastValueKey: "key",
    defaultConsumerWindowSize: 1_000,
    autoDeleteQueuesDelay: 7,
  },
  "b.#": { defaultQueueRoutingType: "anycast", defaultAddressRoutingType: "anycast" },
} as const;

describe("what nobody says of a queue", () => {
  it("comes from the settings of its address, and stays when these change", async () => {
    const { world } = await startBroker({ addressSettings });
    const client = await TestClient.open(world);
    await client.createQueue({ address: "a.b", queueName: "q", exclusive: false });
    await crashAndRestart(world, {});
    const { exclusive, ringSize, lastValueKey, autoDeleteDelay, groupBuckets } = await query(
      await TestClient.open(world),
      "q",
    );
    assert.deepEqual(
      { exclusive, ringSize, lastValueKey, autoDeleteDelay, groupBuckets },
      { exclusive: false, ringSize: 5, lastValueKey: "key", autoDeleteDelay: 7, groupBuckets: -1 },
    );
  });

  it("is told of queues that do not exist, and of addresses", async () => {
    const { world } = await startBroker({ addressSettings });
    const client = await TestClient.open(world);
    const could = await query(client, "a.b");
    assert.equal(could.exists, false);
    assert.equal(could.maxConsumers, 2);
    assert.equal(could.purgeOnNoConsumers, true);
    assert.equal(could.exclusive, true);
    assert.equal(could.defaultConsumerWindowSize, 1_000);
    client.send(packets.bindingQuery, 10, { address: "a.b" });
    const address = await client.expect(packets.bindingQueryResponseV5);
    assert.equal(address.defaultMaxConsumers, 2);
    assert.equal(address.defaultLastValueKey, "key");
    assert.equal(address.defaultExclusive, true);
  });

  it("is given to queues that a send creates", async () => {
    const { world } = await startBroker({ addressSettings });
    const client = await TestClient.open(world);
    await client.publish("a.b", "creates a queue");
    const { maxConsumers, purgeOnNoConsumers, exclusive } = await query(client, "a.b");
    assert.deepEqual(
      { maxConsumers, purgeOnNoConsumers, exclusive },
      { maxConsumers: 2, purgeOnNoConsumers: true, exclusive: true },
    );
  });

  it("includes the routing type", async () => {
    const { world } = await startBroker({ addressSettings });
    const client = await TestClient.open(world);
    await client.createQueue({ address: "b.c", queueName: "q", routingType: 255 });
    assert.equal((await query(client, "q")).routingType, 1);
    await client.createQueue({ address: "c", queueName: "r", routingType: 255 });
    assert.equal((await query(client, "r")).routingType, 0);
  });
});

async function query(client: TestClient, queueName: string) {
  client.send(packets.queueQuery, 10, { queueName });
  return client.expect(packets.queueQueryResponseV3);
}
