import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { packets } from "@everhold/wire";

import type { Broker } from "../../broker.ts";
import type { BrokerOptions } from "../../config.ts";
import { limits } from "../../limits.ts";
import { largeBytes, sendLarge, takeLarge } from "../../testing/large-client.test-support.ts";
import type { ManualWorld } from "../../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../../testing/test-broker.test-support.ts";
import { TestClient, type MessageChoices } from "../../testing/test-client.test-support.ts";
import { XaClient } from "../../testing/xa-client.test-support.ts";

const large = largeBytes(300_000);
const bothWays = [true, false] as const;

function countOf(broker: Broker, name = "q"): number {
  return broker.queues().find((queue) => queue.name === name)?.messageCount ?? -1;
}

function ofValue(value: string): MessageChoices {
  return { properties: { _AMQ_LVQ_NAME: { type: "string", value } } };
}

/** Acknowledges the first message of `q` in branch 1, and prepares that. */
async function prepareFirst(xa: XaClient): Promise<void> {
  await xa.client.consume("q", { credits: 1 });
  xa.client.acknowledge((await xa.client.delivery()).messageId, 0, false);
  await xa.end(1);
  assert.equal(await xa.prepare(1), 0);
  xa.client.send(packets.consumerClose, 10, { consumerId: 0 });
  await xa.client.expect(packets.nullResponse);
}

/** Begins branch 1, acknowledges in it, and prepares it. */
async function branchWithFirst(world: ManualWorld): Promise<void> {
  const xa = await XaClient.open(world);
  await xa.start(1);
  await prepareFirst(xa);
}

/** Decides branch 1 after a crash, with a snapshot before it or without. */
async function decide(
  world: ManualWorld,
  broker: Broker,
  how: { commits: boolean; hasSnapshot: boolean },
  options: BrokerOptions = {},
): Promise<Broker> {
  if (how.hasSnapshot) await runUntil(world, broker.snapshotNow());
  const again = await crashAndRestart(world, options);
  const xa = await XaClient.open(world);
  assert.equal(how.commits ? await xa.commit(1) : await xa.rollback(1), 0);
  await world.settle();
  return again;
}

describe("what a prepared branch acknowledged", () => {
  for (const commits of bothWays) {
    for (const hasSnapshot of bothWays) {
      const how = { commits, hasSnapshot };
      const name = `${commits ? "committed" : "rolled back"}${hasSnapshot ? ", with a snapshot" : ""}`;

      test(`does not count in a ring until it comes back: ${name}`, async () => {
        const { world, broker } = await startBroker();
        const client = await TestClient.open(world);
        await client.createQueue({ ringSize: 2 });
        for (const text of ["1", "2"]) await client.publish("q", text);
        await branchWithFirst(world);
        for (const text of ["3", "4"]) await client.publish("q", text);
        assert.equal(countOf(await decide(world, broker, how)), 2);
        const reader = await TestClient.open(world);
        await reader.consume("q");
        assert.deepEqual(await reader.texts(), ["3", "4"]);
      });

      test(`expires when it comes back, not before: ${name}`, async () => {
        const options = { addressSettings: { "#": { expiryAddress: "expired" } } };
        const { world, broker } = await startBroker(options);
        const client = await TestClient.open(world);
        await client.createQueue({ lastValue: true });
        const expiration = world.nowMs + 1_000;
        await client.publish("q", "1", { ...ofValue("one"), expiration });
        await branchWithFirst(world);
        await client.publish("q", "2", ofValue("two"));
        await world.pass(limits.scanIntervalMs * 2);
        const again = await decide(world, broker, how, options);
        const reader = await TestClient.open(world);
        await reader.consume("q");
        assert.deepEqual(await reader.texts(), ["2"]);
        await world.pass(limits.scanIntervalMs * 2);
        assert.equal(countOf(again, "expired"), commits ? -1 : 1);
      });

      test(`is gone with its queue, and the rest of the branch is not: ${name}`, async () => {
        const { world, broker } = await startBroker();
        const client = await TestClient.open(world);
        for (const queueName of ["q", "r"]) await client.createQueue({ queueName });
        await client.publish("q", "1");
        const xa = await XaClient.open(world);
        await xa.start(1);
        for (const address of ["q", "r"]) {
          sendLarge(xa.client, large, { address });
          await xa.client.expect(packets.nullResponse);
        }
        await prepareFirst(xa);
        client.send(packets.deleteQueue, 10, { queueName: "q" });
        await client.expect(packets.nullResponse);
        await client.createQueue();
        await client.publish("q", "new");
        await decide(world, broker, how);
        const again = await crashAndRestart(world);
        assert.equal(countOf(again), 1);
        assert.equal(countOf(again, "r"), commits ? 1 : 0);
        if (!commits) return;
        const reader = await TestClient.open(world);
        await reader.consume("r");
        assert.ok(Buffer.from((await takeLarge(reader)).body).equals(large));
      });
    }
  }

  test("keeps a queue that goes by itself, over a restart as well", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.publish("q", "1");
    const xa = await XaClient.open(world);
    await xa.start(1);
    await prepareFirst(xa);
    xa.client.socket.close();
    await world.pass(limits.scanIntervalMs * 3);
    const again = await crashAndRestart(world);
    await world.pass(limits.scanIntervalMs * 3);
    assert.equal(countOf(again), 1);
    const other = await XaClient.open(world);
    assert.equal(await other.rollback(1), 0);
    await other.client.consume("q");
    assert.deepEqual(await other.client.texts(), ["1"]);
  });
});

test("rings and last-value queues keep what a branch sent last, decided before or after a crash", async () => {
  for (const kind of [{ ringSize: 1 }, { lastValue: true }]) {
    for (const crashes of bothWays) {
      const { world } = await startBroker();
      const client = await TestClient.open(world);
      await client.createQueue(kind);
      const xa = await XaClient.open(world);
      await xa.start(1);
      for (const text of ["1", "2", "3"]) xa.post("q", text, ofValue("one"));
      await xa.end(1);
      assert.equal(await xa.prepare(1), 0);
      if (crashes) await crashAndRestart(world);
      const decider = crashes ? await XaClient.open(world) : xa;
      assert.equal(await decider.commit(1), 0);
      if (crashes) await crashAndRestart(world);
      const reader = await TestClient.open(world);
      await reader.consume("q");
      assert.deepEqual(await reader.texts(), ["3"]);
    }
  }
});
