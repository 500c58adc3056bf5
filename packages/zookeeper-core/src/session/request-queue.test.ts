import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  assertError,
  begin,
  forever,
  rejection,
  requestOf,
  setUp,
} from "../testing/setup.test-support.ts";
import { sessionLimits as limits } from "./session-limits.ts";

describe("requests that wait", () => {
  it("leave in the order of calls, those that came meanwhile behind", async () => {
    const { world, ensemble, session } = await begin();
    const calls = ["/1", "/2", "/3"].map((path) => session.request(requestOf(path), forever));
    await world.now(Promise.all(calls));
    assert.deepEqual(
      ensemble.received.map(({ path }) => path),
      ["/1", "/2", "/3"],
    );
  });

  it("are refused where there are too many", async () => {
    const { world, session } = await begin({
      prepare: (ensemble) => ensemble.servers.forEach((server) => server.kill()),
    });
    for (let count = 0; count < limits.unsentCountMax; count += 1) {
      session.request(requestOf(), forever).catch(() => undefined);
    }
    const more = session.request(requestOf(), forever);
    assertError(await rejection(world, more), "EVH_OVERLOADED");
  });

  it("end with the caller's signal, before and while they wait", async () => {
    const { world, ensemble, session } = await begin({
      prepare: (prepared) => prepared.servers.forEach((server) => server.kill()),
    });
    const ending = new AbortController();
    const { signal } = ending;
    const waiting = session.request(requestOf("/waiting"), { deadlineMs: Infinity, signal });
    ending.abort();
    assertError(await rejection(world, waiting), "EVH_ABORTED");
    const late = session.request(requestOf("/late"), { deadlineMs: Infinity, signal });
    assertError(await rejection(world, late), "EVH_ABORTED");
    for (const server of ensemble.servers) server.start();
    await world.advance(10_000);
    assert.equal(session.state, "connected");
    assert.deepEqual(ensemble.received, []);
  });

  it("bound to a session end with it, the others go on in the next", async () => {
    const { world, ensemble, session } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.settle();
    const bound = session.request(requestOf("/bound"), { deadlineMs: Infinity, epoch: 1 });
    bound.catch(() => undefined);
    const free = session.request(requestOf("/free"), forever);
    ensemble.sessions.clear();
    for (const server of ensemble.servers) server.start();
    await world.advance(5000);
    assertError(await rejection(world, bound), "EVH_SESSION_EXPIRED");
    assert.equal(await world.now(free), 0);
    assert.deepEqual(
      ensemble.received.map(({ path }) => path),
      ["/free"],
    );
  });

  it("what a lease has lost is ended on the servers before anything else is done", async () => {
    const { world, ensemble, session, events } = await setUp();
    const { sessionId } = session;
    session.loseByLease(7);
    assert.equal(session.state, "connected");
    session.loseByLease(1);
    assert.equal(session.state, "lost");
    await world.advance(200);
    assert.equal(session.epoch, 2);
    assert.ok(!ensemble.sessions.has(sessionId));
    assert.deepEqual(
      events.map(({ type }) => type),
      ["connected", "lost", "reconnected"],
    );
  });
});
