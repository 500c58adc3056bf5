import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError, Prng, type ErrorCode, type Outcome } from "@everhold/base";
import { errorOf } from "@everhold/test-world";
import { refusedError, ZooKeeperError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import { bounded, mayRepeat } from "./retry-loop.ts";
import { retries, type RetryPolicy } from "./retry-policy.ts";
import { requestSpec } from "./request-spec.ts";

const deletion = requestSpec(operations.delete, { path: "/a", version: -1 }, "/a");
const sync = requestSpec(operations.sync, { path: "/a" }, "/a");

test("what is tried again depends on whether it left, and on whether twice is as good as once", () => {
  const codes: readonly (readonly [ErrorCode, Outcome, string])[] = [
    ["EVH_UNSENT", "none", "always"],
    ["EVH_DISCONNECTED", "unknown", "repeatable"],
    ["EVH_SESSION_EXPIRED", "none", "unbound"],
    ["EVH_SESSION_EXPIRED", "unknown", "repeatable, unbound"],
    ["EVH_TIMEOUT", "unknown", "never"],
    ["EVH_TIMEOUT", "none", "never"],
    ["EVH_ABORTED", "none", "never"],
    ["EVH_CLOSED", "none", "never"],
    ["EVH_SECURITY", "none", "never"],
    ["EVH_FRAME_TOO_LARGE", "none", "never"],
    ["EVH_OVERLOADED", "none", "never"],
    ["EVH_PATH", "none", "never"],
    ["EVH_PROTOCOL", "unknown", "never"],
  ];
  for (const [code, outcome, when] of codes) {
    const error = new EverholdError(code, "Cannot", { outcome });
    for (const repetition of ["repeatable", "once"] as const) {
      for (const isBound of [false, true]) {
        const expected =
          when !== "never" &&
          (!when.includes("repeatable") || repetition === "repeatable") &&
          (!when.includes("unbound") || !isBound);
        const what = `${code} ${outcome} ${repetition} ${isBound ? "bound" : "unbound"}`;
        assert.equal(mayRepeat(error, repetition, isBound), expected, what);
      }
    }
  }
});

test("of what a server refused, only what it refused to take is tried again", () => {
  const subject = { operation: operations.setData, path: "/a" };
  for (const number of [-118, -119, -127]) {
    assert.equal(mayRepeat(refusedError(subject, number), "once", false), true, String(number));
  }
  for (const number of [-101, -102, -103, -110, -111, -115, -123, -4711]) {
    assert.equal(mayRepeat(refusedError(subject, number), "repeatable", false), false);
  }
  const serverTimeout = refusedError(subject, -7);
  assert.equal(mayRepeat(serverTimeout, "repeatable", false), true);
  assert.equal(mayRepeat(serverTimeout, "once", false), false);
});

test("a time limit that runs goes on, and is not begun anew", () => {
  const { caller, clock } = testCaller();
  const call = bounded(caller.context, { timeout: 100 });
  clock.nowMs = 90;
  assert.equal(bounded(caller.context, call).deadlineMs, 100);
  assert.equal(bounded(caller.context, {}).deadlineMs, 10_090);
});

test("a request that never left is sent when it can be", async () => {
  const { caller, tree, clock } = testCaller();
  tree.create("/a");
  tree.fate = () => (tree.seen.length < 3 ? "unsent" : "answered");
  await caller.call(deletion, {}, "once");
  assert.deepEqual(tree.takeNames(), ["delete /a", "delete /a", "delete /a"]);
  assert.equal(clock.nowMs, 20);
});

test("a change of which nobody knows is never sent again", async () => {
  for (const fate of ["lost", "unanswered"] as const) {
    const { caller, tree } = testCaller();
    tree.create("/a");
    tree.fate = () => fate;
    const error = await errorOf(caller.call(deletion, {}, "once"));
    assert.deepEqual([error.code, error.outcome], ["EVH_DISCONNECTED", "unknown"]);
    assert.deepEqual(tree.takeNames(), ["delete /a"]);
  }
});

test("the policy's end gives the last error", async () => {
  const { caller, tree } = testCaller({ retry: retries.nTimes(2, 5) });
  tree.fate = () => "lost";
  const error = await errorOf(caller.call(sync, {}, "repeatable"));
  assert.equal(error.code, "EVH_DISCONNECTED");
  assert.equal(tree.seen.length, 3);
});

test("a call's own policy goes before the client's, and false means once", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => "unsent";
  await errorOf(caller.call(sync, { retry: false }, "repeatable"));
  assert.equal(tree.seen.length, 1);
  await errorOf(caller.call(sync, { retry: retries.oneTime(1) }, "repeatable"));
  assert.equal(tree.seen.length, 3);
});

test("no pause goes beyond the call's time limit", async () => {
  const { caller, tree, clock } = testCaller({ retry: retries.forever(400) });
  tree.fate = () => "unsent";
  const error = await errorOf(caller.call(sync, { timeout: 1000 }, "repeatable"));
  assert.equal(error.code, "EVH_UNSENT");
  assert.equal(clock.nowMs, 800);
  assert.deepEqual(
    tree.seen.map(({ wait }) => wait.deadlineMs),
    [1000, 1000, 1000],
  );
});

test("signal and epoch go along with every attempt", async () => {
  const { caller, tree } = testCaller();
  const { signal } = new AbortController();
  await caller.call(sync, { signal, epoch: 7 }, "repeatable");
  assert.deepEqual(tree.seen[0]?.wait, { deadlineMs: 10_000, signal, epoch: 7 });
});

test("a timeout that can't be is refused", async () => {
  const { caller } = testCaller();
  await assert.rejects(caller.call(sync, { timeout: -1 }, "repeatable"), RangeError);
  await assert.rejects(caller.call(sync, { timeout: Number.NaN }, "repeatable"), RangeError);
});

test("errors name the path that the caller wrote", async () => {
  const { caller, tree } = testCaller({ prefix: "/app", retry: false });
  const path = caller.serverPath("sync", "/a");
  tree.fate = () => "lost";
  const spec = requestSpec(operations.sync, { path }, path);
  const error = await errorOf(caller.call(spec, {}, "repeatable"));
  assert.ok(error instanceof ZooKeeperError);
  assert.equal(error.path, "/a");
  assert.equal(error.message, "Cannot sync /a: the connection broke");
  assert.deepEqual([error.code, error.outcome], ["EVH_DISCONNECTED", "unknown"]);
});

test("a fresh read counts only behind a sync that was answered", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  let syncCount = 0;
  tree.fate = ({ name }) => (name === "sync" && (syncCount += 1) === 1 ? "lost" : "answered");
  const read = requestSpec(operations.getData, { path: "/a", watch: false }, "/a");
  await caller.read(read, { fresh: true });
  assert.deepEqual(tree.takeNames(), ["sync /a", "read /a", "sync /a", "read /a"]);
});

test("pauses of the policies are what they say", () => {
  const random = new Prng(3);
  const pauses = (policy: RetryPolicy, count: number): (number | undefined)[] => {
    const error = new EverholdError("EVH_UNSENT", "Cannot");
    const found: (number | undefined)[] = [];
    let lastPauseMs = 0;
    let elapsedMs = 0;
    for (let failedCount = 1; failedCount <= count; failedCount += 1) {
      const pauseMs = policy({ failedCount, elapsedMs, lastPauseMs, error, random });
      found.push(pauseMs);
      lastPauseMs = pauseMs ?? 0;
      elapsedMs += lastPauseMs;
    }
    return found;
  };
  assert.deepEqual(pauses(retries.nTimes(2, 7), 3), [7, 7, undefined]);
  assert.deepEqual(pauses(retries.oneTime(7), 2), [7, undefined]);
  assert.deepEqual(pauses(retries.untilElapsed(20, 10), 4), [10, 10, undefined, undefined]);
  assert.deepEqual(pauses(retries.forever(9), 3), [9, 9, 9]);
  const grown = pauses(retries.exponential({ baseMs: 10, maxMs: 50, retryCountMax: 30 }), 31);
  assert.equal(grown.pop(), undefined);
  let last = 10;
  for (const pauseMs of grown) {
    assert.ok(pauseMs !== undefined && pauseMs >= 10 && pauseMs <= 50 && pauseMs <= last * 3);
    last = Math.max(10, pauseMs);
  }
});

test("a policy that can't be is refused", () => {
  assert.throws(() => retries.forever(0), { code: "EVH_CONFIG" });
  assert.throws(() => retries.nTimes(-1), { code: "EVH_CONFIG" });
  assert.throws(() => retries.exponential({ baseMs: 0 }), { code: "EVH_CONFIG" });
});
