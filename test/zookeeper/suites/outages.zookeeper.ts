/** Servers that fall, stand still, forget and come back, and what a client makes of it. */
import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`outages of ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
    });
    afterEach(async () => {
      for (const server of ensemble.servers) server.goOn();
      await ensemble.startAll();
    });

    it("a client finds the one server that answers among one that is gone and one that is silent", async () => {
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      using gone = await FreezingProxy.start(server.clientPort);
      using silent = await FreezingProxy.start(server.clientPort);
      using good = await FreezingProxy.start(server.clientPort);
      silent.freeze();
      gone[Symbol.dispose]();
      const client = await connectTo(connectString(gone.port, silent.port, good.port));
      assert.equal(client.state, "connected");
      assert.equal(good.openCount, 1);
      await client.close();
      await until("no connection is left", () => (good.openCount === 0 ? true : undefined));
    });

    it("a client whose server is killed goes on with its session at another", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      const { sessionId } = client;
      await client.create("/killed", "before", { mode: "ephemeral" });
      const changes: string[] = [];
      await client.getData("/killed", { watch: ({ type }) => void changes.push(type) });

      const server = await ensemble.serverOf(sessionId);
      await server.kill();
      const suspended = await told.first("suspended");
      const reconnected = await told.first("reconnected");
      assert.deepEqual(
        [suspended.epoch, reconnected.epoch, reconnected.sessionChanged, reconnected.sessionId],
        [1, 1, false, sessionId],
      );
      assert.notEqual(reconnected.server, server.address);
      const { stat } = await client.getData("/killed");
      assert.equal(stat.ephemeralOwner, sessionId);
      await client.setData("/killed", "after");
      await until("the watch told", () => (changes.length > 0 ? true : undefined));
      assert.deepEqual(changes, ["dataChanged"]);
    });

    it("a change that was asked for while the leader was dead happens once", async () => {
      await using client = await connectTo(ensemble.connectString);
      const { sessionId } = client;
      await client.create("/counter", "0");
      const leader = await ensemble.leader();
      await leader.kill();
      const told = await settled(client.setData("/counter", "1", { version: 0, timeout: 100_000 }));
      const { data, stat } = await client.getData("/counter", { fresh: true, timeout: 100_000 });
      // The connection may have broken under it; then only reading tells.
      if (told === "done") assert.deepEqual([text(data), stat.version], ["1", 1]);
      assert.ok(stat.version <= 1);
      assert.equal(client.sessionId, sessionId);
      await client.delete("/counter");
    });

    it("a client whose server stands still moves on with its session before that expires", async () => {
      using proxies = await proxiesOf(ensemble);
      const servers = proxies.connectString;
      await using client = await connectTo(servers, { sessionTimeout: 10_000 });
      const told = toldBy(client);
      const { sessionId } = client;
      await client.create("/still", null, { mode: "ephemeral" });
      const server = await ensemble.serverOf(sessionId);
      server.standStill();
      const { sessionChanged } = await told.first("reconnected");
      assert.equal(sessionChanged, false);
      assert.equal((await client.getData("/still")).stat.ephemeralOwner, sessionId);
      const open = proxies.all.filter(({ openCount }) => openCount > 0);
      assert.equal(open.length, 1, "one connection at a time");
    });

    it("a session that was ended from elsewhere is told to be lost, and a new one has its watches", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      const { sessionId } = client;
      await client.create("/kept", "x");
      await client.create("/mine", "x", { mode: "ephemeral" });
      const changes: string[] = [];
      await client.getData("/kept", { watch: ({ type }) => void changes.push(type) });
      const [server] = ensemble.servers;
      assert.ok(server !== undefined);
      await killSession(server.clientPort, sessionId);

      const lost = await told.first("lost");
      assert.deepEqual([lost.epoch, lost.sessionId, lost.by], [1, sessionId, "server"]);
      const reconnected = await nextSession(told);
      assert.deepEqual([reconnected.epoch, reconnected.sessionChanged], [2, true]);
      assert.notEqual(client.sessionId, sessionId);
      assert.equal(await client.exists("/mine"), null);
      await client.setData("/kept", "y");
      await until("the watch told", () => (changes.length > 0 ? true : undefined));
      await client.delete("/kept");
    });

    it("what changed while there was no session is told in the next, though the version is the same", async () => {
      await using witness = await connectTo(ensemble.connectString);
      await witness.create("/same", "old");
      using proxies = await proxiesOf(ensemble);
      await using client = await connectTo(proxies.connectString);
      const told = toldBy(client);
      const changes: string[] = [];
      await client.getData("/same", { watch: ({ type }) => void changes.push(type) });
      proxies.cutOff();
      await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
      await witness.delete("/same");
      const { stat } = await witness.create("/same", "new");
      assert.equal(stat.version, 0);
      proxies.rejoin();
      const { sessionChanged } = await nextSession(told);
      assert.equal(sessionChanged, true);
      await until("the watch told", () => (changes.length > 0 ? true : undefined));
      await witness.delete("/same");
    });

    it("a client is usable after all servers were down for less than a session's timeout", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      await ensemble.killAll();
      await told.first("suspended");
      const created = client.create("/down", null, { mode: "ephemeral", timeout: 100_000 });
      await ensemble.startAll();
      await created;
      assert.equal((await told.first("reconnected")).type, "reconnected");
      await client.delete("/down");
    });

    it("a session that was told to be lost while all servers were down is never taken up again", async () => {
      await using client = await connectTo(ensemble.connectString, { sessionTimeout: 1000 });
      const told = toldBy(client);
      const { sessionId } = client;
      await client.create("/left", null, { mode: "ephemeral" });
      await ensemble.killAll();
      const { by } = await told.first("lost");
      assert.equal(by, "clock");
      await ensemble.startAll();
      const { sessionChanged, epoch } = await told.first("reconnected");
      assert.deepEqual([sessionChanged, epoch], [true, 2]);
      assert.notEqual(client.sessionId, sessionId);
      // It was ended, not left to expire: servers that begin anew would have kept it for another timeout.
      await until("the node of the lost session is gone", async () =>
        (await client.exists("/left", { fresh: true })) === null ? true : undefined,
      );
    });

    it("a request at its deadline was not sent where no server is there, and close() returns", async () => {
      const client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      await ensemble.killAll();
      await told.first("suspended");
      await assert.rejects(client.getData("/", { timeout: 300 }), { outcome: "none" });
      await assert.rejects(client.create("/never", null, { timeout: 300 }), { outcome: "none" });
      await client.close();
      assert.equal(client.state, "closed");
      await ensemble.startAll();
      await using other = await connectTo(ensemble.connectString);
      assert.equal(await other.exists("/never"), null);
    });

    it("a client that is closed in whatever state leaves no session and no connection", async () => {
      using proxies = await proxiesOf(ensemble);
      const servers = proxies.connectString;

      const ready = await connectTo(servers);
      await ready.create("/closing", null, { mode: "ephemeral" });
      await Promise.all([ready.close(), ready.close()]);
      await ready.close();
      await assert.rejects(ready.getData("/"), { code: "EVH_CLOSED" });
      await using witness = await connectTo(ensemble.connectString);
      assert.equal(await witness.exists("/closing", { fresh: true }), null);

      const suspended = await connectTo(servers);
      const told = toldBy(suspended);
      proxies.cutOff();
      await told.first("suspended");
      const waiting = assert.rejects(suspended.getData("/"), { code: "EVH_CLOSED" });
      await suspended.close({ timeout: 100 });
      await waiting;

      const connecting = new AbortController();
      const attempt = connectTo(servers, { signal: connecting.signal });
      connecting.abort();
      await assert.rejects(attempt, { code: "EVH_ABORTED" });
      await assert.rejects(connectTo(servers, { connectTimeout: 200 }), { outcome: "none" });

      proxies.rejoin();
      await until("no connection is left", () => (proxies.openCount === 0 ? true : undefined));
    });
  });
}

function text(data: Uint8Array | null): string | undefined {
  return data === null ? undefined : Buffer.from(data).toString();
}

async function settled(promise: Promise<unknown>): Promise<"done" | "failed"> {
  try {
    await promise;
    return "done";
  } catch {
    return "failed";
  }
}
