import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertNothingRuns, TestWorld } from "@everhold/test-world";
import fc from "fast-check";
import { type RetryPolicy, retries } from "../api/retry-policy.ts";
import type { SessionEvent } from "./states.ts";
import { steadyEvents } from "./steady-events.ts";

const error = new EverholdError("EVH_DISCONNECTED", "the connection broke");
const suspended: SessionEvent = { type: "suspended", epoch: 1, error, lastHeardMs: 5 };
const lost: SessionEvent = { type: "lost", epoch: 1, sessionId: 1n, by: "server" };
const reconnectedIn = (epoch: number, sessionChanged: boolean): SessionEvent => ({
  type: "reconnected",
  epoch,
  sessionId: 1n,
  sessionTimeout: 6000,
  server: "a:2181",
  sessionChanged,
  gap: true,
  restored: undefined,
});
const again = reconnectedIn(1, false);
const other = reconnectedIn(2, true);

/** Events as a test makes them, and what is told of them. */
function setUp(policy: RetryPolicy) {
  const world = new TestWorld();
  const listeners = new Set<(event: SessionEvent) => void>();
  const errors: unknown[] = [];
  const told: SessionEvent[] = [];
  const events = steadyEvents({
    ports: world.ports,
    policy,
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onError: (thrown) => errors.push(thrown),
  });
  const reading = (async () => {
    for await (const event of events) told.push(event);
  })();
  const emit = async (...list: readonly SessionEvent[]): Promise<void> => {
    for (const event of list) for (const listener of listeners) listener(event);
    await world.settle();
  };
  const types = (): string => told.map(({ type }) => type).join(" ");
  return { world, listeners, errors, told, events, reading, emit, types };
}

describe("events without flapping", () => {
  it("begin with the break, and go on with what is true when the pause is over", async () => {
    const { world, emit, told, types } = setUp(retries.forever(1000));
    await emit(suspended, again, suspended, again, suspended);
    assert.equal(types(), "suspended");
    await world.advance(1000);
    assert.equal(types(), "suspended");
    await emit(again);
    assert.equal(types(), "suspended");
    await world.advance(1000);
    assert.equal(types(), "suspended reconnected");
    assert.equal(told[1], again);
    await emit(suspended);
    assert.equal(types(), "suspended reconnected suspended");
  });

  it("never keep back that a session is lost, nor the next one", async () => {
    const { world, emit, types } = setUp(retries.forever(1000));
    await emit(suspended, again, suspended, lost, other);
    assert.equal(types(), "suspended lost reconnected");
    await emit(suspended, lost, other, suspended, again);
    assert.equal(types(), "suspended lost reconnected suspended lost reconnected suspended");
    await world.advance(1000);
    assert.match(types(), /suspended reconnected$/);
    await emit({ type: "closed" });
    assertNothingRuns(world);
  });

  it("keep nothing back where the policy gives up, or fails", async () => {
    const patient = setUp(retries.nTimes(1, 1000));
    await patient.emit(suspended);
    await patient.world.advance(1000);
    await patient.emit(again, suspended);
    assert.equal(patient.types(), "suspended reconnected suspended");
    const failing = setUp(() => {
      throw error;
    });
    await failing.emit(suspended, again);
    assert.equal(failing.types(), "suspended reconnected");
    assert.deepEqual(failing.errors, [error]);
  });

  it("end with the client, or when whoever reads leaves; then nothing runs any more", async () => {
    const closed = setUp(retries.forever(1000));
    await closed.emit(suspended, { type: "closed" });
    await closed.world.now(closed.reading);
    assertNothingRuns(closed.world);
    const left = setUp(retries.forever(1000));
    await left.emit(suspended);
    assert.ok(left.events.return !== undefined);
    await left.world.now(left.events.return());
    assert.equal(left.listeners.size, 0);
    assertNothingRuns(left.world);
  });

  it("are true, tell of every lost session at once, and of what is true in the end", async () => {
    const step = fc.constantFrom("break", "return", "lose", "wait 300", "wait 1500");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { world, emit, told, types } = setUp(retries.exponential({ baseMs: 500 }));
        let actual = "reconnected";
        let lostCount = 0;
        for (const next of steps) {
          if (next === "break" && actual === "reconnected") {
            actual = "suspended";
            await emit(suspended);
          } else if (next === "return" && actual !== "reconnected") {
            await emit(actual === "lost" ? other : again);
            actual = "reconnected";
          } else if (next === "lose" && actual === "suspended") {
            actual = "lost";
            lostCount += 1;
            await emit(lost);
          } else if (next.startsWith("wait")) {
            await world.advance(Number(next.slice(5)));
          }
          assert.equal(told.filter(({ type }) => type === "lost").length, lostCount);
          const last = told.at(-1)?.type ?? "reconnected";
          if (last === "reconnected") assert.equal(actual, "reconnected", types());
        }
        assert.doesNotMatch(types(), /suspended suspended|reconnected reconnected/);
        await world.advance(10_000);
        assert.equal(told.at(-1)?.type ?? "reconnected", actual);
      }),
      { numRuns: 300 },
    );
  });
});
