/** Groups: who is a member is known to all of them, over sessions that end and ids that are used twice. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { GroupMember, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { Told } from "../support/told.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`groups on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort: number;
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      other = ground.own(await connectTo(ensemble.connectString));
    });

    it("all know all, who leaves and what they say; who loses its session joins again", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using anna = new GroupMember(client, "/group", "anna", { data: "a" });
      await using berta = new GroupMember(other, "/group", "berta", { data: "b" });
      const events = new Told(berta);
      await Promise.all([anna.start(), berta.start()]);
      await Promise.all([anna.fresh(), berta.fresh()]);
      assert.deepEqual([...anna.members().keys()].toSorted(), ["anna", "berta"]);
      await anna.setData("A");
      const { member } = await events.first("changed");
      assert.equal(`${member.id} ${Buffer.from(member.data ?? []).toString()}`, "anna A");
      const told = toldBy(client);
      const former = anna.stat?.czxid ?? 0n;
      const seen = events.events.length;
      await killSession(clientPort, client.sessionId);
      await nextSession(told);
      await events.first("left", seen);
      const { member: again } = await events.first("joined", seen);
      assert.equal(again.id, "anna");
      assert.ok(again.stat.czxid > former, "its token grows");
      assert.equal(again.stat.ephemeralOwner, client.sessionId);
      const count = events.events.length;
      await anna.close();
      await events.first("left", count);
      await berta.fresh();
      assert.deepEqual([...berta.members().keys()], ["berta"]);
    });

    it("of two with one id the second is told, the first is undisturbed, and one follows the other", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using first = new GroupMember(other, "/pair", "anna");
      await first.start();
      const { stat } = first;
      await using refused = new GroupMember(client, "/pair", "anna");
      await assert.rejects(refused.start(), { reason: "NODEEXISTS", outcome: "none" });
      await using second = new GroupMember(client, "/pair", "anna", { conflict: "wait" });
      const events = new Told(second);
      const starting = second.start();
      const { owner } = await events.first("conflict");
      assert.equal(owner, other.sessionId);
      assert.deepEqual(await other.exists("/pair/anna", { fresh: true }), stat);
      assert.equal(first.stat?.czxid, stat?.czxid);
      await first.close();
      await starting;
      const joined = await until("the second has joined", () => second.stat);
      assert.ok(joined.czxid > (stat?.czxid ?? 0n));
    });
  });
}
