import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EverholdError, Prng } from "@everhold/base";
import { assertNothingRuns } from "@everhold/test-world";
import { operations } from "../protocol/operations.ts";
import { begin, requestOf, timeoutMs, type Setup } from "../testing/setup.test-support.ts";
import type { SessionEvent } from "./states.ts";

/** One request, and what became of it. */
interface Call {
  readonly path: string;
  settledCount: number;
  error: unknown;
}

/** Which events may follow which. */
const successors: Readonly<Record<string, readonly string[]>> = {
  start: ["connected", "closed"],
  connected: ["suspended", "closed"],
  reconnected: ["suspended", "closed"],
  suspended: ["reconnected", "lost", "closed"],
  lost: ["reconnected", "closed"],
  closed: [],
};

function assertGrammar(events: readonly SessionEvent[]): void {
  let last = "start";
  let epoch = 0;
  for (const event of events) {
    assert.ok(successors[last]?.includes(event.type), `${event.type} behind ${last}`);
    if (event.type === "connected") assert.equal(event.epoch, (epoch += 1));
    if (event.type === "reconnected") {
      if (event.sessionChanged) assert.ok(event.epoch > epoch);
      else assert.equal(event.epoch, epoch);
      // A session that is told to be lost is never there again.
      assert.equal(event.sessionChanged, last === "lost");
      ({ epoch } = event);
    }
    if (event.type === "suspended" || event.type === "lost") assert.equal(event.epoch, epoch);
    last = event.type;
  }
}

/** After a session was told to be lost, all that a server hears in its name is its end. */
function assertLostIsLost(lostAt: ReadonlyMap<bigint, number>, { ensemble }: Setup): void {
  ensemble.received.forEach(({ sessionId, code }, index) => {
    const lostIndex = lostAt.get(sessionId);
    if (lostIndex === undefined || index < lostIndex) return;
    assert.equal(code, operations.closeSession.code);
  });
}

/** What is said of every request is true. */
function assertTruth(calls: readonly Call[], { ensemble }: Setup): void {
  const arrivals = new Map<string, number>();
  for (const { path } of ensemble.received) {
    if (path !== undefined) arrivals.set(path, (arrivals.get(path) ?? 0) + 1);
  }
  for (const { path, settledCount, error } of calls) {
    const count = arrivals.get(path) ?? 0;
    assert.equal(settledCount, 1, path);
    assert.ok(count <= 1, `${path} was sent ${count} times`);
    if (error === undefined) {
      assert.equal(count, 1, path);
    } else {
      assert.ok(EverholdError.is(error), path);
      if (error.outcome === "none") assert.equal(count, 0, `${path}: ${error.message}`);
    }
  }
}

/** A client never counts on a session that the servers may have ended because they did not hear of it. */
function assertNotLate({ world, ensemble, session }: Setup): void {
  if (session.state !== "connected" && session.state !== "suspended") return;
  const heardAtMs = ensemble.heardAtMs.get(session.sessionId) ?? 0;
  assert.ok(world.nowMs <= heardAtMs + timeoutMs, `at ${world.nowMs}, heard at ${heardAtMs}`);
}

async function harm({ world, ensemble }: Setup, prng: Prng): Promise<void> {
  const server = ensemble.servers[prng.uint32() % ensemble.servers.length];
  assert.ok(server !== undefined);
  switch (prng.uint32() % 9) {
    case 0:
      return server.kill();
    case 1:
    case 2:
      server.kill();
      return server.start();
    case 3:
      server.isFrozen = true;
      return;
    case 4:
      server.isFrozen = false;
      return;
    case 5:
      server.hasQuorum = !server.hasQuorum;
      return;
    case 6:
      if (prng.uint32() % 3 === 0) ensemble.sessions.clear();
      return;
    case 7:
      return world.network.openLinks.at(-1)?.cut();
    default:
      server.isReadOnly = prng.uint32() % 4 === 0;
  }
}

/** `stalls`: the process itself is held up now and then, which it notices only afterwards. */
async function run(seed: number, stalls: boolean): Promise<void> {
  const prng = new Prng(seed);
  const setup = await begin({ seed });
  const { world, ensemble, session, events } = setup;
  const lostAt = new Map<bigint, number>();
  session.listen((event) => {
    if (event.type === "lost") lostAt.set(event.sessionId, ensemble.received.length);
  });
  const calls: Call[] = [];
  const call = (): void => {
    const made: Call = { path: `/${calls.length}`, settledCount: 0, error: undefined };
    calls.push(made);
    const deadlineMs = world.nowMs + 100 + (prng.uint32() % 20_000);
    const epoch = prng.uint32() % 4 === 0 ? session.epoch : undefined;
    session.request(requestOf(made.path), { deadlineMs, epoch }).then(
      () => (made.settledCount += 1),
      (error: unknown) => {
        made.settledCount += 1;
        made.error = error;
      },
    );
  };
  for (let round = 0; round < 40; round += 1) {
    for (let count = prng.uint32() % 3; count > 0; count -= 1) call();
    await harm(setup, prng);
    if (stalls && prng.uint32() % 4 === 0) world.nowMs += prng.uint32() % (2 * timeoutMs);
    if (prng.uint32() % 2 === 0) await world.step();
    else await world.advance(prng.uint32() % 3000);
    if (!stalls) assertNotLate(setup);
  }
  for (const server of ensemble.servers) {
    Object.assign(server, { isFrozen: false, hasQuorum: true, isReadOnly: false });
    server.kill();
    server.start();
  }
  await world.advance(60_000);
  assert.equal(session.state, "connected");
  const closing = session.close();
  await world.advance(10_000);
  await world.now(closing);
  assertNothingRuns(world);
  assert.equal(world.network.openLinkCountMax, 1);
  assertGrammar(events);
  assertLostIsLost(lostAt, setup);
  assertTruth(calls, setup);
}

describe("a session among servers that fail in every way", () => {
  for (const stalls of [false, true]) {
    it(`keeps its word${stalls ? ", though its process is held up, too" : ""}`, async () => {
      for (let seed = 1; seed <= 100; seed += 1) {
        try {
          await run(seed, stalls);
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
    });
  }
});
