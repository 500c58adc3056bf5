import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { packets } from "@everhold/wire";

import { crashAndRestart, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";

/** A broker whose disk becomes full while a transaction that sent `bodyBytes` is open. */
async function setUp(
  bodyBytes: number,
): Promise<Awaited<ReturnType<typeof startBroker>> & { client: TestClient; open: TestClient }> {
  const started = await startBroker();
  const client = await TestClient.open(started.world, { name: "client" });
  await client.createQueue();
  await client.createQueue({ address: "t", queueName: "t" });
  const open = await TestClient.open(started.world, { name: "open", autoCommitSends: false });
  open.post(messageOf("t", { body: new Uint8Array(bodyBytes) }), 1, false);
  await open.settle();
  await client.fillDisk("q");
  client.frames.length = 0;
  return { ...started, client, open };
}

describe("on a full disk", () => {
  it("a transaction commits what was taken before, and acknowledgements go on behind it", async () => {
    const { world, broker, client, open } = await setUp(1000);
    open.send(packets.commit, 10, { correlationId: 2 });
    await open.expect(packets.nullResponse);
    const count = broker.queues().find(({ name }) => name === "q")?.messageCount ?? 0;
    await client.consume("q");
    const [first] = await client.deliveries();
    assert.ok(first !== undefined);
    client.acknowledge(first.messageId);
    await client.expect(packets.nullResponse);
    const again = await crashAndRestart(world);
    const counts = new Map(again.queues().map(({ name, messageCount }) => [name, messageCount]));
    assert.deepEqual([counts.get("t"), counts.get("q")], [1, count - 1]);
  });

  it("a transaction is refused that would use up what acknowledgements need, and undone", async () => {
    const { world, broker, client, open } = await setUp(100_000);
    open.send(packets.commit, 10, { correlationId: 2 });
    const refusal = await open.expect(packets.exception);
    assert.equal(refusal.code, 210);
    assert.equal(broker.queues().find(({ name }) => name === "t")?.messageCount, 0);
    await client.consume("q");
    const deliveries = await client.deliveries();
    for (const { messageId } of deliveries) client.acknowledge(messageId, 0, false);
    await client.settle();
    assert.equal(broker.queues().find(({ name }) => name === "q")?.messageCount, 0);
    // With room the same work succeeds.
    world.disk.free = 1024 * 1024 * 1024;
    await world.pass(5000);
    open.post(messageOf("t", { body: new Uint8Array(100_000) }), 1, false);
    open.send(packets.commit, 10, { correlationId: 3 });
    await open.expect(packets.nullResponse);
    assert.equal(broker.queues().find(({ name }) => name === "t")?.messageCount, 1);
  });

  it("acknowledgements that find no room at all are answered when there is some", async () => {
    const { world, broker, client } = await setUp(10);
    await client.consume("q");
    const [first] = await client.deliveries();
    assert.ok(first !== undefined);
    world.disk.writeError = new EverholdError(
      "EVH_DISK_FULL",
      "the test's disk has no room at all",
    );
    client.acknowledge(first.messageId);
    await world.pass(5000);
    assert.deepEqual(await client.names(), []);
    world.disk.writeError = undefined;
    world.disk.free = 1024 * 1024 * 1024;
    await world.pass(5000);
    await client.expect(packets.nullResponse);
    const count = broker.queues().find(({ name }) => name === "q")?.messageCount;
    const again = await crashAndRestart(world);
    assert.equal(again.queues().find(({ name }) => name === "q")?.messageCount, count);
  });

  it("a broker that waits for room stops in order, and what was not answered did not happen", async () => {
    const { world, broker, client } = await setUp(10);
    const count = broker.queues().find(({ name }) => name === "q")?.messageCount;
    await client.consume("q");
    const [first] = await client.deliveries();
    assert.ok(first !== undefined);
    world.disk.writeError = new EverholdError(
      "EVH_DISK_FULL",
      "the test's disk has no room at all",
    );
    client.acknowledge(first.messageId);
    await client.settle();
    let hasStopped = false;
    const stopping = broker.stop().then(() => (hasStopped = true));
    await world.pass(10_000);
    assert.equal(hasStopped, true);
    await stopping;
    assert.ok(!(await client.names()).includes("NULL_RESPONSE"));
    world.disk.writeError = undefined;
    const { broker: again } = await startBroker({}, world);
    assert.equal(again.queues().find(({ name }) => name === "q")?.messageCount, count);
  });
});
