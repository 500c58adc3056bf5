/** Servers that lost the others and serve those alone who asked to read what may be old: this client never does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { tellOfServers } from "../support/ground.ts";
import { patienceMs, until } from "../support/until.ts";

tellOfServers();

/** Longer than servers take to come back. */
const sessionTimeout = 2 * patienceMs;

for (const version of zooKeeperVersions) {
  describe(`read-only servers of ZooKeeper ${version}`, () => {
    it("one takes no client, says so, and the session goes on when it hears of the others again", async () => {
      await using ensemble = await Ensemble.start({
        ...{ version, properties: { maxSessionTimeout: sessionTimeout } },
        javaArguments: ["-Dreadonlymode.enabled=true"],
      });
      const [left, ...others] = ensemble.servers;
      assert.ok(left !== undefined);
      await using client = await connectTo(left.address, { sessionTimeout });
      const { sessionId } = client;
      const told = toldBy(client);
      await Promise.all(others.map((server) => server.kill()));
      await until("a server alone can only read", async () => {
        return (await left.mode()) === "read-only" || undefined;
      });
      await told.first("suspended");
      await assert.rejects(connectTo(left.address, { connectTimeout: 3000 }), (error) => {
        assert.ok(EverholdError.is(error, "EVH_NOT_CONNECTED"));
        assert.ok(EverholdError.is(error.cause, "EVH_NOT_READY"));
        assert.match(error.message, /closed the connection instead of answering; it has no quorum/);
        return true;
      });
      assert.equal(client.state, "suspended");
      await ensemble.startAll();
      const { sessionChanged } = await told.first("reconnected");
      assert.deepEqual([sessionChanged, client.sessionId], [false, sessionId]);
      await client.create("/together", null);
    });
  });
}
