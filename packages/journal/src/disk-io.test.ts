import { strict as assert } from "node:assert";
import { test } from "node:test";
import { isDiskFull } from "./disk-io.ts";
import { EverholdError } from "@everhold/base";
import { getU64, setU64, viewOf } from "./u64.ts";

test("u64 fields keep every safe integer", () => {
  const view = viewOf(new Uint8Array(8));
  for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
    setU64(view, 0, value);
    assert.equal(getU64(view, 0), value);
    assert.equal(view.getBigUint64(0), BigInt(value));
  }
});

test("a full disk is known by our code, by the system's, and by a cause's", () => {
  const system = Object.assign(new Error("write"), { code: "ENOSPC" });
  assert.ok(isDiskFull(system));
  assert.ok(isDiskFull(new EverholdError("EVH_DISK_FULL", "no room")));
  assert.ok(isDiskFull(new EverholdError("EVH_IO", "write failed", { cause: system })));
  assert.equal(isDiskFull(new EverholdError("EVH_IO", "write failed")), false);
});
