import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { refusedError, ZooKeeperError } from "./errors.ts";
import { operations } from "./protocol/operations.ts";

test("a refusal has ZooKeeper's name for it, the path, and no effect", () => {
  const error = refusedError({ operation: operations.getData, path: "/a" }, -101);
  assert.ok(EverholdError.is(error, "EVH_ZOOKEEPER"));
  assert.equal(error.message, "Cannot read /a: there is no such node (NONODE)");
  assert.deepEqual(
    [error.reason, error.errorNumber, error.path, error.opIndex],
    ["NONODE", -101, "/a", undefined],
  );
  assert.deepEqual([error.outcome, error.retryable], ["none", false]);
});

test("whether a refusal is retryable depends on its reason", () => {
  const subject = { operation: operations.setData, path: "/a" };
  assert.equal(refusedError(subject, -127).retryable, true);
  assert.equal(refusedError(subject, -103).retryable, false);
});

test("what everybody names alike has a code of its own", () => {
  const subject = { operation: operations.whoAmI };
  assert.equal(refusedError(subject, -102).code, "EVH_SECURITY");
  assert.equal(refusedError(subject, -112).code, "EVH_SESSION_EXPIRED");
  assert.equal(refusedError(subject, -4).outcome, "unknown");
});

test("a number that nobody knows is told", () => {
  const error = refusedError({ operation: operations.sync, path: "/a" }, -4711, 3);
  assert.match(error.message, /error -4711/);
  assert.deepEqual([error.reason, error.errorNumber, error.opIndex], ["UNKNOWN", -4711, 3]);
});

test("a log shows reason and path", () => {
  const error = new ZooKeeperError("EVH_UNSENT", "Cannot read /a", {
    reason: "CONNECTIONLOSS",
    path: "/a",
  });
  const shown: unknown = JSON.parse(JSON.stringify(error));
  assert.deepEqual(shown, {
    name: "ZooKeeperError",
    code: "EVH_UNSENT",
    message: "Cannot read /a",
    retryable: true,
    outcome: "none",
    reason: "CONNECTIONLOSS",
    path: "/a",
  });
});
