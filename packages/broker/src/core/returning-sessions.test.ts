import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { packets, resumeKinds, resumeResults } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import type { BrokerOptions } from "../config.ts";
import { limits } from "../limits.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { openReturning, resume } from "../testing/resuming-client.test-support.ts";
import { runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient, type SessionChoices } from "../testing/test-client.test-support.ts";

/** A message that was tried once is a dead letter. */
const onceOnly = { addressSettings: { "#": { maxDeliveryAttempts: 1, deadLetterAddress: "DLQ" } } };
const window = { confirmationWindowSize: 1_000_000 };

/** The connection of the session "old" broke while it held "a" and "b"; somebody else waits for them. */
async function setUp(
  choices: SessionChoices,
  options: BrokerOptions = {},
): Promise<{
  world: ManualWorld;
  broker: Broker;
  other: TestClient;
  ids: number[];
}> {
  const { world, broker } = await startBroker(options);
  const old = await openReturning(world, choices);
  await old.createQueue();
  for (const text of ["a", "b"]) await old.publish("q", text);
  await old.consume("q");
  const ids = (await old.deliveries()).map((delivery) => delivery.messageId);
  old.socket.close(new Error("cut"));
  const other = await TestClient.open(world, { name: "other" });
  await other.consume("q");
  return { world, broker, other, ids };
}

/** Asks for the session "old" on a connection of its own, in vain. */
async function askInVain(world: ManualWorld, lastConfirmedCommandId: number): Promise<TestClient> {
  const client = new TestClient(world);
  await client.subscribe();
  client.frames.length = 0;
  client.send(packets.reattachSession, 1, { name: "old", lastConfirmedCommandId });
  assert.equal((await client.expect(packets.reattachSessionResponse)).reattached, false);
  return client;
}

const ways = [
  { name: "that is not resumed, because its client counts otherwise", choices: window },
  { name: "without a window", choices: { confirmationWindowSize: -1 } },
];

for (const { name, choices } of ways) {
  describe(`a session ${name}`, () => {
    it("keeps what it held until its client has said what became of it", async () => {
      const { world, other, ids } = await setUp(choices);
      const client = await askInVain(world, 77);
      assert.deepEqual(await other.texts(), []);
      await client.createSession({ ...choices, name: "old" });
      client.frames.length = 0;
      const settlements = [{ messageId: ids[0] ?? 0, kind: resumeKinds.acknowledge }];
      assert.deepEqual(await resume(client, { settlements }), {
        commit: 0,
        code: 0,
        settlements: [resumeResults.applied],
      });
      const deliveries = await other.deliveries();
      // What its client does not name was never seen: that was no attempt.
      assert.deepEqual(
        deliveries.map(({ messageId, deliveryCount }) => [messageId, deliveryCount]),
        [[ids[1], 1]],
      );
    });

    it("has not failed when the broker stops meanwhile: what it held is settled after that", async () => {
      const { world, broker, ids } = await setUp(choices, onceOnly);
      await runUntil(world, broker.stop());
      await startBroker(onceOnly, world);
      const client = await TestClient.openMarking(world, { name: "next" });
      const settlements = ids.map((messageId) => ({
        messageId,
        kind: resumeKinds.acknowledge,
      }));
      assert.deepEqual((await resume(client, { settlements })).settlements, [
        resumeResults.applied,
        resumeResults.applied,
      ]);
    });

    it("fails when its client stays away, and that is an attempt", async () => {
      const { world, other } = await setUp(choices);
      await askInVain(world, 77);
      await world.pass(60_000 + limits.checkIntervalMs);
      const counts = (await other.deliveries()).map(({ deliveryCount }) => deliveryCount);
      assert.deepEqual(counts, [2, 2]);
    });
  });
}
