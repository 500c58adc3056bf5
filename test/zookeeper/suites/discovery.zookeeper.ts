/** Services: what one process registers others find and use, over ended sessions, beside what others wrote. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { ServiceRegistry, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { Told } from "../support/told.ts";
import { until } from "../support/until.ts";

/** As a program in Java with Curator registers itself. */
const fromJava =
  '{"name":"orders","id":"java","address":"10.0.0.9","port":9090,"sslPort":null,' +
  '"payload":{"@class":"com.example.Details","zone":"b"},"registrationTimeUTC":1325129459728,' +
  '"serviceType":"DYNAMIC","uriSpec":null}';

for (const version of zooKeeperVersions) {
  describe(`discovery on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      other = ground.own(await connectTo(ensemble.connectString));
    });

    it("instances are found, updated, there again in the next session, and gone when taken back", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using services = new ServiceRegistry(client, "/services");
      await using found = new ServiceRegistry(other, "/services");
      const anna = await services.register({
        ...{ name: "orders", id: "anna", address: "10.0.0.7", port: 8080, payload: { zone: "a" } },
      });
      await using orders = found.provider("orders");
      await orders.start();
      assert.deepEqual(orders.pick(), anna.instance);
      assert.deepEqual(await found.instances("orders", { fresh: true }), [anna.instance]);
      assert.deepEqual(await found.names(), ["orders"]);
      assert.deepEqual(await found.instances("parcels"), []);
      await anna.update({ address: "10.0.0.8", enabled: false });
      await orders.fresh();
      assert.equal(orders.pick(), undefined, "it is not enabled");
      await anna.update({ address: "10.0.0.8", enabled: true });
      const told = toldBy(client);
      await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
      await nextSession(told);
      await orders.fresh();
      assert.equal(orders.pick()?.address, "10.0.0.8");
      const refused = found.register({ name: "orders", id: "anna" });
      await assert.rejects(refused, { reason: "NODEEXISTS" });
      await anna.unregister();
      await until("it is gone", () => (orders.pick() === undefined ? true : undefined));
    });

    it("instances in turn, without those that failed, beside what is no instance", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using services = new ServiceRegistry(client, "/mixed");
      const events = new Told(services);
      await services.register({ name: "orders", id: "anna" });
      await other.create("/mixed/orders/java", fromJava, { mode: "ephemeral" });
      await other.create("/mixed/orders/wrong", "{", { mode: "ephemeral" });
      const patience = { errorCountMax: 1, downTime: 600_000 };
      await using inTurn = services.provider("orders", patience);
      await using sticky = services.provider("orders", { ...patience, strategy: "sticky" });
      await Promise.all([inTurn.start(), sticky.start()]);
      await Promise.all([inTurn.fresh(), sticky.fresh()]);
      const ids = Array.from({ length: 4 }, () => inTurn.pick()?.id);
      assert.deepEqual(ids, ["anna", "java", "anna", "java"]);
      const java = inTurn.instances().find(({ id }) => id === "java");
      assert.deepEqual(java?.payload, { "@class": "com.example.Details", zone: "b" });
      assert.ok(java !== undefined);
      inTurn.noteError(java);
      assert.deepEqual([inTurn.pick()?.id, inTurn.pick()?.id], ["anna", "anna"]);
      const first = sticky.pick();
      assert.ok(first !== undefined);
      assert.equal(sticky.pick()?.id, first.id);
      sticky.noteError(first);
      assert.notEqual(sticky.pick()?.id, first.id);
      const { path } = await events.first("invalid");
      assert.equal(path, "/mixed/orders/wrong");
      const listed = await services.instances("orders", { fresh: true });
      assert.deepEqual(
        listed.map(({ id }) => id),
        ["anna", "java"],
      );
    });
  });
}
