import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";

import { brokerConfig } from "./config.ts";
import { limits } from "./limits.ts";

describe("the broker's configuration", () => {
  it("names no address for dead letters or expired messages that no queue could have", () => {
    for (const key of ["deadLetterAddress", "expiryAddress"] as const) {
      for (const name of ["", "a::b", "x".repeat(limits.nameCharsMax + 1)]) {
        assert.throws(
          () => brokerConfig({ addressSettings: { "#": { [key]: name } } }),
          (error) => EverholdError.is(error, "EVH_CONFIG") && error.message.includes(key),
        );
      }
      assert.ok(brokerConfig({ addressSettings: { "#": { [key]: undefined } } }));
      assert.ok(brokerConfig({ addressSettings: { "#": { [key]: "letters" } } }));
    }
  });
});
