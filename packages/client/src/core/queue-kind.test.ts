import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkQueueKind } from "./queue-kind.ts";

describe("checkQueueKind", () => {
  it("names the range that a number is out of", () => {
    checkQueueKind({ consumersBeforeDispatch: 2 ** 31 - 1, ringSize: 2 ** 31 });
    assert.throws(() => checkQueueKind({ consumersBeforeDispatch: 2 ** 31 }), {
      code: "EVH_CONFIG",
      message: /found 2147483648, expected a whole number from -1 to 2147483647$/,
    });
    assert.throws(() => checkQueueKind({ ringSize: -2 }), {
      code: "EVH_CONFIG",
      message: /found -2, expected a whole number from -1 to 9007199254740991$/,
    });
  });
});
