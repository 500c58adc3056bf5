/** What the client takes for granted about servers, and what it must not: told by raw bytes, on each version. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { zooKeeperVersions } from "../support/class-path.ts";
import { Ensemble } from "../support/ensemble.ts";
import { groundOf } from "../support/ground.ts";
import { buffer, int, long, RawZooKeeper, replyOf, sessionOf } from "../support/raw-zookeeper.ts";

const operation = {
  create2: 15,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  removeWatches: 18,
  addWatch: 106,
};
const yes = Uint8Array.of(1);
const no = Uint8Array.of(0);
const acl = Buffer.concat([int(1), int(31), buffer("world"), buffer("anyone")]);
const node = (path: string): Buffer => Buffer.concat([buffer(path), buffer("x"), acl, int(0)]);
const newData = (path: string): Buffer => Buffer.concat([buffer(path), buffer("y"), int(-1)]);

for (const version of zooKeeperVersions) {
  describe(`what ZooKeeper ${version} does`, () => {
    let ensemble: Ensemble;
    let port: number;
    const ground = groundOf();
    before(async () => {
      ensemble = ground.own(await Ensemble.start({ version, size: 1 }));
      port = ensemble.servers[0]?.clientPort ?? 0;
    });

    it("it keeps a session's timeout between two ticks and what is set up", async () => {
      using low = await RawZooKeeper.connect(port);
      assert.equal(sessionOf(await low.handshake(1)).timeoutMs, 1000);
      using high = await RawZooKeeper.connect(port);
      assert.equal(sessionOf(await high.handshake(100_000)).timeoutMs, 60_000);
    });

    it("it ends the connection of who has seen more than it, without a word", async () => {
      using ahead = await RawZooKeeper.connect(port);
      ahead.sendFrame(
        Buffer.concat([
          ...[int(0), long(1n << 40n), int(4000), long(0n), buffer(new Uint8Array(16)), no],
        ]),
      );
      await assert.rejects(ahead.nextFrame(), /closed the connection/);
    });

    it("it ends the connection of a frame beyond jute.maxbuffer, without a word", async () => {
      using client = await opened(port);
      client.sendFrame(new Uint8Array(0x10_00_00));
      await assert.rejects(client.nextFrame(), /closed the connection/);
    });

    it("a session that moves keeps its ephemeral nodes, and its former connection ends at once", async () => {
      using first = await RawZooKeeper.connect(port);
      const session = sessionOf(await first.handshake(4000));
      using second = await RawZooKeeper.connect(port);
      assert.equal(sessionOf(await second.handshake(4000, session)).sessionId, session.sessionId);
      await first.closed();
    });

    const modes = version === "3.8.0" ? "silently becomes a one-shot watch" : "stays";
    it(`a persistent watch ${modes} when a read watches the same path`, async () => {
      using watcher = await opened(port);
      await watcher.request(operation.create2, node("/mixed"));
      await watcher.request(operation.addWatch, Buffer.concat([buffer("/mixed"), int(0)]));
      await watcher.request(operation.getData, Buffer.concat([buffer("/mixed"), yes]));
      assert.equal(await notificationsOf(watcher, "/mixed", 3), version === "3.8.0" ? 1 : 3);
    });

    it("a persistent watch that is added after a read's watch stays", async () => {
      using watcher = await opened(port);
      await watcher.request(operation.create2, node("/later"));
      await watcher.request(operation.getData, Buffer.concat([buffer("/later"), yes]));
      await watcher.request(operation.addWatch, Buffer.concat([buffer("/later"), int(0)]));
      assert.equal(await notificationsOf(watcher, "/later", 3), 3);
    });

    const removable = version === "3.8.0" ? "cannot" : "can";
    it(`a persistent watch ${removable} be removed by its own kind, and can by any`, async () => {
      using watcher = await opened(port);
      const [persistent, any] = [4, 3];
      await watcher.request(operation.addWatch, Buffer.concat([buffer("/removed"), int(0)]));
      const remove = (kind: number): Buffer => Buffer.concat([buffer("/removed"), int(kind)]);
      const byKind = await watcher.request(operation.removeWatches, remove(persistent));
      assert.equal(byKind.errorCode, version === "3.8.0" ? -5 : 0);
      const byAny = await watcher.request(operation.removeWatches, remove(any));
      assert.equal(byAny.errorCode, version === "3.8.0" ? 0 : -121);
    });

    it("a notification comes before the answer to the change that it tells of", async () => {
      using watcher = await opened(port);
      await watcher.request(operation.create2, node("/order"));
      await watcher.request(operation.getData, Buffer.concat([buffer("/order"), yes]));
      const told = await watcher.request(operation.setData, newData("/order"));
      assert.equal(told.xid, -1);
      const answer = replyOf(await watcher.nextFrame());
      assert.equal(told.zxid, version === "3.8.0" ? -1n : answer.zxid);
    });
  });
}

async function opened(port: number): Promise<RawZooKeeper> {
  const client = await RawZooKeeper.connect(port);
  await client.handshake(4000);
  return client;
}

/** How many of so many changes a watcher is told of. */
async function notificationsOf(client: RawZooKeeper, path: string, times: number): Promise<number> {
  let count = 0;
  for (let index = 0; index < times; index += 1) {
    let reply = await client.request(operation.setData, newData(path));
    while (reply.xid === -1) {
      count += 1;
      reply = replyOf(await client.nextFrame());
    }
  }
  return count;
}
