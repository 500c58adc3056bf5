/** Nodes that stay, and come back when somebody deletes them, or a server that finds them empty or lapsed. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { PersistentNode, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { patienceMs, until } from "../support/until.ts";

const wait = { timeout: patienceMs };

for (const version of zooKeeperVersions) {
  describe(`persistent nodes on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      const javaArguments = [
        "-Dzookeeper.extendedTypesEnabled=true",
        "-Dznode.container.checkIntervalMs=200",
      ];
      ensemble = ground.own(await Ensemble.start({ version, size: 1, javaArguments }));
      other = ground.own(await connectTo(ensemble.connectString));
    });

    /** When it is there as another node than before. */
    function untilMadeAgain(path: string, czxid: bigint): Promise<string> {
      return until(`${path} is made again`, async () => {
        if (((await other.exists(path, { fresh: true }))?.czxid ?? czxid) === czxid)
          return undefined;
        const { data } = await other.getData(path);
        return Buffer.from(data ?? []).toString();
      });
    }

    it("a node of each mode is made again when it is deleted, in this session and in the next", async () => {
      for (const mode of ["persistent", "persistentSequential", "container"] as const) {
        await using client = await connectTo(ensemble.connectString);
        const told = toldBy(client);
        await using node = new PersistentNode(client, `/kept/${mode}-`, { mode, data: mode });
        await node.start(wait);
        const { path = "" } = node;
        const first = (await other.exists(path, { fresh: true }))?.czxid ?? 0n;
        await other.delete(path);
        assert.equal(await untilMadeAgain(path, first), mode);
        const second = (await other.exists(path, { fresh: true }))?.czxid ?? 0n;
        await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
        await other.delete(path);
        assert.equal((await nextSession(told)).sessionChanged, true);
        assert.equal(await untilMadeAgain(path, second), mode);
        await node.close();
        assert.equal(await other.exists(path, { fresh: true }), null);
        await client.close();
      }
    });

    it("a container that the server has found empty is made again", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using node = new PersistentNode(client, "/kept/line", { mode: "container" });
      await node.start(wait);
      const first = (await other.exists("/kept/line", { fresh: true }))?.czxid ?? 0n;
      await other.create("/kept/line/one");
      await other.delete("/kept/line/one");
      assert.equal(await untilMadeAgain("/kept/line", first), "");
      await node.close();
      await client.close();
    });

    it("a node with a time to live stays while it is kept, and goes when it is not", async () => {
      await using client = await connectTo(ensemble.connectString);
      const path = "/lapsing/kept";
      // So long that a busy machine does not miss half of it; that servers look for what has lapsed shows the other one.
      await using node = new PersistentNode(client, path, { ttl: 10_000, data: "here" });
      await using left = new PersistentNode(client, "/lapsing/left", { ttl: 1000 });
      await Promise.all([node.start(wait), left.start(wait)]);
      const first = (await other.exists(path, { fresh: true }))?.czxid;
      await left.close();
      await until("the one that nobody keeps has lapsed", async () => {
        return (await other.exists("/lapsing/left", { fresh: true })) === null || undefined;
      });
      // Written twice, which is all its time to live.
      await until("it was touched", async () => {
        const touched = await other.exists(`${path}/touch`, { fresh: true });
        return (touched?.version ?? 0) >= 2 || undefined;
      });
      assert.equal((await other.exists(path, { fresh: true }))?.czxid, first);
      await client.close();
    });
  });
}
