/** Watches on real servers: over connections, over sessions, one beside the other. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import {
  EverholdError,
  ops,
  type WatchEvent,
  type WatchStream,
  type ZooKeeper,
} from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { proxiesOf, type Proxies } from "../support/proxies.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";

for (const version of zooKeeperVersions) {
  describe(`watches on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let proxies: Proxies;
    /** Changes things; never cut off. */
    let other: ZooKeeper;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version }));
      proxies = ground.own(await proxiesOf(ensemble));
      other = ground.own(await connectTo(ensemble.connectString));
    });

    it("a read's watch tells once of what its kind waits for", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told: string[] = [];
      const tell =
        (name: string) =>
        ({ type, path }: { type: string; path: string }): void =>
          void told.push(`${name}: ${type} ${path}`);
      await other.create("/kinds", "x");
      await client.sync();
      await client.getData("/kinds", { watch: tell("data") });
      await client.getChildren("/kinds", { watch: tell("children") });
      await client.exists("/kinds/a", { watch: tell("exists") });
      await other.create("/kinds/a", null);
      await other.setData("/kinds", "y");
      await other.setData("/kinds", "z");
      await other.create("/kinds/b", null);
      await client.sync();
      assert.deepEqual(told.toSorted(), [
        "children: childrenChanged /kinds",
        "data: dataChanged /kinds",
        "exists: created /kinds/a",
      ]);
      await other.delete("/kinds", { children: true });
    });

    it("one that stays hears of every change, and one below it of the whole tree", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using one = await client.watch("/tree");
      await using all = await client.watch("/tree", { recursive: true });
      await other.create("/tree", "x");
      await other.create("/tree/a", "x");
      await other.create("/tree/a/b", "x");
      await other.setData("/tree/a/b", "y");
      await other.delete("/tree", { children: true });
      assert.deepEqual(await untilDeleted(all, "/tree"), [
        "created /tree",
        "created /tree/a",
        "created /tree/a/b",
        "dataChanged /tree/a/b",
        "deleted /tree/a/b",
        "deleted /tree/a",
        "deleted /tree",
      ]);
      assert.deepEqual(await untilDeleted(one, "/tree"), [
        "created /tree",
        "childrenChanged /tree",
        "childrenChanged /tree",
        "deleted /tree",
      ]);
    });

    it("a watch that stays and reads that watch the same path do not take each other's place", async () => {
      await using client = await connectTo(ensemble.connectString);
      await other.create("/mixed", "0");
      await client.sync();
      await using stays = await client.watch("/mixed");
      let told = 0;
      const read = (): Promise<unknown> =>
        client.getData("/mixed", { watch: () => void (told += 1) });
      for (const data of ["1", "2", "3"]) {
        await read();
        await other.setData("/mixed", data);
        await client.sync();
      }
      assert.equal(told, 3);
      await read();
      await other.delete("/mixed");
      assert.deepEqual(await untilDeleted(stays, "/mixed"), [
        ...["dataChanged /mixed", "dataChanged /mixed", "dataChanged /mixed"],
        "deleted /mixed",
      ]);
      assert.equal(told, 4);
    });

    it("a read's watch outlives the one that stayed beside it", async () => {
      await using client = await connectTo(ensemble.connectString);
      await other.create("/left", "0");
      await client.sync();
      const stays = await client.watch("/left");
      const told: string[] = [];
      await client.getData("/left", { watch: ({ type }) => void told.push(type) });
      stays.close();
      await until("the server knows no watch that stays", async () => {
        await other.setData("/left", "1");
        return told.length > 0 ? true : undefined;
      });
      assert.deepEqual(told, ["dataChanged"]);
      await other.delete("/left");
    });

    it("after a break a watch that stays tells of a gap, then of all that follows", async () => {
      await using client = await connectTo(proxies.connectString);
      const told = toldBy(client);
      await using watch = await client.watch("/gap", { recursive: true });
      proxies.cutOff();
      await other.create("/gap", null);
      await other.create("/gap/unseen", null);
      proxies.rejoin();
      const { sessionChanged } = await told.first("reconnected");
      await other.create("/gap/seen", null);
      await other.delete("/gap", { children: true });
      const notices = await untilDeleted(watch, "/gap");
      assert.equal(notices[0], "gap /gap");
      assert.ok(notices.includes("created /gap/seen"), String(notices));
      assert.equal(sessionChanged, false);
    });

    it("twenty thousand watches stand again on another connection and in another session", async () => {
      const count = 20_000;
      const path = (index: number): string => `/crowd/${"n".repeat(20)}${index}`;
      await other.create("/crowd", null);
      await using client = await connectTo(proxies.connectString);
      await client.sync();
      const told = toldBy(client);
      let changes = 0;
      const watchAll = (): Promise<unknown> =>
        Promise.all(
          Array.from({ length: count }, (_, index) =>
            client.exists(path(index), { watch: () => void (changes += 1) }),
          ),
        );
      await watchAll();
      proxies.cutOff();
      proxies.rejoin();
      assert.equal((await told.first("reconnected")).sessionChanged, false);
      await killSession(ensemble.servers[0]?.clientPort ?? 0, client.sessionId);
      const { sessionChanged, restored } = await nextSession(told);
      assert.equal(sessionChanged, true);
      assert.equal(restored?.watchCount, count);
      assert.equal(changes, 0);
      for (let start = 0; start < count; start += 1000) {
        const nodes = Array.from({ length: 1000 }, (_, index) => ops.create(path(start + index)));
        await other.multi(nodes);
      }
      await until("every watch told", () => (changes >= count ? true : undefined));
      assert.equal(changes, count);
    });

    it("a watch that is taken back tells nothing, and the server knows of it no more", async () => {
      await using client = await connectTo(ensemble.connectString);
      await other.create("/back", "0");
      await client.sync();
      const told: string[] = [];
      const one = ({ type }: WatchEvent): void => void told.push(`one: ${type}`);
      const two = ({ type }: WatchEvent): void => void told.push(`two: ${type}`);
      await client.getData("/back", { watch: one });
      await client.getChildren("/back", { watch: two });
      assert.deepEqual(
        [
          await client.checkWatches("/back", { kind: "data" }),
          await client.checkWatches("/back", { kind: "children" }),
          await client.checkWatches("/elsewhere"),
        ],
        [true, true, false],
      );
      assert.equal(client.removeWatch("/back", one), true);
      assert.deepEqual(
        [client.hasWatch("/back", one), client.hasWatch("/back", two)],
        [false, true],
      );
      await other.setData("/back", "1");
      await other.create("/back/child", null);
      await client.sync();
      assert.deepEqual(told, ["two: childrenChanged"]);
      await client.exists("/back", { watch: one });
      await client.getChildren("/back", { watch: one });
      assert.equal(client.removeWatch("/back", one), true);
      await until("the server knows of none", async () =>
        (await client.checkWatches("/back")) ? undefined : true,
      );
      await client.getData("/back", { watch: two });
      await other.delete("/back", { children: true });
      await client.sync();
      assert.deepEqual(told, ["two: childrenChanged", "two: deleted"]);
    });

    it("reads are watched for however often others' watches are taken back meanwhile", async () => {
      await using client = await connectTo(ensemble.connectString);
      await other.create("/busy", "0");
      await client.sync();
      for (let round = 1; round <= 100; round += 1) {
        let told = 0;
        const ignored = (): void => undefined;
        await client.getData("/busy", { watch: ignored });
        const reading = client.getData("/busy", { watch: () => void (told += 1) });
        client.removeWatch("/busy", ignored);
        await reading;
        await other.setData("/busy", String(round));
        await until("the watch told", () => (told === 1 ? true : undefined));
      }
      await other.delete("/busy");
    });

    it("a watch whose function throws keeps no other from being told", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      await other.create("/rude", "0");
      await client.sync();
      let calls = 0;
      await client.getData("/rude", {
        watch: () => {
          throw new Error("a function that throws");
        },
      });
      await client.getData("/rude", { watch: () => void (calls += 1) });
      await other.setData("/rude", "1");
      await until("the last one was told", () => (calls === 1 ? true : undefined));
      const { error } = await told.first("error");
      assert.ok(EverholdError.is(error) && error.cause instanceof Error);
      assert.equal(error.cause.message, "a function that throws");
      await other.delete("/rude");
    });
  });
}

/** What a watch says, up to and with the end of a node. */
async function untilDeleted(watch: WatchStream, path: string): Promise<string[]> {
  const notices: string[] = [];
  for (;;) {
    const next = await watch.next();
    if (next.done === true) throw new Error(`the watch ended after ${notices.join(", ")}`);
    const { type, path: where } = next.value;
    notices.push(`${type} ${where}`);
    if (type === "deleted" && where === path) return notices;
  }
}
