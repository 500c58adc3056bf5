import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { operations } from "../protocol/operations.ts";
import type { SessionSettings } from "./session-settings.ts";
import {
  forever,
  requestOf,
  setUp,
  timeoutMs,
  typesOf,
  type Setup,
  type SetupOptions,
} from "../testing/setup.test-support.ts";
import { saslServers } from "../testing/sasl-servers.test-support.ts";

/** A client that has seen more than the servers, which were restored from an old copy. */
async function rollBack(
  onRolledBack: SessionSettings["onRolledBack"],
  settings: Partial<SessionSettings> = {},
  prepare: SetupOptions["prepare"] = () => undefined,
): Promise<Setup> {
  const setup = await setUp({ settings: { onRolledBack, ...settings }, prepare });
  const { world, ensemble, session } = setup;
  for (let count = 0; count < 10; count += 1) {
    await world.now(session.request(requestOf(), forever));
  }
  for (const server of ensemble.servers) server.kill();
  ensemble.zxid = 5n;
  ensemble.sessions.clear();
  for (const server of ensemble.servers) server.start();
  return setup;
}

describe("servers whose data went back in time", () => {
  it("are told of, and waited for, where the client was not told to go on", async () => {
    const { world, ensemble, session, events } = await rollBack("wait");
    await world.advance(4 * timeoutMs);
    assert.deepEqual(typesOf(events).slice(0, 4), [
      "connected",
      "suspended",
      "lost",
      "ensembleRolledBack",
    ]);
    assert.equal(session.state, "lost");
    assert.equal(ensemble.sessions.size, 0);
    assert.equal(world.network.openLinks.length, 0);
    ensemble.zxid = 1000n;
    await world.advance(timeoutMs);
    assert.equal(session.state, "connected");
  });

  it("are gone on with where the client was told to", async () => {
    const { world, session, events } = await rollBack("continue");
    await world.advance(4 * timeoutMs);
    assert.deepEqual(typesOf(events), [
      "connected",
      "suspended",
      "lost",
      "ensembleRolledBack",
      "reconnected",
    ]);
    assert.equal(session.epoch, 2);
  });

  it("are told from servers without quorum", async () => {
    const { world, ensemble, session, events } = await setUp();
    await world.now(session.request(requestOf(), forever));
    for (const server of ensemble.servers) {
      server.kill();
      server.hasQuorum = false;
      server.start();
    }
    await world.advance(10 * timeoutMs);
    for (const server of ensemble.servers) server.hasQuorum = true;
    await world.advance(timeoutMs);
    assert.equal(session.state, "connected");
    assert.deepEqual(typesOf(events), ["connected", "suspended", "lost", "reconnected"]);
    assert.deepEqual([...ensemble.sessions.keys()], [session.sessionId]);
  });

  it("are looked at with the login that they ask for", async () => {
    const sasl = { username: "bob", password: "builder" };
    const { world, ensemble, session, events } = await rollBack("continue", { sasl }, (prepared) =>
      saslServers(prepared, "builder"),
    );
    await world.advance(4 * timeoutMs);
    assert.ok(typesOf(events).includes("ensembleRolledBack"));
    assert.deepEqual([session.state, session.epoch], ["connected", 2]);
    assert.deepEqual([...ensemble.sessions.keys()], [session.sessionId]);
  });

  it("a login that is refused at the look ends the client at its own, and leaves no session", async () => {
    const sasl = { username: "bob", password: "builder" };
    const { world, ensemble, session } = await setUp({
      settings: { sasl, onRolledBack: "continue" },
      prepare: (prepared) => saslServers(prepared, "builder"),
    });
    for (const server of ensemble.servers) {
      server.kill();
      server.hasQuorum = false;
      server.start();
    }
    await world.advance(10 * timeoutMs);
    ensemble.sessions.clear();
    saslServers(ensemble, "another");
    const { rule } = ensemble;
    ensemble.rule = (request) =>
      request.code === operations.closeSession.code ? "usual" : rule(request);
    for (const server of ensemble.servers) server.hasQuorum = true;
    await world.advance(5 * timeoutMs);
    assert.equal(session.state, "authFailed");
    const own = ensemble.hellos.at(-1);
    assert.ok(own !== undefined && own.lastZxid > 0n, "the last one came for the client itself");
    assert.ok(ensemble.sessions.size <= 1, "what the look began has ended");
  });

  it("are told from servers that refuse the look, because they ask for a login", async () => {
    const { world, ensemble, session, events } = await setUp({
      settings: { onRolledBack: "continue" },
    });
    await world.now(session.request(requestOf(), forever));
    for (const server of ensemble.servers) {
      server.kill();
      server.hasQuorum = false;
      server.start();
    }
    await world.advance(10 * timeoutMs);
    for (const server of ensemble.servers) server.hasQuorum = true;
    ensemble.rule = () => -124;
    await world.advance(timeoutMs);
    assert.equal(session.state, "connected");
    assert.deepEqual(typesOf(events), ["connected", "suspended", "lost", "reconnected"]);
  });
});
