import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { groupConfig, type GroupOptions } from "./group-config.ts";

const least: GroupOptions = {
  id: "anna",
  secret: new Uint8Array(16),
  links: { host: "127.0.0.1", port: 0 },
};

describe("the configuration of a member", () => {
  it("has defaults for all but its name, its secret and where it listens", () => {
    const { founds, minInSync, timing } = groupConfig(least);
    assert.equal(founds, false);
    assert.equal(minInSync, 1);
    assert.equal(timing.graceMs, 1500);
  });

  it("refuses what cannot be, and names the key, what was found and what is allowed", () => {
    const cases: readonly (readonly [Partial<GroupOptions>, RegExp])[] = [
      [{ minInSync: 0 }, /group\.minInSync: found 0, expected a whole number from 1/],
      [{ minInSync: 1.5 }, /group\.minInSync: found 1\.5/],
      [{ timing: { beatMs: 0 } }, /group\.timing\.beatMs: found 0/],
      [
        { timing: { graceMs: 500 } },
        /group\.timing\.graceMs: found 500, expected at least twice leaseMs/,
      ],
    ];
    for (const [wrong, said] of cases) {
      assert.throws(
        () => groupConfig({ ...least, ...wrong }),
        (error: unknown) => EverholdError.is(error, "EVH_CONFIG") && said.test(error.message),
      );
    }
  });
});
