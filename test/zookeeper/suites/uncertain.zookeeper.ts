/** Answers that are lost, servers that forget: what a caller is told is what has happened. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { EverholdError, ops, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`what becomes of a request on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let proxy: FreezingProxy;
    /** Sees everything; never cut off. */
    let witness: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      proxy = ground.own(await FreezingProxy.start(ensemble.servers[0]?.clientPort ?? 0));
      witness = ground.own(await connectTo(ensemble.connectString));
    });

    /** Lets a request reach the server, loses the answer, and lets the client connect anew. */
    async function loseTheAnswer<T>(call: () => Promise<T>, hasHappened: () => Promise<boolean>) {
      proxy.freeze("replies");
      const settled = call().then(
        (value) => ({ value, error: undefined }),
        (error: unknown) => ({ value: undefined, error }),
      );
      await until("the server has done it", async () => (await hasHappened()) || undefined);
      proxy.cut();
      proxy.thaw();
      return settled;
    }

    it("a transaction whose answer is lost has happened once, and nobody knows", async () => {
      await using client = await connectTo(connectString(proxy.port));
      await client.create("/twice", "0");
      const { error } = await loseTheAnswer(
        () => client.multi([ops.setData("/twice", "1"), ops.create("/twice/n")]),
        async () => (await witness.exists("/twice/n")) !== null,
      );
      assertUnknown(error);
      assert.equal((await client.exists("/twice"))?.version, 1);
    });

    it("a deletion that says what it expects goes on when its answer is lost", async () => {
      await using client = await connectTo(connectString(proxy.port));
      const { stat } = await client.create("/deleted", "0");
      const { error } = await loseTheAnswer(
        () => client.delete("/deleted", { expected: stat, ifExists: true }),
        async () => (await witness.exists("/deleted")) === null,
      );
      assert.equal(error, undefined);
    });

    it("a read whose answer is lost is asked again, and its watch stands", async () => {
      await using client = await connectTo(connectString(proxy.port));
      await client.create("/read", "0");
      let changes = 0;
      proxy.freeze("replies");
      const read = client.getData("/read", { watch: () => void (changes += 1) });
      const listed = client.getChildren("/read");
      await client.sync("/", { timeout: 300, retry: false }).catch(() => undefined);
      proxy.cut();
      proxy.thaw();
      assert.equal((await read).stat.version, 0);
      assert.deepEqual((await listed).children, []);
      await witness.setData("/read", "1");
      await until("the watch told", () => (changes === 1 ? true : undefined));
    });

    it("a request that has left at its deadline is unknown, and the connection goes on", async () => {
      await using client = await connectTo(connectString(proxy.port));
      const { sessionId } = client;
      await client.create("/late", "0");
      proxy.freeze("replies");
      const late = client.setData("/late", "1", { timeout: 200, retry: false });
      await assert.rejects(late, { code: "EVH_TIMEOUT", outcome: "unknown" });
      const aborting = new AbortController();
      const aborted = client.setData("/late", "2", { signal: aborting.signal, retry: false });
      setImmediate(() => aborting.abort());
      await assert.rejects(aborted, { code: "EVH_ABORTED", outcome: "unknown" });
      proxy.thaw();
      assert.equal((await client.exists("/late"))?.version, 2);
      assert.deepEqual([client.sessionId, client.epoch], [sessionId, 1]);
    });
  });

  describe(`servers of ZooKeeper ${version} that forget`, () => {
    it("are told of, and waited for", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await using client = await connectTo(ensemble.connectString, { sessionTimeout: 1000 });
      const told = toldBy(client);
      await writeMuch(client);
      const { lastZxid } = await forget(ensemble, told);
      assert.ok(lastZxid > 0n);
      assert.notEqual(client.state, "connected");
      await assert.rejects(client.getData("/known", { timeout: 300 }), { outcome: "none" });
    });

    it("are gone on with in a new session, where that was asked for", async () => {
      await using ensemble = await Ensemble.start({ version, size: 1 });
      await using client = await connectTo(ensemble.connectString, {
        sessionTimeout: 1000,
        onRolledBack: "continue",
      });
      const told = toldBy(client);
      await writeMuch(client);
      await forget(ensemble, told);
      const { sessionChanged, epoch } = await told.first("reconnected");
      assert.deepEqual([sessionChanged, epoch], [true, 2]);
      assert.equal(await client.exists("/known"), null);
    });
  });
}

/** So much that servers without it are behind for long: each session that somebody begins is a transaction too. */
async function writeMuch(client: ZooKeeper): Promise<void> {
  await client.create("/known", "x");
  await Promise.all(Array.from({ length: 500 }, () => client.setData("/known", "y")));
}

/** The server comes back without its data; returns when the client has told of it. */
async function forget(ensemble: Ensemble, told: ReturnType<typeof toldBy>) {
  const [server] = ensemble.servers;
  assert.ok(server !== undefined);
  await server.kill();
  server.wipe();
  await ensemble.startAll();
  return told.first("ensembleRolledBack");
}

function assertUnknown(error: unknown): void {
  assert.ok(EverholdError.is(error), String(error));
  assert.equal(error.outcome, "unknown");
}
