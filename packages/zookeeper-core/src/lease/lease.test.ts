import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { writeValue, ByteWriter } from "@everhold/wire";
import { runInSession } from "../managed/in-session.ts";
import { multiReply, type MultiResult } from "../protocol/multi.ts";
import { operations } from "../protocol/operations.ts";
import type { ReceivedRequest, Verdict } from "../testing/test-ensemble.test-support.ts";
import { forever, setUp, timeoutMs, type Setup } from "../testing/setup.test-support.ts";
import type { Lease, LeaseTiming } from "./lease.ts";
import type { LeaseNode } from "./renewal.ts";

const timing = { tickTime: 500, renewInterval: 600 };

/** Answers renewals as a server does, and everything else as usual. */
function renewing(...results: MultiResult[]): (request: ReceivedRequest) => Verdict {
  const writer = new ByteWriter();
  writeValue(multiReply, writer, results);
  const body = writer.toBytes();
  return ({ code }) => (code === operations.multi.code ? body : "usual");
}

/** A lease, held, of work that goes on until the lease has ended. */
interface Held extends Setup {
  readonly lease: Lease;
  readonly work: Promise<string>;
}

async function hold(
  leaseTiming: LeaseTiming = timing,
  node?: LeaseNode,
  rule = renewing(),
): Promise<Held> {
  const setup = await setUp();
  const { world, ensemble, session } = setup;
  ensemble.rule = rule;
  let lease: Lease | undefined;
  const context = { session, requests: session, ports: world.ports };
  const work = runInSession(context, forever, async ({ takeLease }) => {
    const taken = await takeLease({ ...leaseTiming, node, wait: forever });
    lease = taken;
    await new Promise<void>((resolve) => {
      taken.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    return "worked";
  });
  work.catch(() => undefined);
  await world.advance(2000);
  assert.ok(lease !== undefined, "the lease is held by now");
  return { ...setup, lease, work };
}

test("a lease is held while it is renewed through the leader, for long", async () => {
  const { world, ensemble, session, lease } = await hold();
  for (let count = 0; count < 100; count += 1) {
    await world.advance(500);
    assert.equal(lease.isHeld(), true);
    assert.ok(lease.remainingMs < timeoutMs);
  }
  const renewals = ensemble.received.filter(({ code }) => code === operations.multi.code);
  assert.ok(renewals.length > 80 && renewals.length < 95, `${renewals.length} renewals`);
  await world.now(session.close());
  assertNothingRuns(world);
});

test("it ends before the session may, when renewals get no answer though the server does answer", async () => {
  const { world, ensemble, lease, work, session } = await hold();
  const { lastZxid } = session;
  ensemble.rule = ({ code }) => (code === operations.multi.code ? "drop" : "usual");
  const cutAtMs = world.nowMs;
  let endedAtMs: number | undefined;
  lease.signal.addEventListener("abort", () => (endedAtMs = world.nowMs));
  while (lease.isHeld()) await world.advance(50);
  assert.ok(endedAtMs !== undefined);
  assert.ok(world.nowMs - cutAtMs < timeoutMs * 0.95, `${world.nowMs - cutAtMs} ms`);
  assert.ok(world.nowMs - cutAtMs > timeoutMs / 2, `${world.nowMs - cutAtMs} ms`);
  assert.ok(session.lastZxid >= lastZxid);
  await world.settle();
  assert.ok(EverholdError.is(lease.signal.reason, "EVH_LEASE_LOST"));
  assert.throws(() => lease.check(), { code: "EVH_LEASE_LOST" });
  assert.equal(await world.now(work), "worked");
});

test("a process that stood still finds its lease gone when it asks, before any timer fires", async () => {
  const { world, lease } = await hold();
  assert.equal(lease.isHeld(), true);
  world.nowMs += timeoutMs;
  assert.equal(lease.isHeld(), false);
  assert.equal(lease.remainingMs, 0);
  assert.equal(lease.signal.aborted, true);
  // Renewals whose answers come now do not bring it back.
  await world.advance(3000);
  assert.equal(lease.isHeld(), false);
});

test("it outlives the loss of a server", async () => {
  const { world, ensemble, session, lease } = await hold();
  ensemble.connected.kill();
  await world.advance(5000);
  assert.equal(session.state, "connected");
  assert.equal(lease.isHeld(), true);
});

test("it counts with what the server that is connected grants, where that is less", async () => {
  const { world, ensemble, session, lease } = await hold();
  const granted = ensemble.sessions.get(session.sessionId);
  assert.ok(granted !== undefined);
  ensemble.sessions.set(granted.id, { ...granted, timeoutMs: 3000 });
  assert.ok(lease.remainingMs > 3000);
  ensemble.connected.kill();
  await world.advance(200);
  assert.equal(session.sessionTimeoutMs, 3000);
  assert.ok(lease.remainingMs < 3000, `${lease.remainingMs} ms`);
  assert.equal(lease.isHeld(), true);
});

test("it ends with the session, and the work in it hears why", async () => {
  const { world, ensemble, lease, work } = await hold();
  ensemble.sessions.clear();
  ensemble.connected.kill();
  await world.advance(1000);
  assert.equal(lease.isHeld(), false);
  assert.ok(EverholdError.is(lease.signal.reason, "EVH_LEASE_LOST"));
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED", "unknown");
});

test("it ends when the node that it stands on is gone", async () => {
  const node = { path: "/leader", version: 3 };
  const there = renewing({ kind: "check" });
  const { world, ensemble, lease, work } = await hold(timing, node, there);
  await world.advance(1000);
  assert.equal(lease.isHeld(), true);
  ensemble.rule = renewing({ kind: "error", errorCode: -101 });
  await world.advance(1000);
  assert.equal(lease.isHeld(), false);
  assert.match(String(lease.signal.reason), /NONODE/u);
  assert.equal(await world.now(work), "worked");
});

test("it ends with the work", async () => {
  const { world, session, ensemble } = await setUp();
  ensemble.rule = renewing();
  const context = { session, requests: session, ports: world.ports };
  const work = runInSession(context, forever, ({ takeLease }) =>
    takeLease({ ...timing, node: undefined, wait: forever }),
  );
  await world.advance(2000);
  const lease = await world.now(work);
  assert.equal(lease.isHeld(), false);
  await world.now(session.close());
  assertNothingRuns(world);
});

test("nobody is made to wait for a lease longer than they want", async () => {
  const { world, session, ensemble } = await setUp();
  ensemble.rule = ({ code }) => (code === operations.multi.code ? "drop" : "usual");
  const context = { session, requests: session, ports: world.ports };
  const work = runInSession(context, forever, ({ takeLease }) =>
    takeLease({ ...timing, node: undefined, wait: { deadlineMs: world.nowMs + 1000 } }),
  );
  work.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, work), "EVH_TIMEOUT");
});

test("a session timeout that leaves no time for a lease is refused, as are times that are none", async () => {
  const { world, session } = await setUp();
  const context = { session, requests: session, ports: world.ports };
  const wrong: readonly LeaseTiming[] = [
    { tickTime: 4000 },
    { renewInterval: 3000 },
    { tickTime: 0 },
    { tickTime: Number.NaN },
    { renewInterval: -1 },
  ];
  for (const one of wrong) {
    const work = runInSession(context, forever, ({ takeLease }) =>
      takeLease({ ...one, node: undefined, wait: forever }),
    );
    assertError(await rejection(world, work), "EVH_CONFIG");
  }
});
