/** What became of a change whose answer never came: found out where it can be, said to be unknown where not. */
import assert from "node:assert/strict";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import { errorOf } from "@everhold/test-world";
import { EverholdError, type ZooKeeper, ZooKeeperError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { Owned } from "../support/owned.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`changes without an answer on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort = 0;
    /** Sees what is there, whatever happens to the other one. */
    let witness: ZooKeeper;
    let proxy: FreezingProxy;
    let client: ZooKeeper;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      witness = ground.own(await connectTo(ensemble.connectString));
    });
    let own: Owned;
    beforeEach(async () => {
      own = new Owned();
      await witness.create("/place", "");
      proxy = own.own(await FreezingProxy.start(clientPort));
      client = own.own(await connectTo(connectString(proxy.port)));
    });
    afterEach(async () => {
      await own[Symbol.asyncDispose]();
      await witness.delete("/place", { children: true });
    });

    /** `change` arrives, and its answer never comes. */
    async function unanswered<T>(
      change: () => Promise<T>,
      arrived: () => Promise<boolean>,
    ): Promise<T> {
      proxy.freeze("replies");
      const promise = change();
      promise.catch(() => undefined);
      await until("the change arrived", async () => (await arrived()) || undefined);
      proxy.cut();
      proxy.thaw();
      return promise;
    }

    /** `change` leaves, and never arrives; `meanwhile` others do what they like. */
    async function lost<T>(
      change: () => Promise<T>,
      meanwhile: () => Promise<unknown>,
    ): Promise<T> {
      proxy.freeze("requests");
      const promise = change();
      promise.catch(() => undefined);
      // The client sends at the end of its turn, which is before this is answered.
      await witness.sync();
      await meanwhile();
      proxy.cut();
      proxy.thaw();
      return promise;
    }

    async function namesAtPlace(): Promise<readonly string[]> {
      return (await witness.getChildren("/place", { fresh: true })).children;
    }

    const nothing = (): Promise<void> => Promise.resolve();
    const isWritten = async (): Promise<boolean> => {
      const stat = await witness.exists("/place", { fresh: true });
      return (stat?.version ?? 0) > 0;
    };

    it("a protected node is found again when its answer is lost", async () => {
      const options = { mode: "ephemeralSequential", protected: true } as const;
      const { path, stat } = await unanswered(
        () => client.create("/place/lock-", "x", options),
        async () => (await namesAtPlace()).length > 0,
      );
      assert.deepEqual(await namesAtPlace(), [path.slice("/place/".length)]);
      assert.equal(stat.ephemeralOwner, client.sessionId);
    });

    it("a protected node that never arrived is created again", async () => {
      const options = { mode: "persistentSequential", protected: true } as const;
      const create = () => client.create("/place/lock-", "x", options);
      const { path } = await lost(create, nothing);
      assert.deepEqual(await namesAtPlace(), [path.slice("/place/".length)]);
    });

    it("a protected ephemeral node of a session that was ended is created in the next", async () => {
      const options = { mode: "ephemeral", protected: true } as const;
      const former = client.sessionId;
      const { stat } = await unanswered(
        () => client.create("/place/mine", "x", options),
        async () => {
          if ((await namesAtPlace()).length === 0) return false;
          await killSession(clientPort, former);
          return true;
        },
      );
      assert.notEqual(client.sessionId, former);
      assert.equal(stat.ephemeralOwner, client.sessionId);
      assert.equal((await namesAtPlace()).length, 1);
    });

    it("a plain change is said to be unknown, and is not made again", async () => {
      const error = await errorOf(unanswered(() => client.setData("/place", "x"), isWritten));
      assert.deepEqual([error.code, error.outcome], ["EVH_DISCONNECTED", "unknown"]);
      assert.equal((await witness.exists("/place"))?.version, 1);
    });

    it("a write is found again by bytes that are nobody else's, and only by these", async () => {
      const expected = await readStat(client);
      const written = await unanswered(
        () => client.setData("/place", "x", { expected, uniqueData: true }),
        isWritten,
      );
      assert.equal(written.version, 1);
      const error = await errorOf(
        unanswered(
          () => client.setData("/place", "x", { expected: written }),
          async () => (await witness.exists("/place", { fresh: true }))?.version === 2,
        ),
      );
      assert.equal(error.outcome, "unknown");
      assert.equal((await witness.exists("/place"))?.version, 2);
    });

    it("a write that never arrived is made again, once", async () => {
      const expected = await readStat(client);
      const written = await lost(() => client.setData("/place", "x", { expected }), nothing);
      assert.equal(written.version, 1);
    });

    it("a write that somebody else was quicker than is refused for good", async () => {
      const expected = await readStat(client);
      const error = await errorOf(
        lost(
          () => client.setData("/place", "x", { expected }),
          () => witness.setData("/place", "theirs"),
        ),
      );
      assert.ok(error instanceof ZooKeeperError);
      assert.deepEqual([error.reason, error.outcome], ["BADVERSION", "none"]);
    });

    it("a delete that is guaranteed is done when its time is over and a server is there again", async () => {
      const { path, stat: expected } = await client.create("/place/mine", "x");
      proxy.freeze();
      const error = await errorOf(client.delete(path, { expected, guaranteed: true, timeout: 50 }));
      assert.equal(error.code, "EVH_TIMEOUT");
      proxy.cut();
      proxy.thaw();
      await until(
        "the node is gone",
        async () => (await witness.exists(path)) === null || undefined,
      );
    });

    it("four clients count together while connections break, and nothing is lost or counted twice", async () => {
      let doneCount = 0;
      const finished = (): void => {
        if ((doneCount += 1) % 20 === 0) proxy.cut();
      };
      const clients = await Promise.all(
        Array.from({ length: 4 }, () => connectTo(connectString(proxy.port))),
      );
      await witness.setData("/place", "0 nobody");
      const tallies = await Promise.all(
        clients.map((one, index) => countTogether(one, `client ${index}`, finished)),
      );
      await Promise.all(clients.map((one) => one.close()));
      const total = (await readNumber(witness)).count;
      const sureCount = tallies.reduce((sum, { sure }) => sum + sure, 0);
      const unsureCount = tallies.reduce((sum, { unsure }) => sum + unsure, 0);
      assert.ok(total >= sureCount, `${sureCount} are counted for sure, and there are ${total}`);
      assert.ok(
        total <= sureCount + unsureCount,
        `at most ${sureCount + unsureCount}, not ${total}`,
      );
      assert.ok(proxy.connectionCount > 1 + 4, "connections were to break");
    });

    it("while connections break, each protected create leaves the one node that it gives", async () => {
      let doneCount = 0;
      const given: string[] = [];
      const create = async (): Promise<void> => {
        const options = { mode: "persistentSequential", protected: true } as const;
        const { path } = await client.create("/place/lock-", "x", options);
        given.push(path.slice("/place/".length));
        if ((doneCount += 1) % 5 === 0) proxy.cut();
      };
      for (let round = 0; round < 6; round += 1) await Promise.all([create(), create(), create()]);
      assert.deepEqual([...(await namesAtPlace())].toSorted(), given.toSorted());
    });
  });
}

/** Adds one twelve times. Whoever is slower reads again; who can't know whether it was counted does not count it again. */
async function countTogether(
  client: ZooKeeper,
  name: string,
  finished: () => void,
): Promise<{ sure: number; unsure: number }> {
  const tally = { sure: 0, unsure: 0 };
  for (let round = 0; tally.sure + tally.unsure < 12; round += 1) {
    const { count, stat } = await readNumber(client);
    const data = `${count + 1} ${name}, round ${round}`;
    try {
      await client.setData("/place", data, { expected: stat, uniqueData: true });
      tally.sure += 1;
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      if (error.outcome === "unknown") tally.unsure += 1;
      else if (!(error instanceof ZooKeeperError) || error.reason !== "BADVERSION") throw error;
    }
    finished();
  }
  return tally;
}

async function readNumber(
  client: ZooKeeper,
): Promise<{ count: number; stat: { version: number; czxid: bigint } }> {
  const { data, stat } = await client.getData("/place", { fresh: true });
  return { count: Number.parseInt(new TextDecoder().decode(data ?? undefined), 10), stat };
}

async function readStat(client: ZooKeeper): Promise<{ version: number; czxid: bigint }> {
  return (await client.getData("/place")).stat;
}
