import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { begin, forever, setUp, timeoutMs, typesOf } from "../testing/setup.test-support.ts";
import { runInSession } from "./in-session.ts";

test("work waits for a session, and gives what it gave", async () => {
  const { world, session } = await begin();
  const context = { session, requests: session, ports: world.ports };
  const work = runInSession(context, forever, ({ scope }) => `in ${scope.epoch}`);
  assert.equal(await world.now(work), "in 1");
  await world.now(session.close());
  assertNothingRuns(world);
});

test("what work throws is what the caller gets", async () => {
  const { world, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  const thrown = new Error("thrown by the work");
  const work = runInSession(context, forever, () => {
    throw thrown;
  });
  await assert.rejects(world.now(work), thrown);
});

test("another server with the same session is no end; another session is", async () => {
  const { world, ensemble, session, events } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  let isAborted = false;
  let finish: (() => void) | undefined;
  const work = runInSession(context, forever, async ({ scope }) => {
    scope.signal.addEventListener("abort", () => (isAborted = true));
    await new Promise<void>((resolve) => (finish = resolve));
    return "worked";
  });
  work.catch(() => undefined);
  ensemble.connected.kill();
  await world.advance(1000);
  assert.equal(isAborted, false);
  ensemble.sessions.clear();
  ensemble.connected.kill();
  await world.advance(1000);
  assert.ok(typesOf(events).includes("lost"));
  assert.equal(isAborted, true);
  assert.equal(await world.isPending(work), true);
  finish?.();
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED", "unknown");
});

test("work within work is of the same session, or is not begun", async () => {
  const { world, ensemble, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  const bound = { ...forever, epoch: 1 };
  assert.equal(await world.now(runInSession(context, bound, ({ scope }) => scope.epoch)), 1);
  ensemble.sessions.clear();
  ensemble.connected.kill();
  await world.advance(1000);
  let hasRun = false;
  const work = runInSession(context, bound, () => void (hasRun = true));
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED");
  assert.equal(hasRun, false);
});

test("the end of the client ends it", async () => {
  const { world, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  let reason: unknown;
  const work = runInSession(context, forever, async ({ scope }) => {
    await new Promise<void>((resolve) => {
      scope.signal.addEventListener("abort", () => resolve());
    });
    reason = scope.signal.reason;
  });
  work.catch(() => undefined);
  await world.settle();
  await world.now(session.close());
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED", "unknown");
  assert.ok(reason instanceof Error);
});

test("work in a session that is over is refused at once, also while no server is connected", async () => {
  const { world, ensemble, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  for (const server of ensemble.servers) server.kill();
  await world.settle();
  const bound = { ...forever, epoch: 1 };
  const waiting = runInSession(context, bound, () => undefined);
  waiting.catch(() => undefined);
  assert.equal(await world.isPending(waiting), true);
  await world.advance(3 * timeoutMs);
  assert.equal(session.state, "lost");
  assertError(await rejection(world, waiting), "EVH_SESSION_EXPIRED", "none");
  const late = runInSession(context, bound, () => undefined);
  assertError(await rejection(world, late), "EVH_SESSION_EXPIRED", "none");
  await world.now(session.close());
  assertNothingRuns(world);
});

test("work in one session waits for it no longer than the caller does", async () => {
  const { world, ensemble, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  for (const server of ensemble.servers) server.kill();
  await world.settle();
  const ending = new AbortController();
  const wait = { deadlineMs: Infinity, signal: ending.signal, epoch: 1 };
  const waiting = runInSession(context, wait, () => undefined);
  ending.abort();
  assertError(await rejection(world, waiting), "EVH_ABORTED");
  const late = runInSession(context, wait, () => undefined);
  assertError(await rejection(world, late), "EVH_ABORTED");
  await world.now(session.close());
});
