import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import { encodeTextBody, packets, type TypedValue } from "@everhold/wire";

import { limits as brokerLimits } from "../limits.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
import { limits } from "./limits.ts";

/** More messages than a walk looks at in one step, in queue `q`. */
async function withManyMessages(): ReturnType<typeof startBroker> {
  const started = await startBroker();
  const client = await TestClient.open(started.world);
  await client.createQueue({ queueName: "q" });
  await client.createQueue({ queueName: "other" });
  for (let number = 0; number <= limits.rowsPerStep; number += 1) {
    client.post(messageOf("q", { text: String(number) }), 0, false);
  }
  await client.settle();
  return started;
}

describe("management beside other work", () => {
  it("a walk shows each message once, also where it puts others into the queue", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    for (const priority of [9, 0, 1]) await client.publish("q", "x", { priority, durable: false });
    const { value } = broker.management.invoke("queue.q", "changeMessagesPriority", [null, 5]);
    assert.equal(await runUntil(world, Promise.resolve(value)), 3);
  });

  it("a message is not moved to a queue that was deleted meanwhile", async () => {
    const { world, broker } = await withManyMessages();
    const { management } = broker;
    const listed = management.invoke("queue.q", "listMessages", [null]).value;
    const first = (await runUntil(world, Promise.resolve(listed))) as { messageID: number }[];
    // The last one of the queue is behind the first step of the walk.
    const client = await TestClient.open(world);
    await client.consume("q", { browseOnly: true });
    const ids = (await client.deliveries()).map((message) => message.messageId);
    assert.equal(ids[0], first[0]?.messageID);
    const moved = management.invoke("queue.q", "moveMessage", [ids.at(-1) ?? 0, "other"]).value;
    const copied = management.invoke("queue.q", "copyMessage", [ids.at(-1) ?? 0, "other"]).value;
    management.invoke("broker", "destroyQueue", ["other"]);
    const settled = Promise.allSettled([moved, copied]);
    for (const { status } of await runUntil(world, settled)) assert.equal(status, "rejected");
    const again = await crashAndRestart(world);
    const count = again.management.read("queue.q", "MessageCount").value;
    assert.equal(count, limits.rowsPerStep + 1);
  });

  it("a walk waits while the journal cannot keep up", async () => {
    const { world, broker } = await withManyMessages();
    const client = await TestClient.open(world);
    world.disk.holdsWrites = true;
    const body = new Uint8Array(500_000);
    for (let sent = 0; sent <= brokerLimits.stagedHighBytes; sent += body.length) {
      client.post(messageOf("other", { body }));
      await client.settle();
    }
    const { value } = broker.management.invoke("queue.q", "removeAllMessages", []);
    await world.settle();
    assert.equal(broker.management.read("queue.q", "MessageCount").value, 1);
    world.disk.releaseWrites();
    await world.settle();
    await world.pass(limits.walkPauseMs);
    assert.equal(await runUntil(world, Promise.resolve(value)), limits.rowsPerStep + 1);
  });

  it("a pause in the middle of a consumer's search does not keep its marker from it", async () => {
    const { world } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    for (let number = 0; number < brokerLimits.filterRowsPerStep * 5; number += 1) {
      client.post(messageOf("q", { durable: false }), 0, false);
    }
    await client.consume("q", { filter: "wanted", credits: 0 });
    client.send(packets.flowToken, 10, { consumerId: 0, credits: 1_000 });
    const properties = { _AMQ_ResourceName: "queue.q", _AMQ_OperationName: "pause" };
    const typed = Object.entries(properties).map(([name, value]): [string, TypedValue] => [
      name,
      { type: "string", value },
    ]);
    const body = encodeTextBody(null);
    client.post(
      messageOf("activemq.management", { body, properties: Object.fromEntries(typed) }),
      0,
      false,
    );
    client.send(packets.forceConsumerDelivery, 10, { consumerId: 0, sequence: 7 });
    const marker = await client.delivery();
    assert.equal(marker.properties.get("_hornetq.forced.delivery.seq")?.value, 7);
  });

  it("a queue with numbers or names that no record can hold is refused", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    const before = broker.dump();
    for (const wrong of [
      { "max-consumers": 2 ** 31 },
      { "group-buckets": -(2 ** 40) },
      { "last-value-key": "x".repeat(5_000) },
    ]) {
      for (const name of ["q", "new"]) {
        const operation = name === "q" ? "updateQueue" : "createQueue";
        const json = JSON.stringify({ name, ...wrong });
        assert.throws(
          () => broker.management.invoke("broker", operation, [json]),
          (error) => EverholdError.is(error, "EVH_INVALID_QUEUE"),
        );
      }
    }
    assert.throws(
      () => broker.management.invoke("broker", "updateQueue", ["q", null, 2 ** 31, null]),
      (error) => EverholdError.is(error, "EVH_INVALID_QUEUE"),
    );
    assert.equal(broker.dump(), before);
  });

  it("a result of too many characters is refused before it is whole", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    const names = Array.from({ length: 5_000 }, (_, number) => `a property ${number}`);
    const many: Record<string, TypedValue> = {};
    for (const name of names) many[name] = { type: "boolean", value: true };
    for (let number = 0; number < 45; number += 1) {
      many["long"] = { type: "string", value: `${number}${"x".repeat(100_000)}` };
      await client.publish("q", "", { properties: many });
    }
    for (const [operation, ...values] of [
      ["listMessages", null],
      ["countMessages", null, "long"],
    ] as const) {
      await assert.rejects(
        async () => {
          const { value } = broker.management.invoke("queue.q", operation, values);
          await runUntil(world, Promise.resolve(value));
        },
        (error) => EverholdError.is(error, "EVH_REJECTED") && /ask for less/.test(error.message),
      );
    }
  });

  it("a message is not given back to a queue that would not keep it", async () => {
    const addressSettings = { "#": { expiryAddress: "expired" } };
    const { world, broker } = await startBroker({ addressSettings });
    const client = await TestClient.open(world);
    await client.createQueue({ queueName: "q" });
    const expiration = world.ports().wallClock.nowMs() + 10_000_000;
    await client.publish("q", "x", { expiration });
    const { management } = broker;
    assert.equal(
      await runUntil(
        world,
        Promise.resolve(management.invoke("queue.q", "expireMessages", [null]).value),
      ),
      1,
    );
    await world.settle();
    management.invoke("broker", "updateQueue", ["q", null, null, true]);
    const retried = management.invoke("queue.expired", "retryMessages", []).value;
    assert.equal(await runUntil(world, Promise.resolve(retried)), 0);
    assert.equal(management.read("queue.expired", "MessageCount").value, 1);
  });
});
