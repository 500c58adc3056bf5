import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deferred } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import type { TestEnsemble } from "../testing/test-ensemble.test-support.ts";
import {
  begin,
  forever,
  requestOf,
  setUp,
  timeoutMs,
  type Setup,
  typesOf,
} from "../testing/setup.test-support.ts";
import { noWatches } from "./session-hooks.ts";

/** Ways to a state in which a client is closed. */
const states: Readonly<Record<string, () => Promise<Setup>>> = {
  "that never reached anybody": () =>
    begin({ prepare: (ensemble) => ensemble.servers.forEach((server) => server.kill()) }),
  "whose attempts are not answered": () =>
    begin({
      prepare: (_, world) => ["a", "b", "c"].forEach((host) => world.network.silence({ host })),
    }),
  "in its handshake": () =>
    begin({
      prepare: (ensemble) => ensemble.servers.forEach((server) => (server.isFrozen = true)),
    }),
  "that waits for its identity to be taken": () =>
    begin({
      settings: { auths: [{ scheme: "digest", auth: new TextEncoder().encode("u:p") }] },
      prepare: (ensemble) => (ensemble.rule = () => "drop"),
    }),
  "that waits for its watches": async () => {
    const watches = { ...noWatches, restoreSameSession: () => new Promise<void>(() => undefined) };
    const setup = await setUp({ watches });
    setup.ensemble.connected.kill();
    await setup.world.advance(200);
    return setup;
  },
  "that is connected": () => setUp(),
  "whose server no longer answers": async () => {
    const setup = await setUp();
    for (const server of setup.ensemble.servers) server.isFrozen = true;
    return setup;
  },
  "that is suspended": async () => {
    const setup = await setUp();
    for (const server of setup.ensemble.servers) server.kill();
    await setup.world.settle();
    return setup;
  },
  "that is between two servers": async () => {
    const setup = await setUp();
    setup.ensemble.connected.kill();
    await setup.world.settle();
    return setup;
  },
  "whose session is lost": async () => {
    const setup = await setUp();
    for (const server of setup.ensemble.servers) server.kill();
    await setup.world.advance(2 * timeoutMs);
    assert.equal(setup.session.state, "lost");
    return setup;
  },
};

describe("closing a session", () => {
  for (const [name, reach] of Object.entries(states)) {
    it(`one ${name} leaves nothing, and settles every caller once`, async () => {
      const setup = await reach();
      const { world, session, events } = setup;
      const settled: string[] = [];
      const calls = [session.request(requestOf(), forever), session.ready()];
      for (const call of calls) {
        call.then(
          () => settled.push("done"),
          () => settled.push("failed"),
        );
      }
      const [first, second] = [session.close(), session.close()];
      await world.advance(10_000);
      await world.now(Promise.all([first, second]));
      assert.equal(settled.length, 2);
      assert.equal(session.state, "closed");
      assert.equal(typesOf(events).filter((type) => type === "closed").length, 1);
      assertNothingRuns(world);
      assertError(await rejection(world, session.request(requestOf(), forever)), "EVH_CLOSED");
      assertError(await rejection(world, session.ready()), "EVH_CLOSED");
    });
  }

  it("one that never began closes at once", async () => {
    const { world, session } = await begin();
    const closing = session.close();
    await world.now(closing);
    assertNothingRuns(world);
  });

  it("the session is gone from the servers also where another one must end it", async () => {
    const { world, ensemble, session } = await setUp();
    ensemble.connected.kill();
    await world.settle();
    assert.equal(session.state, "suspended");
    await world.now(session.close());
    assert.equal(ensemble.sessions.size, 0);
    assertNothingRuns(world);
  });

  it("a session that was told to be lost is ended, too, where a server is there again", async () => {
    const { world, ensemble, session } = await setUp();
    for (const server of ensemble.servers) server.kill();
    await world.advance(2 * timeoutMs);
    assert.equal(session.state, "lost");
    for (const server of ensemble.servers) server.start();
    await world.now(session.close());
    assert.equal(ensemble.sessions.size, 0);
    assertNothingRuns(world);
  });

  it("requests before it are answered", async () => {
    const { world, ensemble, session } = await setUp();
    const before = [1, 2, 3].map(() => session.request(requestOf(), forever));
    const closing = session.close();
    const behind = session.request(requestOf(), forever);
    assertError(await rejection(world, behind), "EVH_CLOSED");
    assert.deepEqual(await world.now(Promise.all(before)), [0, 0, 0]);
    await world.now(closing);
    assert.equal(ensemble.sessions.size, 0);
  });

  it("one whose session the server says is over meanwhile is closed all the same", async () => {
    const { world, ensemble, session, events } = await setUp();
    ensemble.rule = () => zooKeeperErrors.SESSIONEXPIRED.number;
    const before = session.request(requestOf(), forever);
    const closing = session.close();
    assertError(await rejection(world, before), "EVH_SESSION_EXPIRED");
    await world.now(closing);
    assert.equal(session.state, "closed");
    assert.deepEqual(typesOf(events).slice(-2), ["lost", "closed"]);
    assertNothingRuns(world);
  });

  it("another list of servers meanwhile keeps nobody from ending the session", async () => {
    const { world, ensemble, session } = await setUp({ hosts: ["a", "b"] });
    const closing = session.close();
    session.useServers([{ host: "elsewhere", port: 2181 }]);
    await world.now(closing);
    assert.equal(ensemble.sessions.size, 0);
    assertNothingRuns(world);
  });

  it("it waits for the server no longer than it was told", async () => {
    const { world, ensemble, session } = await setUp();
    ensemble.connected.isFrozen = true;
    const waiting = session.request(requestOf(), forever);
    waiting.catch(() => undefined);
    const closing = session.close({ timeout: 50 });
    await world.advance(49);
    assert.equal(await world.isPending(closing), true);
    await world.advance(1);
    await world.now(closing);
    assertError(await rejection(world, waiting), "EVH_DISCONNECTED", "unknown");
    assertNothingRuns(world);
  });

  it("a listener may close the client at any event", async () => {
    for (const when of ["connected", "suspended", "lost", "reconnected"] as const) {
      const { world, ensemble, session, events } = await begin({
        prepare: (prepared: TestEnsemble) => prepared.servers.forEach((server) => server.kill()),
      });
      session.listen(({ type }) => void (type === when && session.close()));
      for (const server of ensemble.servers) server.start();
      await world.advance(10_000);
      for (const server of ensemble.servers) server.kill();
      await world.advance(2 * timeoutMs);
      for (const server of ensemble.servers) server.start();
      await world.advance(30_000);
      assert.equal(session.state, "closed", when);
      assert.equal(typesOf(events).at(-1), "closed");
      assertNothingRuns(world);
    }
  });
});

describe("closing a client in any step of its becoming ready", () => {
  for (let steps = 0; steps <= 10; steps += 1) {
    it(`after ${steps} of them`, async () => {
      const restoring = deferred<void>();
      const watches = { ...noWatches, restoreSameSession: () => restoring.promise };
      const { world, ensemble, session, events } = await setUp({ watches });
      ensemble.connected.kill();
      await world.advance(200);
      restoring.resolve();
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      await world.now(session.close());
      assert.equal(session.state, "closed");
      assert.equal(typesOf(events).at(-1), "closed");
      assertNothingRuns(world);
    });
  }
});
