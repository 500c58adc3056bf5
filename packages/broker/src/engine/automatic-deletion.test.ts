import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets } from "@everhold/wire";

import type { BrokerOptions } from "../config.ts";
import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";

const scan = limits.scanIntervalMs;

async function openClient(options: BrokerOptions = {}) {
  const { world, broker } = await startBroker(options);
  return { world, broker, client: await TestClient.open(world) };
}

async function close(client: TestClient): Promise<void> {
  client.send(packets.consumerClose, 10, { consumerId: 0 });
  await client.names();
}

/** Whether there is an address of this name. */
async function isAddress(world: ManualWorld, address: string): Promise<boolean> {
  const client = await TestClient.open(world);
  client.send(packets.bindingQuery, 10, { address });
  const { exists } = await client.expect(packets.bindingQueryResponseV5);
  client.socket.close();
  await world.settle();
  return exists;
}

describe("a queue that goes by itself", () => {
  it("stays for as long as the settings say after its last consumer", async () => {
    const { world, broker, client } = await openClient({
      addressSettings: { "a.#": { autoDeleteQueuesDelay: 10 * scan } },
    });
    await client.createQueue({ queueName: "a.q", autoCreated: true });
    await client.createQueue({ queueName: "soon", autoCreated: true });
    for (const queueName of ["a.q", "soon"]) {
      await client.consume(queueName);
      await close(client);
    }
    await world.pass(3 * scan);
    assert.deepEqual(
      broker.queues().map((queue) => queue.name),
      ["a.q"],
    );
    const other = await TestClient.open(world);
    await other.consume("a.q");
    await close(other);
    await world.pass(9 * scan);
    assert.equal(broker.queues().length, 1);
    await world.pass(3 * scan);
    assert.equal(broker.queues().length, 0);
  });

  it("goes with its messages when it need not be empty", async () => {
    const { world, broker, client } = await openClient();
    const attributes = { autoDelete: true, autoCreated: true };
    const counts = { one: 1, any: -1, none: null } as const;
    for (const [queueName, autoDeleteMessageCount] of Object.entries(counts)) {
      await client.createQueue({ queueName, ...attributes, autoDeleteMessageCount });
      await client.consume(queueName, { credits: 0 });
      await close(client);
      await client.publish(queueName, "first");
    }
    await client.publish("any", "second");
    await world.pass(3 * scan);
    assert.deepEqual(
      broker.queues().map((queue) => queue.name),
      ["none"],
    );
  });

  it("stays when the clock is set back, and goes in the end", async () => {
    const { world, broker, client } = await openClient();
    await client.createQueue({ queueName: "q", autoCreated: true, autoDeleteDelay: 3 * scan });
    await client.consume("q");
    await close(client);
    await world.pass(2 * scan);
    world.nowMs -= 1_000 * scan;
    await world.pass(2 * scan);
    assert.equal(broker.queues().length, 1);
    await world.pass(3 * scan);
    assert.equal(broker.queues().length, 0);
  });
});

describe("an address that goes by itself", () => {
  it("stays for as long as the settings say after its last queue, over a restart too", async () => {
    const options = { addressSettings: { "a.#": { autoDeleteAddressesDelay: 5 * scan } } };
    const { world, client } = await openClient(options);
    for (const queueName of ["a.q", "b"]) {
      await client.createQueue({ queueName });
      client.send(packets.deleteQueue, 10, { queueName });
      await client.names();
    }
    assert.deepEqual([await isAddress(world, "a.q"), await isAddress(world, "b")], [true, false]);
    await crashAndRestart(world, options);
    await world.pass(4 * scan);
    assert.ok(await isAddress(world, "a.q"));
    await world.pass(2 * scan);
    assert.ok(!(await isAddress(world, "a.q")));
  });

  it("stays while it has a queue again, or when it was created by somebody", async () => {
    const { world, client } = await openClient({
      addressSettings: { "#": { autoDeleteAddressesDelay: scan } },
    });
    for (const queueName of ["again", "made"]) {
      if (queueName === "made") {
        const address = { address: "made", routingTypes: [1], autoCreated: false };
        client.send(packets.createAddress, 10, { ...address, requiresResponse: true });
        await client.names();
      }
      await client.createQueue({ queueName });
      client.send(packets.deleteQueue, 10, { queueName });
      await client.names();
    }
    await client.createQueue({ queueName: "again" });
    await world.pass(5 * scan);
    assert.deepEqual(
      [await isAddress(world, "again"), await isAddress(world, "made")],
      [true, true],
    );
  });
});
