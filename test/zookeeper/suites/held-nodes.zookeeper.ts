/** Ephemeral nodes that outlive sessions, and a client that is sent to other servers while it runs. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { Told } from "../support/told.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`held nodes on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort: number;
    /** Sees everything, and is nobody's rival unless it is asked to be. */
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      other = ground.own(await connectTo(ensemble.connectString));
    });

    it("a thousand of them are there again in the next session before that is announced", async () => {
      const count = 1000;
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      const former = client.sessionId;
      const held = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          client.hold(`/members/m${index}`, String(index), { parents: true }),
        ),
      );
      await killSession(clientPort, former);
      const { sessionChanged, sessionId, restored } = await nextSession(told);
      assert.equal(sessionChanged, true);
      assert.equal(restored?.nodes?.held.length, count);
      assert.deepEqual(restored.nodes.conflicts, []);
      for (const node of held) assert.equal(node.stat?.ephemeralOwner, sessionId);
      assert.equal((await client.getEphemerals("/members")).length, count);
      const { data } = await other.getData("/members/m7", { fresh: true });
      assert.equal(Buffer.from(data ?? []).toString(), "7");
      await held[7]?.release();
      assert.equal(await other.exists("/members/m7", { fresh: true }), null);
      await client.close();
      assert.deepEqual((await other.getChildren("/members", { fresh: true })).children, []);
    });

    it("one that somebody else took meanwhile is let be, and made when it goes", async () => {
      using proxies = await proxiesOf(ensemble);
      await using client = await connectTo(proxies.connectString);
      const told = toldBy(client);
      const held = await client.hold("/contested", "ours");
      const events = new Told(held);
      const first = held.stat?.czxid ?? 0n;
      proxies.cutOff();
      await killSession(clientPort, client.sessionId);
      await other.create("/contested", "theirs", { mode: "ephemeral" });
      proxies.rejoin();
      const { owner } = await events.first("conflict");
      assert.equal(owner, other.sessionId);
      const { restored } = await nextSession(told);
      assert.deepEqual(restored?.nodes?.conflicts, ["/contested"]);
      const { data } = await other.getData("/contested");
      assert.equal(Buffer.from(data ?? []).toString(), "theirs");
      await other.delete("/contested");
      const { stat } = await events.first("held");
      assert.ok(stat.czxid > first, "its token grows");
      assert.equal(stat.ephemeralOwner, client.sessionId);
      const rival = other.hold("/contested", "theirs");
      await assert.rejects(rival, { reason: "NODEEXISTS", outcome: "none" });
    });

    it("one that is deleted with all above it is made again", async () => {
      await using client = await connectTo(ensemble.connectString);
      const held = await client.hold("/a/b/c", "x", { parents: "container" });
      const first = held.stat?.czxid ?? 0n;
      await other.delete("/a", { children: true });
      await until("it is there again", async () => {
        const stat = await other.exists("/a/b/c");
        return stat !== null && stat.czxid > first ? true : undefined;
      });
    });

    it("a client that is given another list of servers moves there with its session", async () => {
      const [first, second] = ensemble.servers;
      assert.ok(first !== undefined && second !== undefined);
      await using client = await connectTo(first.address);
      const told = toldBy(client);
      const { sessionId } = client;
      await client.create("/moving", null, { mode: "ephemeral" });
      client.updateServerList(second.address);
      const { server, sessionChanged } = await told.first("reconnected");
      assert.deepEqual([server, sessionChanged], [second.address, false]);
      assert.equal((await client.getData("/moving")).stat.ephemeralOwner, sessionId);
    });
  });
}
