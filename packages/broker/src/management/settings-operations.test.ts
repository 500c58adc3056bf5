import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError, type ErrorCode } from "@everhold/base";
import { packets } from "@everhold/wire";

import type { Broker } from "../broker.ts";
import { limits } from "../limits.ts";
import { settingNames } from "../settings/setting-table.ts";
import { defaultSettings } from "../settings/settings-by-match.ts";
import {
  readArtemisSettings,
  readSettings,
  writeArtemisSettings,
  writeSettings,
} from "../settings/settings-json.ts";
import type { ManualWorld } from "../testing/manual-world.test-support.ts";
import { crashAndRestart, runUntil, startBroker } from "../testing/test-broker.test-support.ts";
import { messageOf, TestClient } from "../testing/test-client.test-support.ts";
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

/** Some settings of an address, by Artemis' names. */
async function shown(
  world: ManualWorld,
  broker: Broker,
  address: string,
  ...names: string[]
): Promise<unknown[]> {
  const json = await call(world, broker, "getAddressSettingsAsJSON", address);
  const found: Readonly<Record<string, unknown>> = Object(json);
  return names.map((name) => found[name]);
}

function refusal(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return (error) => EverholdError.is(error, code) && text.test(error.message);
}

/** So deep that it cannot be written as it was read. */
const deep = "[".repeat(20_000) + "]".repeat(20_000);

const full = {
  addressSettings: Object.fromEntries(
    Array.from({ length: limits.settingsMatchesMax }, (_, index) => [`a${index}`, {}]),
  ),
};

const configured = {
  addressSettings: { "orders.#": { maxDeliveryAttempts: 3, expiryDelay: 5_000 } },
};

describe("settings given at run time", () => {
  it("have room beside as many as the configuration may have, also after a crash", async () => {
    const { world, broker } = await startBroker(full);
    await call(world, broker, "addAddressSettings", "new", '{"maxDeliveryAttempts":4}');
    const again = await crashAndRestart(world, full);
    assert.deepEqual(await shown(world, again, "new", "maxDeliveryAttempts"), [4]);
  });

  it("take the place of the configured ones of the match, and give it back", async () => {
    const { world, broker } = await startBroker(configured);
    const names = ["maxDeliveryAttempts", "expiryDelay", "redeliveryMultiplier"];
    assert.deepEqual(await shown(world, broker, "orders.eu", ...names), [3, 5_000, 1]);
    const given = '{"maxDeliveryAttempts":4,"redeliveryMultiplier":2.5}';
    assert.deepEqual(await call(world, broker, "addAddressSettings", "orders.#", given), {
      maxDeliveryAttempts: 4,
      redeliveryMultiplier: 2.5,
    });
    assert.deepEqual(await shown(world, broker, "orders.eu", ...names), [4, -1, 2.5]);
    assert.deepEqual(await call(world, broker, "listAddressSettings"), [
      {
        addressMatch: "orders.#",
        atRunTime: true,
        settings: { maxDeliveryAttempts: 4, redeliveryMultiplier: 2.5 },
      },
    ]);
    await call(world, broker, "removeAddressSettings", "orders.#");
    assert.deepEqual(await shown(world, broker, "orders.eu", ...names), [3, 5_000, 1]);
  });

  it("survive a crash, from the journal's records and from a snapshot", async () => {
    const { world, broker } = await startBroker(configured);
    await call(world, broker, "addAddressSettings", "orders.#", '{"noExpiry":true}');
    await call(world, broker, "addAddressSettings", "gone", '{"noExpiry":true}');
    await call(world, broker, "removeAddressSettings", "gone");
    const again = await crashAndRestart(world, configured);
    assert.deepEqual(await shown(world, again, "orders.eu", "noExpiry"), [true]);
    assert.deepEqual(await shown(world, again, "gone", "noExpiry"), [false]);
    const line = world.log.find((one) => one.message.startsWith("Settings of addresses"));
    assert.deepEqual(line?.fields, { matches: 1, overridden: "orders.#" });
    await runUntil(world, again.snapshotNow());
    await call(world, again, "addAddressSettings", "later", '{"noExpiry":true}');
    const last = await crashAndRestart(world, configured);
    assert.deepEqual(await shown(world, last, "orders.eu", "noExpiry"), [true]);
    assert.deepEqual(await shown(world, last, "later", "noExpiry"), [true]);
  });

  it("hold at once for addresses that exist", async () => {
    const { world, broker } = await startBroker();
    const client = await TestClient.open(world);
    await client.createQueue();
    await client.publish("q", "fills the address".repeat(10));
    const settings = '{"maxSizeBytes":100,"addressFullMessagePolicy":"FAIL"}';
    await call(world, broker, "addAddressSettings", "q", settings);
    client.post(messageOf("q"), 4);
    assert.equal((await client.expect(packets.exception)).code, 210);
    await call(world, broker, "removeAddressSettings", "q");
    await client.publish("q", "there is room again");
  });

  it("let go producers for whom there is room now", async () => {
    const { world, broker } = await startBroker({ addressSettings: { q: { maxSizeBytes: 100 } } });
    const client = await TestClient.open(world);
    await client.createQueue();
    await client.publish("q", "fills the address".repeat(10));
    client.send(packets.producerRequestCredits, 10, { credits: 1000, address: "q" });
    assert.deepEqual(await client.names(), []);
    await call(world, broker, "addAddressSettings", "q", '{"maxSizeBytes":"-1"}');
    assert.equal((await client.expect(packets.producerCredits)).credits, 1000);
  });

  it("are refused as a whole when one of them is wrong", async () => {
    const { world, broker } = await startBroker();
    for (const [match, json, text] of [
      ["a", "[]", /expected a JSON object/],
      ["a", "no", /expected a JSON object/],
      ["a", '{"colour":1}', /there is no setting "colour"/],
      ["a", '{"__proto__":1}', /there is no setting "__proto__"/],
      ["a", '{"noExpiry":true,"maxDeliveryAttempts":900}', /is 900, expected a whole number/],
      ["a", '{"slowConsumerPolicy":"KICK"}', /is "KICK", expected one of notify, kill/],
      ["a", `{"noExpiry":${deep}}`, /is an array, expected true or false/],
      ["a", '{"noExpiry":{}}', /is an object, expected true or false/],
    ] as const) {
      await assert.rejects(
        async () => call(world, broker, "addAddressSettings", match, json),
        refusal("EVH_REJECTED", text),
      );
    }
    await assert.rejects(
      async () => call(world, broker, "addAddressSettings", "a*", "{}"),
      refusal("EVH_CONFIG", /cannot use the match "a\*"/),
    );
    await assert.rejects(
      async () => call(world, broker, "removeAddressSettings", "a"),
      refusal("EVH_REJECTED", /none were given at run time/),
    );
    assert.deepEqual(await call(world, broker, "listAddressSettings"), []);
  });
});

describe("settings as JSON", () => {
  it("are read as they were written, in our words and in those of Artemis", () => {
    const all = { ...defaultSettings, expiryAddress: undefined, slowConsumerCheckPeriod: 2_500 };
    assert.deepEqual(readSettings(writeSettings(all)), { settings: all, unknown: [] });
    const words = writeArtemisSettings(all);
    assert.equal(Object.keys(words).length, settingNames.length);
    assert.equal(words["slowConsumerThresholdMeasurementUnit"], "MESSAGES_PER_SECOND");
    assert.equal(words["slowConsumerCheckPeriod"], 2.5);
    assert.deepEqual(readArtemisSettings(JSON.stringify(words)), all);
  });

  it("may come from another version: what is not understood is named", () => {
    assert.deepEqual(readSettings('{"noExpiry":true,"newer":1,"expiryDelay":"x"}'), {
      settings: { noExpiry: true },
      unknown: ["newer", "expiryDelay"],
    });
  });
});
