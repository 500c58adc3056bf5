import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { TestWorld } from "@everhold/test-world";
import { limits } from "../limits.ts";
import { refusedError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import { runnerAfterwards } from "./afterwards.ts";
import { retries } from "./retry-policy.ts";

function setUp() {
  const world = new TestWorld();
  const closing = new AbortController();
  const errors: unknown[] = [];
  const context = {
    ports: world.ports,
    retry: retries.oneTime(),
    requestTimeout: 1000,
    closed: closing.signal,
  };
  const run = runnerAfterwards(context, (error) => errors.push(error));
  return { world, closing, errors, run };
}

const lost = (): EverholdError =>
  new EverholdError("EVH_DISCONNECTED", "Cannot", { outcome: "unknown" });

test("a task is tried until it succeeds, however long that takes", async () => {
  const { world, errors, run } = setUp();
  let triedCount = 0;
  run("delete /a", async () => {
    if ((triedCount += 1) < 50) throw lost();
  });
  await world.advance(3_600_000);
  assert.deepEqual([triedCount, errors.length], [50, 0]);
});

test("what is refused for good is told, and ends", async () => {
  const { world, errors, run } = setUp();
  const refusal = refusedError({ operation: operations.delete, path: "/a" }, -102);
  run("delete /a", () => Promise.reject(refusal));
  await world.advance(1000);
  assert.deepEqual(errors, [refusal]);
});

test("a line that is full is no reason to give up", async () => {
  const { world, errors, run } = setUp();
  let triedCount = 0;
  run("delete /a", async () => {
    if ((triedCount += 1) < 5) throw new EverholdError("EVH_OVERLOADED", "Cannot");
  });
  await world.advance(60_000);
  assert.deepEqual([triedCount, errors.length], [5, 0]);
});

test("tasks end with the client, without a word", async () => {
  const { world, closing, errors, run } = setUp();
  run("delete /a", () => {
    if (closing.signal.aborted) throw new EverholdError("EVH_CLOSED", "Cannot");
    throw lost();
  });
  await world.settle();
  closing.abort();
  await world.settle();
  assert.deepEqual([...world.timers], []);
  let hasRun = false;
  run("delete /b", async () => void (hasRun = true));
  await world.settle();
  assert.deepEqual([hasRun, errors.length], [false, 0]);
});

test("too many tasks are refused, and told", async () => {
  const { world, closing, errors, run } = setUp();
  const stuck = new Promise<never>(() => undefined);
  for (let count = 0; count <= limits.afterwardsCountMax; count += 1) run("delete /a", () => stuck);
  await world.settle();
  assert.equal(errors.length, 1);
  assert.ok(EverholdError.is(errors[0], "EVH_OVERLOADED"));
  closing.abort();
});
