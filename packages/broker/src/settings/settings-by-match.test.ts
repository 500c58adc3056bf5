import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import { settingNames, settingTable } from "./setting-table.ts";
import { checkSettings, defaultSettings, SettingsTable } from "./settings-by-match.ts";

describe("the settings of addresses", () => {
  it("have defaults that may be said", () => {
    for (const name of settingNames) {
      const { accepts, default: byDefault } = settingTable[name];
      assert.ok(accepts(byDefault), name);
    }
    assert.equal(new SettingsTable().of("any"), defaultSettings);
  });

  it("come one by one from the most specific match that says them", () => {
    const table = new SettingsTable({
      "#": { maxDeliveryAttempts: 3, redeliveryDelay: 1_000, expiryDelay: 7 },
      "orders.#": { redeliveryDelay: 2_000, deadLetterAddress: "orders-dead" },
      "orders.*": { expiryDelay: 8 },
      "orders.eu": { deadLetterAddress: undefined },
    });
    const { maxDeliveryAttempts, redeliveryDelay, deadLetterAddress, expiryDelay } =
      table.of("orders.eu");
    assert.deepEqual(
      { maxDeliveryAttempts, redeliveryDelay, deadLetterAddress, expiryDelay },
      {
        maxDeliveryAttempts: 3,
        redeliveryDelay: 2_000,
        deadLetterAddress: undefined,
        expiryDelay: 8,
      },
    );
    assert.equal(table.of("orders.us").deadLetterAddress, "orders-dead");
    assert.equal(table.of("orders.us.ny").expiryDelay, 7);
    assert.equal(table.of("other").redeliveryDelay, 1_000);
    assert.equal(table.of("orders.us::queue").expiryDelay, 8);
  });

  it("are those of its matches for a wildcard address as well", () => {
    const table = new SettingsTable({ "a.*": { expiryDelay: 1 }, "a.#": { redeliveryDelay: 2 } });
    assert.equal(table.of("a.*").expiryDelay, 1);
    assert.equal(table.of("a.#").redeliveryDelay, 2);
    assert.equal(table.of("a.b.c").expiryDelay, -1);
  });

  it("are found among thousands of matches as among few", () => {
    const matches: Record<string, { readonly expiryDelay: number }> = {};
    for (let index = 0; index < 5_000; index += 1) matches[`*.${index}.#`] = { expiryDelay: index };
    const table = new SettingsTable(matches);
    assert.equal(table.of("a.4321.b").expiryDelay, 4_321);
    assert.equal(table.of("a.5001.b").expiryDelay, -1);
  });

  it("are one object for addresses to which the same matches apply", () => {
    const table = new SettingsTable({ "a.*": { noExpiry: true } });
    assert.equal(table.of("a.1"), table.of("a.2"));
    assert.equal(table.of("b"), table.of("c"));
  });

  it("name the addresses that dead and expired messages go to", () => {
    const table = new SettingsTable({ "a.*": { deadLetterAddress: "dead" } });
    for (const name of ["DLQ", "ExpiryQueue", "dead"]) assert.ok(table.isSink(name), name);
    assert.ok(!table.isSink("a.1"));
  });

  it("are said anew as a whole, or not at all", () => {
    const table = new SettingsTable({ a: { noExpiry: true } });
    assert.throws(() => {
      table.replace({ b: { noExpiry: true }, "c*": {} });
    }, isConfigError);
    assert.ok(table.of("a").noExpiry);
    table.replace({ b: { noExpiry: true } });
    assert.ok(!table.of("a").noExpiry);
    assert.ok(table.of("b").noExpiry);
  });

  it("are refused with their place when nobody could mean them", () => {
    for (const [settings, message] of [
      [
        { maxDeliveryAttempts: 255 },
        /^addressSettings\.a\.#\.maxDeliveryAttempts is 255, expected/,
      ],
      [{ redeliveryDelay: -1 }, /redeliveryDelay is -1, expected a whole number from 0 to/],
      [{ redeliveryDelay: Number.NaN }, /redeliveryDelay is NaN/],
      [{ redeliveryDelayMultiplier: Infinity }, /redeliveryDelayMultiplier is Infinity/],
      [{ deadLetterAddress: "" }, /deadLetterAddress is "", expected a name/],
    ] as const) {
      assert.throws(
        () => {
          checkSettings("a.#", settings);
        },
        (error) => isConfigError(error) && message.test(error.message),
      );
    }
    const unknown: Record<string, object> = { a: { colour: 1 } };
    assert.throws(() => new SettingsTable(unknown), isConfigError);
    assert.throws(() => new SettingsTable(tooMany()), isConfigError);
  });
});

function tooMany(): Record<string, { noExpiry: true }> {
  return Object.fromEntries(
    Array.from({ length: limits.settingsMatchesMax + 1 }, (_, index) => [
      `a${index}`,
      { noExpiry: true } as const,
    ]),
  );
}

function isConfigError(error: unknown): error is EverholdError {
  return EverholdError.is(error, "EVH_CONFIG");
}
