/** Every operation a client has, and what servers of each version make of it. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { ops, ZooKeeperError } from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { until } from "../support/until.ts";
import { withExtendedTypes } from "../support/variants.ts";

type Client = Awaited<ReturnType<typeof connectTo>>;

for (const version of zooKeeperVersions) {
  describe(`operations on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let client: Client;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1, ...withExtendedTypes }));
      client = ground.own(await connectTo(ensemble.connectString));
    });

    it("data are what was written: nothing, null, bytes, text", async () => {
      const all: [string, Uint8Array | string | null, Uint8Array | null][] = [
        ["/empty", new Uint8Array(), new Uint8Array()],
        ["/null", null, null],
        ["/bytes", Uint8Array.of(0, 255, 1), Uint8Array.of(0, 255, 1)],
        ["/text", "åé", new TextEncoder().encode("åé")],
      ];
      for (const [path, data, expected] of all) {
        const { path: found, stat } = await client.create(path, data);
        assert.equal(found, path);
        assert.equal(stat.version, 0);
        assert.equal(stat.dataLength, expected?.length ?? 0);
        assert.deepEqual(plain((await client.getData(path)).data), expected);
      }
    });

    it("a change counts its version, and one that expects another version is refused", async () => {
      await client.create("/versioned", "0");
      const first = await client.setData("/versioned", "1", { version: 0 });
      assert.equal(first.version, 1);
      await assert.rejects(
        client.setData("/versioned", "2", { version: 0 }),
        isRefused("BADVERSION"),
      );
      await assert.rejects(client.delete("/versioned", { version: 0 }), isRefused("BADVERSION"));
      await client.delete("/versioned", { version: 1 });
      assert.equal(await client.exists("/versioned"), null);
      await assert.rejects(client.delete("/versioned"), isRefused("NONODE"));
      await assert.rejects(client.getData("/versioned"), isRefused("NONODE"));
    });

    it("every mode of a node is what it says", async () => {
      await client.create("/modes", null);
      const { stat } = await client.create("/modes/ephemeral", null, { mode: "ephemeral" });
      assert.equal(stat.ephemeralOwner, client.sessionId);
      const one = await client.create("/modes/s-", null, { mode: "persistentSequential" });
      const two = await client.create("/modes/s-", null, { mode: "ephemeralSequential" });
      assert.deepEqual([one.path, two.path], ["/modes/s-0000000001", "/modes/s-0000000002"]);
      assert.deepEqual((await client.getEphemerals("/modes")).toSorted(), [
        "/modes/ephemeral",
        two.path,
      ]);
      assert.equal(await client.countDescendants("/modes"), 3);
      await assert.rejects(
        client.create("/modes/ephemeral/child", null),
        isRefused("NOCHILDRENFOREPHEMERALS"),
      );
      await assert.rejects(client.delete("/modes"), isRefused("NOTEMPTY"));
      await client.delete("/modes", { children: true });
      assert.equal(await client.exists("/modes"), null);
    });

    it("a container goes after its last child, and a node with a time to live after its time", async () => {
      await client.create("/box/child", null, { parents: "container" });
      await client.delete("/box/child");
      await gone(client, "/box");
      await client.create("/short", null, { mode: "persistentTtl", ttl: 100 });
      await gone(client, "/short");
      // A container that went between two steps is made again.
      await client.create("/box/child", null, { parents: "container" });
      assert.notEqual(await client.exists("/box/child"), null);
    });

    it("children are listed, also when the list is longer than a megabyte", async () => {
      const name = (index: number): string => `${"n".repeat(220)}-${index}`;
      const count = 5000;
      await client.create("/many", null);
      const created = Array.from({ length: count }, (_, index) =>
        client.create(`/many/${name(index)}`, null),
      );
      await Promise.all(created);
      const { children, stat } = await client.getChildren("/many");
      assert.equal(children.length, count);
      assert.equal(stat.numChildren, count);
      assert.ok(children.join("").length > 1024 * 1024);
      await client.delete("/many", { children: true });
    });

    it("data beyond what a server takes are refused here, and the connection stays", async () => {
      const { sessionId, server } = client;
      await assert.rejects(client.create("/large", new Uint8Array(1_048_576)), {
        code: "EVH_FRAME_TOO_LARGE",
        outcome: "none",
      });
      await client.create("/large", new Uint8Array(1_000_000));
      assert.equal((await client.getData("/large")).data?.length, 1_000_000);
      assert.deepEqual([client.sessionId, client.server, client.epoch], [sessionId, server, 1]);
      await client.delete("/large");
    });

    it("a transaction happens whole, and its results are those of its operations", async () => {
      await client.create("/tx", "0");
      const results = await client.multi([
        ops.check("/tx", { version: 0 }),
        ops.create("/tx/a", "1"),
        ops.create("/tx/s-", "1", { mode: "persistentSequential" }),
        ops.setData("/tx", "2", { version: 0 }),
        ops.delete("/tx/a"),
      ]);
      const [, created, sequential, written] = results;
      assert.deepEqual([created.path, sequential.path], ["/tx/a", "/tx/s-0000000001"]);
      assert.equal(created.stat?.dataLength, version === "3.8.0" ? undefined : 1);
      assert.equal(written.version, 1);
      assert.deepEqual((await client.getChildren("/tx")).children, ["s-0000000001"]);
      assert.equal((await client.exists("/tx"))?.version, 1);
      await client.delete("/tx", { children: true });
    });

    it("a transaction that fails does nothing, and its error names the operation", async () => {
      await client.create("/failing", "0");
      const attempt = client.multi([
        ops.create("/failing/a", "1"),
        ops.setData("/failing", "1", { version: 7 }),
        ops.delete("/failing"),
      ]);
      await assert.rejects(attempt, (error: unknown) => {
        assert.ok(error instanceof ZooKeeperError);
        assert.deepEqual([error.reason, error.opIndex, error.path], ["BADVERSION", 1, "/failing"]);
        return true;
      });
      assert.equal(await client.exists("/failing/a"), null);
      await client.delete("/failing");
    });

    it("many reads in one request answer each by itself", async () => {
      await client.create("/reads", "x");
      const [data, children, missing] = await client.multiRead([
        ops.getData("/reads"),
        ops.getChildren("/reads"),
        ops.getData("/none"),
      ]);
      assert.ok(data.status === "fulfilled" && children.status === "fulfilled");
      assert.deepEqual(plain(data.value.data), new TextEncoder().encode("x"));
      assert.deepEqual(children.value.children, []);
      assert.ok(missing.status === "rejected");
      assert.deepEqual([missing.reason.reason, missing.reason.opIndex], ["NONODE", 2]);
      await client.delete("/reads");
    });

    it("twenty clients that each add with what they read lose nothing", async () => {
      await client.create("/sum", "0");
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => connectTo(ensemble.connectString)),
      );
      await Promise.all(clients.map((each) => addTimes(each, "/sum", 25)));
      const { data } = await client.getData("/sum", { fresh: true });
      assert.equal(Buffer.from(data ?? []).toString(), "500");
      await Promise.all(clients.map((each) => each.close()));
    });

    it("ten thousand requests at once are answered in order", async () => {
      await client.create("/order", null);
      const answered: number[] = [];
      await Promise.all(
        Array.from({ length: 10_000 }, async (_, index) => {
          const { version: found } = await client.setData("/order", String(index));
          answered.push(found);
        }),
      );
      assert.deepEqual(
        answered,
        Array.from({ length: 10_000 }, (_, index) => index + 1),
      );
      await client.delete("/order");
    });

    it("paths that no server would take are refused here", async () => {
      for (const path of ["", "relative", "/a/", "/a//b", "/a/../b", "/a/./b", "/a\u0000"]) {
        await assert.rejects(client.create(path, null), { code: "EVH_PATH", outcome: "none" });
      }
    });

    it("a chroot and a namespace are before every path and in none that comes back", async () => {
      await client.create("/roots/space", null, { parents: true });
      await using below = await connectTo(`${ensemble.connectString}/roots`);
      const space = below.namespace("/space");
      const { path } = await space.create("/a", "x");
      assert.equal(path, "/a");
      assert.notEqual(await client.exists("/roots/space/a"), null);
      assert.deepEqual((await space.getChildren("/")).children, ["a"]);
      const told: string[] = [];
      await space.getData("/a", {
        watch: (event) => void told.push(`${event.type} ${event.path}`),
      });
      await client.setData("/roots/space/a", "y");
      await until("the watch told", () => (told.length > 0 ? true : undefined));
      assert.deepEqual(told, ["dataChanged /a"]);
      await space.sync("/a");
    });

    it("a client knows who it is and what the ensemble is", async () => {
      const identities = await client.whoAmI();
      assert.ok(identities.some(({ scheme, id }) => scheme === "ip" && id === "127.0.0.1"));
      await client.getConfig();
      await assert.rejects(client.reconfig({ leaving: ["9"] }), isRefused("RECONFIGDISABLED"));
    });
  });
}

function isRefused(reason: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ZooKeeperError, String(error));
    assert.deepEqual([error.reason, error.outcome], [reason, "none"]);
    return true;
  };
}

/** Without what a Buffer has beyond a Uint8Array. */
function plain(data: Uint8Array | null): Uint8Array | null {
  return data === null ? null : Uint8Array.from(data);
}

async function gone(client: Client, path: string): Promise<void> {
  await until(`${path} is gone`, async () =>
    (await client.exists(path)) === null ? true : undefined,
  );
}

async function addTimes(client: Client, path: string, times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const { data, stat } = await client.getData(path);
    const next = String(Number(Buffer.from(data ?? []).toString()) + 1);
    try {
      await client.setData(path, next, { version: stat.version });
      done += 1;
    } catch (error) {
      if (!(error instanceof ZooKeeperError) || error.reason !== "BADVERSION") throw error;
    }
  }
}
