import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, type Delivery } from "../testing/test-client.test-support.ts";

/** A client with a queue that is bound to the notifications, and what has come there dropped. */
async function listener(world: ManualWorld, filter: string | null = null): Promise<TestClient> {
  const client = await TestClient.open(world, { name: "listener" });
  await client.createQueue({
    ...{ address: "activemq.notifications", queueName: "told", routingType: 0, filter },
  });
  await client.consume("told");
  await client.names();
  return client;
}

function typeOf(delivery: Delivery): unknown {
  return delivery.properties.get("_AMQ_NotifType")?.value;
}

/** Properties without what differs from run to run. */
function content(delivery: Delivery): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [name, typed] of delivery.properties) found[name.slice("_AMQ_".length)] = typed.value;
  const { NotifTimestamp: time, NotifType: _type, ...rest } = found;
  assert.equal(typeof time, "number");
  return rest;
}

describe("notifications", () => {
  it("nothing is made while nobody listens", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    await client.consume("q");
    client.socket.close();
    await world.settle();
    assert.equal(broker.management.read("broker", "TotalMessageCount").value, 0);
    assert.equal(broker.management.read("broker", "AddressCount").value, 1);
  });

  it("tell of connections, sessions, consumers, queues and addresses, in order", async () => {
    const { world } = await startBroker();
    const told = await listener(world);
    const client = await TestClient.open(world, { name: "s1", username: "ann" });
    await client.createQueue({ queueName: "q", filter: "x = 1" });
    await client.consume("q", { filter: "y = 2" });
    client.socket.close();
    const deliveries = await told.deliveries();
    assert.deepEqual(deliveries.map(typeOf), [
      ...["CONNECTION_CREATED", "SESSION_CREATED", "ADDRESS_ADDED", "BINDING_ADDED"],
      ...["CONSUMER_CREATED", "CONSUMER_CLOSED", "SESSION_CLOSED", "CONNECTION_DESTROYED"],
    ]);
    const [connection, session, address, binding, consumer] = deliveries.map(content);
    assert.deepEqual(connection, { ConnectionName: "00000002", RemoteAddress: "test:2" });
    assert.deepEqual(session, {
      ...{ ConnectionName: "00000002", User: "ann", SessionName: "s1", Protocol_Name: "CORE" },
      ...{ Address: "activemq.notifications", Distance: 0 },
    });
    assert.deepEqual(address, { Address: "q", Routing_Type: 1 });
    const common = { Address: "q", RoutingName: "q", Distance: 0 };
    assert.deepEqual(
      { ...binding, ClusterName: "" },
      {
        ...{ ...common, ClusterName: "", FilterString: "x = 1" },
        ...{ Binding_Type: 0, Binding_ID: binding?.["Binding_ID"] },
      },
    );
    assert.deepEqual(
      { ...consumer, ClusterName: "" },
      {
        ...{ ...common, ClusterName: "", FilterString: "y = 2", ConsumerCount: 1, User: "ann" },
        ...{ RemoteAddress: "test:2", SessionName: "s1", ConsumerName: 0 },
      },
    );
    assert.ok(deliveries.every(({ durable, body }) => durable && body.length === 0));
  });

  it("tell of the end of queues and addresses, and of expired messages", async () => {
    const { world, broker } = await startBroker();
    const ends = ["MESSAGE_EXPIRED", "CONSUMER_CLOSED", "BINDING_REMOVED", "ADDRESS_REMOVED"];
    const told = await listener(world, `_AMQ_NotifType IN ('${ends.join("','")}')`);
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q", temporary: true, durable: false });
    await client.consume("q", { credits: 0 });
    await client.publish("q", "late", { expiration: world.nowMs + 10, durable: false });
    await world.pass(60_000);
    broker.management.invoke("broker", "destroyQueue", ["q", true]);
    const deliveries = await told.deliveries();
    assert.deepEqual(deliveries.map(typeOf), ends);
    const [expired] = deliveries.map(content);
    assert.ok(expired);
    const { Message_ID: id, ...rest } = expired;
    assert.deepEqual(rest, { Address: "q", Routing_Type: 1, RoutingName: "q" });
    assert.ok(Number.isSafeInteger(id));
  });

  it("of browsers nobody is told", async () => {
    const { world } = await startBroker();
    const told = await listener(world, "_AMQ_NotifType LIKE 'CONSUMER%'");
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    await client.consume("q", { browseOnly: true });
    client.socket.close();
    assert.deepEqual(await told.deliveries(), []);
  });

  it("wait in a durable queue over a crash", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({
      ...{ address: "activemq.notifications", queueName: "told", routingType: 0 },
      filter: "_AMQ_NotifType = 'ADDRESS_ADDED'",
    });
    await client.createQueue({ queueName: "q" });
    await crashAndRestart(world);
    const reader = await TestClient.open(world);
    await reader.consume("told");
    const deliveries = await reader.deliveries();
    assert.deepEqual(deliveries.map(content), [{ Address: "q", Routing_Type: 1 }]);
  });

  it("for which there is no room are dropped, and the rest works on", async () => {
    const { world, broker } = await startBroker();
    const told = await listener(world);
    const filler = await TestClient.open(world);
    await filler.fillDisk("filling");
    await told.deliveries();
    filler.socket.close();
    assert.deepEqual(await told.deliveries(), []);
    assert.ok(world.logged("debug").includes("A notification was dropped"));
    assert.equal(broker.failure, undefined);
  });
});
