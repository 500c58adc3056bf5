/** Caches: what they show is what the servers have, whatever happened meanwhile. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { NodeCache, ops, type Stat, type ZooKeeper } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { Told } from "../support/told.ts";

for (const version of zooKeeperVersions) {
  describe(`caches on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let clientPort: number;
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
      clientPort = ensemble.servers[0]?.clientPort ?? 0;
      other = ground.own(await connectTo(ensemble.connectString));
    });

    it("it is what the servers have after servers were restarted and sessions ended under load", async () => {
      await other.create("/load", "");
      await using client = await connectTo(ensemble.connectString);
      await using cache = new NodeCache(client, "/load");
      const mirror = new Map<string, bigint>();
      cache.on("created", ({ node }) => void mirror.set(node.path, node.stat.mzxid));
      cache.on("changed", ({ node }) => void mirror.set(node.path, node.stat.mzxid));
      cache.on("deleted", ({ before: gone }) => void mirror.delete(gone.path));
      await cache.start();
      const session = toldBy(client);
      let isOver = false;
      const writing = writeAtRandom(other, "/load", () => isOver);
      try {
        for (const server of [await ensemble.serverOf(client.sessionId), await ensemble.leader()]) {
          await server.kill();
          await server.start();
          await server.serves();
        }
        await client.sync();
        await killSession(clientPort, client.sessionId);
        await nextSession(session);
      } finally {
        isOver = true;
      }
      const last = await writing;
      await cache.waitFor(last);
      const generation = await cache.fresh();
      assert.ok(generation >= last);
      assert.ok(cache.isExact);
      const shown = new Map(cache.nodes().map(({ path, stat }) => [path, stat.mzxid]));
      assert.deepEqual(shown, await everythingAt(other, "/load"));
      assert.deepEqual(mirror, shown, "whoever follows the events knows the same");
      assert.ok(client.epoch > 1);
    });

    it("what happened while nothing was told is told as a resync, told apart by czxid", async () => {
      using proxies = await proxiesOf(ensemble);
      await using client = await connectTo(proxies.connectString);
      for (const name of ["", "/kept", "/replaced", "/gone"])
        await other.create(`/tree${name}`, "x");
      await using cache = new NodeCache(client, "/tree");
      await cache.start();
      const told = toldBy(client);
      const events = new Told(cache);
      const former = cache.get("/tree/replaced")?.stat;
      proxies.cutOff();
      await told.first("suspended");
      await other.delete("/tree/replaced");
      await other.create("/tree/replaced", "x");
      await other.delete("/tree/gone");
      await other.create("/tree/kept/new", "x");
      proxies.rejoin();
      await events.first("synced");
      const changes = events.events.flatMap((event) => {
        if (event.type === "created") return [`created ${event.node.path} ${event.resync}`];
        if (event.type === "deleted") return [`deleted ${event.before.path} ${event.resync}`];
        return event.type === "changed" ? [`changed ${event.node.path}`] : [];
      });
      assert.deepEqual(changes.toSorted(), [
        "created /tree/kept/new true",
        "created /tree/replaced true",
        "deleted /tree/gone true",
        "deleted /tree/replaced true",
      ]);
      const { stat } = cache.get("/tree/replaced") ?? assert.fail("it is not shown");
      assert.equal(stat.version, former?.version);
      assert.notEqual(stat.czxid, former?.czxid);
      assert.ok(events.types.includes("gap"));
    });

    it("five thousand children, whose names take more than a mebibyte", async () => {
      const count = 5000;
      await other.create("/many", "");
      for (let from = 0; from < count; from += 1000) {
        const some = Array.from({ length: 1000 }, (_, index) =>
          ops.create(`/many/${String(from + index).padStart(250, "n")}`, String(from + index)),
        );
        await other.multi(some);
      }
      await using client = await connectTo(ensemble.connectString);
      await using cache = new NodeCache(client.namespace("/many"), "/", {
        shows: ({ path }) => !path.endsWith("7"),
      });
      await cache.start();
      assert.equal(cache.size, 1 + (count * 9) / 10);
      const node = cache.get(`/${"4321".padStart(250, "n")}`);
      assert.equal(Buffer.from(node?.data ?? []).toString(), "4321");
      const told = toldBy(client);
      await killSession(clientPort, client.sessionId);
      await nextSession(told);
      await cache.fresh();
      assert.equal(cache.size, 1 + (count * 9) / 10);
    });

    it("it follows one node, or one level, and ends where the tree outgrows its limit", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using one = new NodeCache(client, "/a", { depth: 0 });
      await using level = new NodeCache(client, "/a", { depth: 1, enters: (at) => at !== "/a/no" });
      await using small = new NodeCache(client, "/a", { maxNodes: 3 });
      const events = new Told(small);
      const errors: unknown[] = [];
      client.on("error", ({ error }) => errors.push(error));
      one.on("created", () => assert.fail("on purpose"));
      await Promise.all([one.start(), level.start(), small.start()]);
      for (const name of ["", "/b", "/no", "/b/c"]) await other.create(`/a${name}`, name);
      const { mzxid }: Stat = await other.setData("/a", "x");
      await Promise.all([one.waitFor(mzxid), level.waitFor(mzxid)]);
      assert.deepEqual(pathsOf(one), ["/a"]);
      assert.deepEqual(pathsOf(level), ["/a", "/a/b"]);
      assert.equal(Buffer.from(one.get("/a")?.data ?? []).toString(), "x");
      assert.equal(errors.length, 1, "what a handler throws is told, and hurts nobody else");
      const { error } = await events.first("closed");
      assert.equal(error?.code, "EVH_OVERLOADED");
      assert.throws(() => small.get("/a"), { code: "EVH_CLOSED" });
      await client.close();
      assert.throws(() => one.get("/a"), { code: "EVH_CLOSED" });
    });
  });
}

function pathsOf(cache: NodeCache): string[] {
  return cache
    .nodes()
    .map(({ path }) => path)
    .toSorted();
}

/** Creates, changes and deletes until it is told to stop; gives the last transaction. */
async function writeAtRandom(
  client: ZooKeeper,
  root: string,
  isOver: () => boolean,
): Promise<bigint> {
  let turn = 0;
  while (!isOver()) {
    turn += 1;
    const path = `${root}/${(turn * 7) % 11}`;
    const below = `${path}/${(turn * 5) % 3}`;
    // What is there or not depends on which answers were lost: nothing here minds.
    const tries = [
      () => client.create(path, String(turn)),
      () => client.create(below, String(turn)),
      () => client.setData(path, String(turn)),
      () => client.delete(below),
      () => client.delete(path),
    ];
    await tries[(turn * 3 + (turn >> 3)) % tries.length]?.().catch(() => undefined);
  }
  return (await client.setData(root, "the end", { version: -1 })).mzxid;
}

async function everythingAt(client: ZooKeeper, path: string): Promise<Map<string, bigint>> {
  const { children } = await client.getChildren(path, { fresh: true });
  const found = new Map([[path, (await client.getData(path)).stat.mzxid]]);
  for (const name of children) {
    for (const [at, mzxid] of await everythingAt(client, `${path}/${name}`)) found.set(at, mzxid);
  }
  return found;
}
