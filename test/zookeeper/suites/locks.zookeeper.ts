/** One holds a lock at a time, whatever gets lost; who leaves wakes one; nothing is left behind. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { before, beforeEach, describe, it } from "node:test";

import {
  type Created,
  type Grant,
  Mutex,
  ops,
  ReadWriteLock,
  Semaphore,
  type ZooKeeper,
  ZooKeeperError,
} from "@everhold/zookeeper";

import { zooKeeperVersions } from "../support/class-path.ts";
import { connectString, connectTo, nextSession, toldBy } from "../support/clients.ts";
import { Ensemble } from "../support/ensemble.ts";
import { FreezingProxy } from "../support/freezing-proxy.ts";
import { groundOf } from "../support/ground.ts";
import { killSession } from "../support/session-killer.ts";
import { until } from "../support/until.ts";
import type { ZooKeeperServer } from "../support/zookeeper-server.ts";

for (const version of zooKeeperVersions) {
  describe(`locks on ZooKeeper ${version}`, () => {
    let ensemble: Ensemble;
    let server: ZooKeeperServer;
    let clientPort = 0;
    /** Sees what is there, whatever happens to others, and contends with them. */
    let other: ZooKeeper;
    let path = "";
    let pathCount = 0;

    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      const [only] = ensemble.servers;
      assert.ok(only !== undefined);
      server = only;
      clientPort = server.clientPort;
      other = ground.own(await connectTo(ensemble.connectString));
    });
    beforeEach(() => {
      path = `/locks/l${(pathCount += 1)}`;
    });

    async function namesInLine(): Promise<readonly string[]> {
      if ((await other.exists(path, { fresh: true })) === null) return [];
      return (await other.getChildren(path, { fresh: true })).children;
    }

    function untilInLine(count: number): Promise<true> {
      return until(`${count} are in line`, async () => {
        return (await namesInLine()).length === count || undefined;
      });
    }

    // First: the most that a deletion has woken is counted from the server's start.
    it("of fifty who wait one is woken by each who leaves, in the order in which they came", async () => {
      const count = 50;
      const clients = await Promise.all(
        Array.from({ length: count }, () => connectTo(ensemble.connectString)),
      );
      const grants: Grant[] = [];
      const waiting: Promise<unknown>[] = [];
      for (const [index, client] of clients.entries()) {
        const hold = async (): Promise<void> => {
          const grant = await new Mutex(client, path).acquire();
          assert.equal(grants.push(grant), index + 1);
        };
        waiting.push(hold());
        await untilInLine(index + 1);
      }
      const earlier = await deletionWatches(server);
      for (const [index, client] of clients.entries()) {
        await waiting[index];
        assert.equal(grants.length, index + 1);
        // As a process that is killed leaves it, and as one that ends.
        if (index % 10 === 0) await killSession(clientPort, client.sessionId);
        await client.close();
      }
      const woken = await deletionWatches(server);
      // The one who leaves is told of its own node, too, unless its connection is gone by then.
      assert.equal(woken.most, 2);
      const all = woken.all - earlier.all;
      assert.ok(all >= count - 1 && all < 2 * count, `${all} were told`);
      for (const [index, { token }] of grants.entries()) {
        assert.ok(index === 0 || token > (grants[index - 1]?.token ?? 0n));
      }
    });

    it("one whose node's creation got no answer stands in line once, and holds it", async () => {
      using proxy = await FreezingProxy.start(clientPort);
      await using client = await connectTo(connectString(proxy.port));
      await other.create(path, "", { parents: true });
      proxy.freeze("replies");
      const acquiring = new Mutex(client, path).acquire();
      await untilInLine(1);
      proxy.cut();
      proxy.thaw();
      const grant = await acquiring;
      assert.deepEqual(await namesInLine(), [grant.path.slice(path.length + 1)]);
      const stat = await other.exists(grant.path);
      assert.deepEqual([stat?.czxid, stat?.ephemeralOwner], [grant.token, client.sessionId]);
    });

    it("one whose session is ended before that answer holds it in the next session, by another node", async () => {
      using proxy = await FreezingProxy.start(clientPort);
      await using client = await connectTo(connectString(proxy.port));
      await other.create(path, "", { parents: true });
      proxy.freeze("replies");
      const acquiring = new Mutex(client, path).acquire();
      await untilInLine(1);
      const [orphan] = await namesInLine();
      await killSession(clientPort, client.sessionId);
      proxy.cut();
      proxy.thaw();
      const grant = await acquiring;
      assert.equal(grant.epoch, client.epoch);
      const names = await namesInLine();
      assert.deepEqual(names, [grant.path.slice(path.length + 1)]);
      assert.ok(!names.includes(orphan ?? ""));
    });

    it("one whose release got no answer, or does not arrive for long, gives it to the next", async () => {
      using proxy = await FreezingProxy.start(clientPort);
      await using client = await connectTo(connectString(proxy.port));
      for (const direction of ["replies", "requests"] as const) {
        const grant = await new Mutex(client, path).acquire();
        const waiting = new Mutex(other, path).acquire();
        await untilInLine(2);
        proxy.freeze(direction);
        const releasing = grant.release();
        assert.equal(grant.isHeld(), false);
        if (direction === "requests") assert.equal((await namesInLine()).length, 2);
        else await untilInLine(1);
        proxy.cut();
        proxy.thaw();
        await releasing;
        const next = await waiting;
        assert.ok(next.token > grant.token);
        await next.release();
        assert.deepEqual(await namesInLine(), []);
      }
    });

    it("one that is cut off has stopped holding it when the next one does", async () => {
      using proxy = await FreezingProxy.start(clientPort);
      await using client = await connectTo(connectString(proxy.port), { sessionTimeout: 5000 });
      const told = toldBy(client);
      const grant = await new Mutex(client, path, { tickTime: 1000 }).acquire();
      proxy.freeze();
      const next = await new Mutex(other, path).acquire();
      assert.equal(grant.isHeld(), false);
      assert.ok(grant.signal.aborted);
      assert.throws(() => grant.check(), { code: "EVH_LEASE_LOST" });
      assert.ok(next.token > grant.token);
      proxy.cut();
      proxy.thaw();
      await nextSession(told);
      await grant.release();
      assert.ok(next.isHeld());
      assert.equal((await namesInLine()).length, 1);
      await next.release();
    });

    it("one whose session is ended from elsewhere is told, and waits again where it waited", async () => {
      await using client = await connectTo(ensemble.connectString);
      const told = toldBy(client);
      const first = await new Mutex(client, path).acquire();
      const waiting = new Mutex(client, path).acquire();
      await untilInLine(2);
      await killSession(clientPort, client.sessionId);
      if (!first.signal.aborted) await once(first.signal, "abort");
      assert.equal(first.isHeld(), false);
      const { epoch } = await nextSession(told);
      const second = await waiting;
      assert.equal(second.epoch, epoch);
      assert.ok(second.token > first.token);
      assert.equal((await namesInLine()).length, 1);
    });

    it("a line that is deleted with all who stand in it is made again", async () => {
      await using client = await connectTo(ensemble.connectString);
      const first = await new Mutex(client, path).acquire();
      const waiting = new Mutex(client, path).acquire();
      await untilInLine(2);
      const names = await namesInLine();
      // At once: what deletes one after the other would take what is made again along.
      await other.multi([...names.map((name) => ops.delete(`${path}/${name}`)), ops.delete(path)]);
      const second = await waiting;
      assert.ok(second.token > first.token);
      await first.release();
      assert.ok(second.isHeld());
      assert.equal((await namesInLine()).length, 1);
    });

    it("who gives up leaves nothing behind", async () => {
      await using client = await connectTo(ensemble.connectString);
      await using grant = await new Mutex(other, path).acquire();
      const caller = new AbortController();
      const waits = [
        new Mutex(client, path).acquire({ timeout: 500 }),
        new Mutex(client, path).acquire({ signal: caller.signal }),
      ];
      for (const wait of waits) wait.catch(() => undefined);
      await untilInLine(3);
      caller.abort();
      for (const [index, code] of (["EVH_TIMEOUT", "EVH_ABORTED"] as const).entries()) {
        await assert.rejects(waits[index] ?? Promise.resolve(), { code, outcome: "none" });
      }
      await untilInLine(1);
      assert.ok(grant.isHeld());
    });

    it("who contends with Curator, whose nodes have the same names, waits for it, and it for us", async () => {
      const as = (kind: string): Promise<Created> =>
        other.create(`${path}/${kind}`, "", {
          mode: "ephemeralSequential",
          protected: true,
          parents: "container",
        });
      const mutexNode = await as("lock-");
      const acquiring = new Mutex(other, path).acquire();
      await untilInLine(2);
      await other.delete(mutexNode.path);
      await (await acquiring).release();
      const lock = new ReadWriteLock(other, path);
      const readNode = await as("__READ__");
      const writing = lock.write.acquire();
      await untilInLine(2);
      await assert.rejects(lock.read.acquire({ timeout: 200 }), { code: "EVH_TIMEOUT" });
      await other.delete(readNode.path);
      const writer = await writing;
      assert.ok(writer.token > readNode.stat.czxid);
      await writer.release();
    });

    it("a line that goes when nobody stands in it, at any moment, is in nobody's way", async () => {
      await using reaper = await connectTo(ensemble.connectString);
      const mutex = new Mutex(other, path);
      let goneCount = 0;
      // As servers reap a container, only sooner; less often at a time than one call makes what is missing.
      const reap = async (isOver: () => boolean): Promise<void> => {
        for (let times = 0; times < 12 && !isOver();) {
          try {
            await reaper.delete(path, { retry: false });
            times += 1;
            goneCount += 1;
          } catch (error) {
            assert.ok(error instanceof ZooKeeperError);
          }
        }
      };
      await until("the line has gone a hundred times", async () => {
        let isOver = false;
        const reaping = reap(() => isOver);
        await mutex.run((grant) => grant.check()).finally(() => (isOver = true));
        await reaping;
        return goneCount >= 100 || undefined;
      });
    });

    it("who writes is alone, reads on besides, and who waits to write comes after", async () => {
      await using client = await connectTo(ensemble.connectString);
      const [lock, others] = [new ReadWriteLock(client, path), new ReadWriteLock(other, path)];
      const readers = [await lock.read.acquire(), await others.read.acquire()];
      const writing = lock.write.acquire();
      await untilInLine(3);
      for (const reader of readers) await reader.release();
      const writer = await writing;
      const next = others.write.acquire();
      await untilInLine(2);
      const reader = await lock.read.acquire({ under: writer });
      await writer.release();
      await other.sync();
      assert.deepEqual([reader.isHeld(), reader.token], [true, writer.token]);
      assert.equal((await namesInLine()).length, 2);
      await reader.release();
      assert.ok((await next).token > reader.token);
    });

    it("as many hold a permit as there are, and whoever leaves makes room", async () => {
      const semaphore = new Semaphore(other, path, { permits: 3 });
      await using client = await connectTo(ensemble.connectString);
      const others = new Semaphore(client, path, { permits: 3 });
      const held = [await semaphore.acquire(), await others.acquire({ permits: 2 })];
      const waiting = [others.acquire(), semaphore.acquire()];
      await untilInLine(4);
      await held[1]?.release();
      const next = await Promise.all(waiting);
      const last = others.acquire();
      await untilInLine(4);
      // The one in the middle, whom nobody stands right behind.
      await next[0]?.release();
      const grants = [held[0], next[1], await last];
      assert.ok(grants.every((grant) => grant?.isHeld()));
      const all = await semaphore.participants();
      assert.deepEqual(
        all.map(({ token }) => token),
        grants.map((grant) => grant?.token),
      );
      for (const grant of grants) await grant?.release();
    });
  });
}

/** To how many watches the server has told of each deletion: at most, and all in all. */
async function deletionWatches(
  server: ZooKeeperServer,
): Promise<{ readonly most: number; readonly all: number }> {
  const answer = await server.command("mntr");
  const valueOf = (name: string): number =>
    Number(new RegExp(`^zk_${name}_node_deleted_watch_count\\t(.*)$`, "m").exec(answer)?.[1]);
  return { most: valueOf("max"), all: valueOf("sum") };
}
