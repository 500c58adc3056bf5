import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assert as invariant, AssertionError, deferred, unreachable } from "./index.ts";

describe("assert", () => {
  it("is silent when the invariant holds and throws AssertionError when it does not", () => {
    invariant(true, "holds");
    assert.throws(() => invariant(false, "count is positive"), {
      name: "AssertionError",
      message: "count is positive",
    });
  });

  it("unreachable names the value that should not exist", () => {
    const impossible = JSON.parse('"seven"') as never;
    assert.throws(() => unreachable(impossible, "unknown day"), AssertionError);
    assert.throws(() => unreachable(impossible, "unknown day"), /unknown day: seven/);
  });
});

describe("deferred", () => {
  it("settles as its ends are used", async () => {
    const first = deferred<number>();
    first.resolve(3);
    assert.equal(await first.promise, 3);
    const second = deferred<number>();
    second.reject(new Error("no"));
    await assert.rejects(second.promise, /no/);
  });
});
