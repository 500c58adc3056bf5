import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError, type ErrorCode } from "@everhold/base";

import type { Broker } from "../broker.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { TestClient } from "../testing/test-client.test-support.ts";
import type { ManagementValue } from "./operation.ts";

async function call(
  world: ManualWorld,
  broker: Broker,
  operation: string,
  ...values: ManagementValue[]
): Promise<ManagementValue> {
  const { value } = broker.management.invoke("broker", operation, values);
  await world.settle();
  return value;
}

function counts(broker: Broker): Record<string, number> {
  const found = broker.queues().filter((queue) => queue.messageCount > 0);
  return Object.fromEntries(found.map((queue) => [queue.name, queue.messageCount]));
}

function refusal(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => EverholdError.is(error, code) && text.test(error.message);
}

function read(broker: Broker, divert: string): Record<string, unknown> {
  const names = ["Address", "ForwardingAddress", "Filter", "Exclusive", "RoutingType", "AtRunTime"];
  return Object.fromEntries(
    names.map((name) => [name, broker.management.read(`divert.${divert}`, name).value]),
  );
}

/** So deep that it cannot be written as it was read. */
const deep = "[".repeat(20_000) + "]".repeat(20_000);

const configured = { diverts: { spy: { address: "a", forwardingAddress: "b" } } };

describe("diverts made at run time", () => {
  it("hold at once for senders that are there, and end when they are destroyed", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    for (const queueName of ["a", "b"]) await client.createQueue({ queueName });
    await client.publish("a", "before");
    await call(world, broker, "createDivert", "spy", null, "a", "b", true, null, null);
    await client.publish("a", "diverted");
    await call(world, broker, "updateDivert", "spy", null, "x = 1", null, null, "PASS");
    await client.publish("a", "filtered out");
    assert.deepEqual(read(broker, "spy"), {
      Address: "a",
      ForwardingAddress: "b",
      Filter: "x = 1",
      Exclusive: true,
      RoutingType: "PASS",
      AtRunTime: true,
    });
    await call(world, broker, "destroyDivert", "spy");
    await client.publish("a", "after");
    assert.deepEqual(counts(broker), { a: 3, b: 1 });
    assert.deepEqual(await call(world, broker, "getDivertNames"), []);
  });

  it("survive a crash, from the journal's records and from a snapshot", async () => {
    const { world, broker } = await startBroker();
    const json = '{"name":"json","address":"a","forwarding-address":"b, c","exclusive":"true"}';
    await call(world, broker, "createDivert", json);
    const rest = ["a", "b", false, "", "", "ANYCAST"] as const;
    await call(world, broker, "createDivert", "typed", "", ...rest);
    await call(world, broker, "createDivert", "gone", "", ...rest);
    await call(world, broker, "destroyDivert", "gone");
    const again = await crashAndRestart(world);
    await runUntil(world, again.snapshotNow());
    await call(world, again, "destroyDivert", "typed");
    const last = await crashAndRestart(world);
    assert.deepEqual(await call(world, last, "getDivertNames"), ["json"]);
    assert.deepEqual(read(last, "json"), {
      Address: "a",
      ForwardingAddress: "b, c",
      Filter: null,
      Exclusive: true,
      RoutingType: "STRIP",
      AtRunTime: true,
    });
  });

  it("take the place of configured ones of their name until they are destroyed", async () => {
    const { world, broker } = await startBroker(configured);
    await call(world, broker, "updateDivert", "spy", "c", null, null, null, null);
    const again = await crashAndRestart(world, configured);
    assert.equal(read(again, "spy")["ForwardingAddress"], "c");
    assert.ok(world.log.some((line) => line.fields["overridden"] === "spy"));
    await call(world, again, "destroyDivert", "spy");
    assert.equal(read(again, "spy")["ForwardingAddress"], "b");
    await assert.rejects(
      async () => call(world, again, "destroyDivert", "spy"),
      refusal("EVH_REJECTED", /it stands in the configuration/),
    );
  });

  it("have any name, those that every object knows as well", async () => {
    const { world, broker } = await startBroker(configured);
    for (const name of ["constructor", "__proto__"]) {
      await call(world, broker, "createDivert", name, null, "a", "c", true, null, null);
      assert.equal(read(broker, name)["ForwardingAddress"], "c");
      await call(world, broker, "destroyDivert", name);
    }
    assert.deepEqual(await call(world, broker, "getDivertNames"), ["spy"]);
  });

  it("lead no message back when it is retried, whatever their name", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    for (const queueName of ["a", "b", "spy"]) await client.createQueue({ queueName });
    await call(world, broker, "createDivert", "spy", null, "a", "b", true, null, null);
    await client.publish("a", "diverted");
    const { value } = broker.management.invoke("queue.b", "retryMessages", []);
    assert.equal(await runUntil(world, Promise.resolve(value)), 0);
    assert.deepEqual(counts(broker), { b: 1 });
  });

  it("are refused when they are wrong, and nothing has changed", async () => {
    const { world, broker } = await startBroker(configured);
    const make = (...values: ManagementValue[]) =>
      call(world, broker, "createDivert", "new", null, ...values);
    for (const [values, code, text] of [
      [["a", "b,b", false, null, null], "EVH_REJECTED", /different ones/],
      [["a", "", false, null, null], "EVH_REJECTED", /found the name ""/],
      [["a", "b", false, "no selector", null], "EVH_INVALID_FILTER", /./],
      [["a", "b", false, null, "Upper"], "EVH_NOT_IMPLEMENTED", /transformer "Upper"/],
      [["a", "b", false, null, null, "UNICAST"], "EVH_REJECTED", /routing type "UNICAST"/],
    ] as const) {
      await assert.rejects(async () => make(...values), refusal(code, text));
    }
    for (const [json, text] of [
      ["no", /it is not JSON/],
      ["[]", /expected a JSON object/],
      ["{}", /expected name, address and forwarding-address/],
      ['{"name":1}', /found the key "name" with 1/],
      ['{"colour":"red"}', /found the key "colour" with "red"/],
      [`{"address":${deep}}`, /found the key "address" with an array/],
    ] as const) {
      await assert.rejects(
        async () => call(world, broker, "createDivert", json),
        refusal("EVH_REJECTED", text),
      );
    }
    await assert.rejects(
      async () => call(world, broker, "createDivert", "spy", null, "a", "c", true, null, null),
      refusal("EVH_REJECTED", /it exists/),
    );
    await assert.rejects(
      async () => call(world, broker, "updateDivert", "none", null, null, null, null, null),
      refusal("EVH_REJECTED", /there is none of this name/),
    );
    assert.deepEqual(await call(world, broker, "getDivertNames"), ["spy"]);
  });
});
