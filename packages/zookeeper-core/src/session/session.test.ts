import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { operations } from "../protocol/operations.ts";
import {
  begin,
  forever,
  requestOf,
  setUp,
  timeoutMs,
  typesOf,
} from "../testing/setup.test-support.ts";

describe("a session", () => {
  it("connects, answers requests in order, and closes with nothing left", async () => {
    const { world, ensemble, session, events } = await setUp();
    assert.equal(session.state, "connected");
    assert.equal(session.epoch, 1);
    assert.equal(session.sessionId, 0x1001n);
    ensemble.rule = ({ xid }) => new Uint8Array([0, 0, 0, xid]);
    const answers = [1, 2, 3].map(() => session.request(requestOf(), forever));
    assert.deepEqual(await world.now(Promise.all(answers)), [1, 2, 3]);
    ensemble.rule = () => "usual";
    await world.now(session.close());
    assert.equal(ensemble.sessions.size, 0);
    assert.deepEqual(typesOf(events), ["connected", "closed"]);
    assert.equal(session.state, "closed");
    assertNothingRuns(world);
  });

  it("warns of a timeout that the servers had to raise, and only of that", async () => {
    const short = await setUp({ settings: { sessionTimeoutMs: 400 } });
    assert.equal(short.session.sessionTimeoutMs, 1000);
    assert.match(short.world.warnings.join(), /no session as short as was asked for/);
    const usual = await setUp();
    assert.deepEqual(usual.world.warnings, []);
  });

  it("sends no check alone, which would damage the ensemble, and goes on", async () => {
    const { world, ensemble, session } = await setUp();
    const check = { ...operations.delete, name: "check", code: 13 };
    const refused = await rejection(world, session.request(requestOf("/a", check), forever));
    assertError(refused, "EVH_ILLEGAL_STATE");
    await world.now(session.request(requestOf("/b"), forever));
    assert.deepEqual(ensemble.takeCodes(), [operations.delete.code]);
  });

  it("moves to another server with the same session when the first one dies", async () => {
    const { world, ensemble, session, events } = await setUp();
    const { sessionId } = session;
    ensemble.rule = () => "drop";
    const left = session.request(requestOf("/left"), forever);
    await world.settle();
    ensemble.rule = () => "usual";
    const first = ensemble.connected;
    first.kill();
    const lost = await rejection(world, left);
    assertError(lost, "EVH_DISCONNECTED", "unknown");
    const waiting = session.request(requestOf("/waiting"), forever);
    assert.equal(session.state, "suspended");
    await world.advance(200);
    assert.equal(await world.now(waiting), 0);
    assert.equal(session.sessionId, sessionId);
    assert.notEqual(ensemble.connected, first);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "reconnected"]);
    const again = events[2];
    assert.ok(again?.type === "reconnected" && !again.sessionChanged && again.gap);
    assert.equal(world.network.openLinkCountMax, 1);
  });

  it("notices a server that is silent, and leaves time to find another", async () => {
    const { world, ensemble, session, events } = await setUp();
    ensemble.connected.isFrozen = true;
    await world.advance((timeoutMs * 2) / 3 + 2);
    assert.deepEqual(typesOf(events), ["connected", "suspended"]);
    const suspended = events[1];
    assert.ok(suspended?.type === "suspended" && suspended.error.code === "EVH_CONNECTION_TIMEOUT");
    await world.advance(200);
    assert.equal(session.state, "connected");
    assert.equal(session.epoch, 1);
  });

  it("tries every server in what is left of the time, though some do not answer", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { world, ensemble, session, events } = await setUp({ seed });
      const good = ensemble.servers.find(({ connections }) => connections.length === 0);
      for (const server of ensemble.servers) server.isFrozen = server !== good;
      await world.advance(timeoutMs - 1);
      assert.deepEqual(typesOf(events), ["connected", "suspended", "reconnected"]);
      assert.equal(session.epoch, 1);
    }
  });

  it("pings when nothing is sent, and stays connected for ever", async () => {
    const { world, session, events } = await setUp();
    await world.advance(timeoutMs * 20);
    assert.equal(session.state, "connected");
    assert.deepEqual(typesOf(events), ["connected"]);
  });

  it("begins a new session when the servers have ended the old one", async () => {
    const { world, ensemble, session, events } = await setUp();
    ensemble.sessions.clear();
    ensemble.connected.kill();
    await world.advance(200);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "lost", "reconnected"]);
    assert.equal(session.epoch, 2);
    assert.equal(session.sessionId, 0x1002n);
    const again = events[3];
    assert.ok(again?.type === "reconnected" && again.sessionChanged && again.epoch === 2);
    const error = await rejection(
      world,
      session.request(requestOf(), { deadlineMs: Infinity, epoch: 1 }),
    );
    assertError(error, "EVH_SESSION_EXPIRED");
    assert.equal(await world.now(session.request(requestOf(), forever)), 0);
  });

  it("tells that the session is lost when the clock says so, ends it, and begins a new one", async () => {
    const { world, ensemble, session, events } = await setUp();
    const { sessionId } = session;
    for (const server of ensemble.servers) server.kill();
    await world.advance(timeoutMs - 1);
    assert.deepEqual(typesOf(events), ["connected", "suspended"]);
    await world.advance(1);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "lost"]);
    assert.equal(session.state, "lost");
    assert.ok(ensemble.sessions.has(sessionId));
    for (const server of ensemble.servers) server.start();
    await world.advance(20_000);
    assert.equal(session.state, "connected");
    assert.equal(session.epoch, 2);
    assert.deepEqual([...ensemble.sessions.keys()], [session.sessionId]);
    // The old session was never used for anything but its end.
    assert.deepEqual(ensemble.takeCodes(), [operations.closeSession.code]);
  });

  it("begins no new one before a server has answered that the lost one is ended", async () => {
    const { world, ensemble, session } = await setUp();
    const { sessionId } = session;
    for (const server of ensemble.servers) server.kill();
    await world.advance(timeoutMs);
    let breaks = 2;
    ensemble.rule = ({ code }) =>
      code === operations.closeSession.code && breaks-- > 0 ? "close" : "usual";
    for (const server of ensemble.servers) server.start();
    await world.advance(30_000);
    assert.equal(session.state, "connected");
    assert.ok(!ensemble.sessions.has(sessionId));
    assert.deepEqual([...ensemble.sessions.keys()], [session.sessionId]);
  });

  it("leaves the lost one to expire where the servers ask for a login to end it", async () => {
    const { world, ensemble, session } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.advance(timeoutMs);
    ensemble.rule = ({ code }) => (code === operations.closeSession.code ? -124 : "usual");
    for (const server of ensemble.servers) server.start();
    await world.advance(20_000);
    assert.equal(session.state, "connected");
    assert.equal(session.epoch, 2);
  });

  it("resumes the session where the servers come back before it is told to be lost", async () => {
    const { world, ensemble, session, events } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.advance(timeoutMs / 2);
    for (const server of ensemble.servers) server.start();
    await world.advance(timeoutMs / 2);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "reconnected"]);
    assert.equal(session.epoch, 1);
  });

  it("treats another session id than the one it asked for as expired", async () => {
    const { world, ensemble, session, events } = await setUp({ hosts: ["a"] });
    const session1 = ensemble.sessions.get(session.sessionId);
    assert.ok(session1 !== undefined);
    ensemble.sessions.set(session1.id, { ...session1, id: 0x7777n });
    ensemble.connected.kill();
    ensemble.server("a").start();
    await world.advance(5000);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "lost", "reconnected"]);
    assert.equal(session.sessionId, 0x1002n);
  });

  it("passes by hosts that refuse, are silent, cannot do anything, or only read", async () => {
    const { world, session, ensemble } = await begin({
      hosts: ["a", "b", "c", "d", "e"],
      prepare: (prepared, preparedWorld) => {
        prepared.server("a").kill();
        preparedWorld.network.silence({ host: "b" });
        prepared.server("c").hasQuorum = false;
        prepared.server("d").isReadOnly = true;
      },
    });
    await world.advance(3 * timeoutMs);
    assert.equal(session.state, "connected");
    assert.equal(ensemble.connected.host, "e");
    assert.equal(world.network.openLinks.length, 1);
  });

  it("gives a server that takes the connection and says nothing its share of the time only", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { world, session } = await begin({
        seed,
        prepare: (prepared) => {
          prepared.server("a").isFrozen = true;
          prepared.server("b").isFrozen = true;
        },
      });
      await world.advance((2 * timeoutMs) / 3 + 1);
      assert.equal(session.state, "connected");
      assert.equal(world.network.openLinks.length, 1);
    }
  });

  it("refuses a request at its time limit as unsent while no server is there", async () => {
    const { world, session } = await begin({
      prepare: (prepared) => prepared.servers.forEach((server) => server.kill()),
    });
    const promise = session.request(requestOf(), { deadlineMs: world.nowMs + 500 });
    promise.catch(() => undefined);
    await world.advance(500);
    assertError(await rejection(world, promise), "EVH_UNSENT");
    await world.now(session.close());
    assertNothingRuns(world);
  });

  it("keeps the place of a request whose caller has gone", async () => {
    const { world, ensemble, session } = await setUp({ hosts: ["a"] });
    ensemble.rule = () => "drop";
    const late = session.request(requestOf("/late"), { deadlineMs: world.nowMs + 100 });
    late.catch(() => undefined);
    const next = session.request(requestOf("/next"), forever);
    await world.advance(100);
    assertError(await rejection(world, late), "EVH_TIMEOUT", "unknown");
    const [connection] = ensemble.connected.connections;
    connection?.reply(1);
    connection?.reply(2, { body: new Uint8Array([0, 0, 0, 9]) });
    assert.equal(await world.now(next), 9);
  });

  it("sends no more than the server can hold, and the rest when there is room", async () => {
    const { world, ensemble, session } = await setUp({ hosts: ["a"] });
    ensemble.rule = () => "drop";
    const all = Array.from({ length: 1500 }, () => session.request(requestOf(), forever));
    await world.settle();
    assert.equal(ensemble.received.length, 1000);
    const [connection] = ensemble.connected.connections;
    ensemble.rule = () => "usual";
    for (let xid = 1; xid <= 1000; xid += 1) connection?.reply(xid);
    assert.equal((await world.now(Promise.all(all))).length, 1500);
  });

  it("refuses what is too large, and nothing else suffers", async () => {
    const { world, ensemble, session } = await setUp({
      hosts: ["a"],
      settings: { requestBytesMax: 100 },
    });
    const large = session.request(requestOf(`/${"x".repeat(100)}`), forever);
    const small = session.request(requestOf("/small"), forever);
    assertError(await rejection(world, large), "EVH_FRAME_TOO_LARGE");
    assert.equal(await world.now(small), 0);
    assert.equal(ensemble.received.length, 1);
  });

  it("never sends what only a transaction or a server may", async () => {
    const { world, ensemble, session } = await setUp({ hosts: ["a"] });
    for (const code of [13, 20, -10, 0, -1]) {
      const spec = requestOf("/node", { name: "check", code, isWrite: true });
      assertError(await rejection(world, session.request(spec, forever)), "EVH_ILLEGAL_STATE");
    }
    assert.deepEqual(ensemble.received, []);
  });

  it("a listener that throws hurts nobody, and an event says so", async () => {
    const { world, ensemble, session, events } = await begin();
    session.listen(() => {
      throw new Error("the test says so");
    });
    ensemble.connected.kill();
    await world.advance(200);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "error", "reconnected", "error"]);
    assert.equal(await world.now(session.request(requestOf(), forever)), 0);
  });

  it("moves to other servers when it is told to, with the same session", async () => {
    const { world, ensemble, session, events } = await setUp({ hosts: ["a", "b"] });
    const { sessionId } = session;
    const { host } = ensemble.connected;
    session.useServers([{ host, port: 2181 }]);
    await world.advance(200);
    assert.deepEqual(typesOf(events), ["connected"]);
    const other = host === "a" ? "b" : "a";
    session.useServers([{ host: other, port: 2181 }]);
    await world.advance(200);
    assert.equal(ensemble.connected.host, other);
    assert.equal(session.sessionId, sessionId);
    assert.deepEqual(typesOf(events), ["connected", "suspended", "reconnected"]);
  });

  it("tries the servers that it is told of at once, instead of those that do not answer", async () => {
    const { world, session } = await begin({
      hosts: ["a", "b"],
      settings: { servers: [{ host: "silent", port: 2181 }] },
      prepare: (_, prepared) => prepared.network.silence({ host: "silent" }),
    });
    session.useServers([
      { host: "a", port: 2181 },
      { host: "b", port: 2181 },
    ]);
    await world.now(session.ready());
    assert.equal(world.network.attempts.size, 0);
  });

  it("begins a new session when an answer says that the old one is over", async () => {
    const { world, ensemble, session, events } = await setUp();
    ensemble.rule = () => -112;
    const error = await rejection(world, session.request(requestOf(), forever));
    assertError(error, "EVH_SESSION_EXPIRED");
    ensemble.rule = () => "usual";
    await world.advance(200);
    assert.deepEqual(typesOf(events), ["connected", "lost", "reconnected"]);
    assert.equal(session.epoch, 2);
  });
});
