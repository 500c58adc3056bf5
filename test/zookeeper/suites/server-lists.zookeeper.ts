/** Clients are told of other servers while they run: by a function, by the ensemble itself, by a call. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { EverholdError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { until } from "../support/until.ts";
import { withReconfig } from "../support/variants.ts";

for (const version of zooKeeperVersions) {
  describe(`lists of servers on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, tellsClients: true, ...withReconfig }));
    });

    it("a function that names another server keeps the session alive", async () => {
      const [first, second] = ensemble.servers;
      assert.ok(first !== undefined && second !== undefined);
      let named = first.address;
      let askedCount = 0;
      await using client = await connectTo(() => {
        askedCount += 1;
        return Promise.resolve(named);
      });
      const told = toldBy(client);
      await client.create("/asked", null, { mode: "ephemeral" });
      assert.equal(askedCount, 1);
      named = second.address;
      await first.kill();
      assert.equal((await told.first("reconnected")).sessionChanged, false);
      assert.equal(client.server, second.address);
      assert.ok(await client.exists("/asked"));
      await ensemble.startAll();
    });

    it("a call that names another server leaves no write in doubt", async () => {
      const [first, second] = ensemble.servers;
      assert.ok(first !== undefined && second !== undefined);
      await using client = await connectTo(first.address);
      const told = toldBy(client);
      await client.create("/moved", null);
      const paths = Array.from({ length: 2000 }, (_, index) => `/moved/${index}`);
      const creations = paths.map((path) => client.create(path, null));
      client.updateServerList(second.address);
      await Promise.all(creations);
      assert.equal((await told.first("reconnected")).sessionChanged, false);
      assert.equal((await client.getChildren("/moved")).children.length, paths.length);
      assert.equal((await ensemble.serverOf(client.sessionId)).address, second.address);
    });

    it("servers that come get their share of the clients", async () => {
      const [first, ...others] = ensemble.servers;
      assert.ok(first !== undefined);
      const clients = await Promise.all(
        Array.from({ length: 30 }, () => connectTo(first.address, { retry: false })),
      );
      try {
        for (const client of clients) client.updateServerList(ensemble.connectString);
        await Promise.all(
          clients.map(async (client) => {
            // Who is about to leave does so within the next steps.
            await client.sync();
            await client.ready();
          }),
        );
        const isOther = (server: string | undefined): boolean =>
          others.some(({ address }) => address === server);
        const movedCount = clients.filter(({ server }) => isOther(server)).length;
        // Each moves with a probability of two thirds: fewer than 6 of 30 are less likely than one in a million.
        assert.ok(movedCount >= 6, `${movedCount} moved`);
      } finally {
        await Promise.all(clients.map((client) => client.close()));
      }
    });

    it("an ensemble that is changed is gone after, where that was asked for", async () => {
      const leader = await ensemble.leader();
      const [leaving] = await ensemble.followers();
      assert.ok(leaving !== undefined);
      await using admin = await connectTo(leader.address);
      await admin.addAuth("digest", "super:secret");
      await using follower = await connectTo(leaving.address, { trackEnsemble: true });
      // The configuration names all three, so that the one there is may stay.
      const { servers } = await follower.getConfig({ fresh: true });
      assert.equal(servers.filter(({ client }) => client !== undefined).length, 3);
      await follower.create("/follower", null, { mode: "ephemeral" });
      await admin.reconfig({ leaving: [String(leaving.id)] });
      await until("the client left the server that left", async () => {
        try {
          await follower.sync();
        } catch (error) {
          if (!EverholdError.is(error)) throw error;
        }
        return follower.server !== undefined && follower.server !== leaving.address
          ? true
          : undefined;
      });
      assert.equal(follower.epoch, 1);
      assert.ok(await follower.exists("/follower"));
    });
  });
}
