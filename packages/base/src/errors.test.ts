import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ConnectionError,
  coreCodeOf,
  errorCodeFromCore,
  errorCodes,
  EverholdError,
  type ErrorCode,
  type ErrorCodeEntry,
} from "./index.ts";

describe("errors", () => {
  const entries = Object.entries<ErrorCodeEntry>(errorCodes);

  it("each CORE code belongs to one error code", () => {
    const coreCodes = entries.flatMap(([, entry]) => entry.coreCode ?? []);
    assert.equal(new Set(coreCodes).size, coreCodes.length);
  });

  it("each error code with a CORE code is found again from it", () => {
    for (const [code, entry] of entries) {
      if (entry.coreCode === undefined) continue;
      assert.equal(errorCodeFromCore(entry.coreCode), code);
      assert.equal(coreCodeOf(code as ErrorCode), entry.coreCode);
    }
  });

  it("a CORE code without a name is a rejection", () => {
    assert.equal(errorCodeFromCore(123_456), "EVH_REJECTED");
  });

  it("a meaning is a sentence without a final full stop", () => {
    for (const [code, entry] of entries) {
      assert.match(entry.meaning, /^[A-Z].+[^.]$/s, code);
    }
  });

  it("an error is whole in JSON, with what its cause says, and not the cause of that", () => {
    const reset = new ConnectionError("EVH_NOT_CONNECTED", "reset", { cause: new Error("read") });
    const error = new ConnectionError("EVH_DISCONNECTED", "the connection broke", { cause: reset });
    assert.deepEqual(JSON.parse(JSON.stringify({ error })), {
      error: {
        name: "ConnectionError",
        code: "EVH_DISCONNECTED",
        message: "the connection broke",
        retryable: true,
        outcome: "none",
        cause: "reset",
      },
    });
    assert.ok(!("cause" in reset.toJSON()));
  });

  it("an error takes retryable from the table and outcome from the caller", () => {
    const cause = new Error("reset");
    const error = new ConnectionError("EVH_DISCONNECTED", "send: the connection broke", {
      outcome: "unknown",
      cause,
    });
    assert.equal(error.retryable, true);
    assert.equal(error.outcome, "unknown");
    assert.equal(error.cause, cause);
    assert.equal(error.name, "ConnectionError");
    assert.ok(EverholdError.is(error));
    assert.ok(EverholdError.is(error, "EVH_DISCONNECTED"));
    assert.ok(!EverholdError.is(error, "EVH_CLOSED"));
    assert.ok(!EverholdError.is(cause));
  });

  it("an error without details has no effect and no cause", () => {
    const error = new EverholdError("EVH_CLOSED", "send: the producer is closed");
    assert.equal(error.outcome, "none");
    assert.equal("cause" in error, false);
  });
});
