/** Processes that wait for one, or begin and end together, while connections break. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { Barrier, DoubleBarrier, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { patienceMs, until } from "../support/until.ts";

const wait = { timeout: patienceMs };
const memberCount = 3;
const roundCount = 4;

for (const version of zooKeeperVersions) {
  describe(`barriers on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort = 0;
    let witness: ZooKeeper;
    let proxy: FreezingProxy;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      witness = ground.own(await connectTo(ensemble.connectString));
      proxy = ground.own(await FreezingProxy.start(clientPort));
    });

    it("nobody passes a barrier that is there, whatever breaks, and everybody when it is away", async () => {
      await using client = await connectTo(connectString(proxy.port));
      const barrier = new Barrier(client, "/barriers/one");
      const setter = new Barrier(witness, "/barriers/one");
      await setter.set();
      let passedCount = 0;
      const passing = Array.from({ length: 5 }, async () => {
        await barrier.pass(wait);
        passedCount += 1;
      });
      await client.sync();
      proxy.cut();
      await client.sync();
      await witness.setData("/barriers/one", "changed");
      await client.sync();
      await killSession(clientPort, client.sessionId);
      await until("it has another session", () => client.epoch === 2 || undefined);
      await client.sync();
      assert.equal(passedCount, 0);
      await setter.remove();
      await Promise.all(passing);
    });

    it("nobody enters a round before all have come, or leaves before all have left, over broken connections", async () => {
      const clients = await Promise.all(
        Array.from({ length: memberCount }, () => connectTo(connectString(proxy.port))),
      );
      const comeCounts = Array.from({ length: roundCount }, () => 0);
      const leavingCounts = Array.from({ length: roundCount }, () => 0);
      const take = async (client: ZooKeeper): Promise<void> => {
        const barrier = new DoubleBarrier(client, "/barriers/rounds", { memberCount });
        for (let round = 0; round < roundCount; round += 1) {
          comeCounts[round] = (comeCounts[round] ?? 0) + 1;
          if (round % 2 === 0 && comeCounts[round] === 2) proxy.cut();
          await barrier.enter(wait);
          assert.equal(comeCounts[round], memberCount);
          leavingCounts[round] = (leavingCounts[round] ?? 0) + 1;
          if (round % 2 === 1 && leavingCounts[round] === 2) proxy.cut();
          await barrier.leave(wait);
          assert.equal(leavingCounts[round], memberCount);
        }
      };
      await Promise.all(clients.map(take));
      const { children } = await witness.getChildren("/barriers/rounds", { fresh: true });
      assert.deepEqual(children, []);
      await Promise.all(clients.map((client) => client.close()));
    });

    it("one whose session is ended comes again while it waits to enter, and has left while it is in", async () => {
      const path = "/barriers/sessions";
      await using client = await connectTo(ensemble.connectString);
      const mine = new DoubleBarrier(client, path, { memberCount: 2 });
      const other = new DoubleBarrier(witness, path, { memberCount: 2 });
      const entering = mine.enter(wait);
      const hasCome = (): Promise<true> =>
        until("it has come", async () => {
          const found = await witness.exists(path, { fresh: true });
          return (found?.numChildren ?? 0) > 0 || undefined;
        });
      await hasCome();
      await killSession(clientPort, client.sessionId);
      await hasCome();
      await other.enter(wait);
      await entering;
      await client.close();
      await other.leave(wait);
    });
  });
}
