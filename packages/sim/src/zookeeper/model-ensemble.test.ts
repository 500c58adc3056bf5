import assert from "node:assert/strict";
import { test } from "node:test";
import { assertNothingRuns, errorOf } from "@everhold/test-world";
import { ops } from "@everhold/zookeeper-core";
import { EnsembleWorld } from "./ensemble-world.test-support.ts";

test("a client reads on a standalone server what it wrote", async () => {
  const setup = new EnsembleWorld({ serverCount: 1 });
  const client = await setup.client();
  const { stat } = await setup.within(client.create("/a", "one"));
  await setup.within(client.setData("/a", "three", { version: 0 }));
  const read = await setup.within(client.getData("/a"));
  assert.equal(read.stat.version, 1);
  assert.equal(read.stat.czxid, stat.czxid);
  assert.equal(read.stat.dataLength, 5);
  const { stat: root } = await setup.within(client.getChildren("/"));
  assert.deepEqual([root.numChildren, root.cversion], [2, 0]);
  await setup.stop(client);
  assertNothingRuns(setup.world);
});

test("sequential nodes are numbered by the children that their parent has had", async () => {
  const setup = new EnsembleWorld({ serverCount: 1 });
  const client = await setup.client();
  await setup.within(client.create("/q"));
  const first = await setup.within(client.create("/q/n-", "", { mode: "persistentSequential" }));
  await setup.within(client.delete(first.path));
  await setup.within(client.create("/q/other"));
  const second = await setup.within(client.create("/q/n-", "", { mode: "persistentSequential" }));
  assert.equal(first.path, "/q/n-0000000000");
  assert.equal(second.path, "/q/n-0000000002");
  await setup.stop(client);
});

test("of a multi with one part that is refused nothing stays", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  const parts = [
    ops.create("/m"),
    ops.create("/m/s-", "", { mode: "persistentSequential" }),
    ops.check("/none"),
  ];
  await setup.within(errorOf(client.multi(parts)));
  assert.equal(await setup.within(client.exists("/m")), null);
  assert.equal(setup.ensemble.node("/m"), undefined);
  const { stat } = await setup.within(client.getChildren("/"));
  assert.deepEqual([stat.numChildren, stat.cversion, stat.pzxid], [1, -1, 0n]);
  await setup.stop(client);
});

test("a write is there on the server that answered it, and elsewhere after a sync", async () => {
  const setup = new EnsembleWorld({ lag: { minMs: 5, maxMs: 400 } });
  const writer = await setup.client({}, ["a"]);
  const reader = await setup.client({}, ["b"]);
  for (let turn = 0; turn < 10; turn += 1) {
    const path = `/n${turn}`;
    await setup.within(writer.create(path));
    assert.notEqual(await setup.within(writer.exists(path)), null);
    await setup.within(reader.sync());
    assert.notEqual(await setup.within(reader.exists(path)), null);
  }
  await setup.stop(writer, reader);
});

test("a watch is told before the answer that shows the change", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  const other = await setup.client();
  await setup.within(client.create("/w"));
  await setup.within(client.sync());
  const told: string[] = [];
  const stream = await setup.within(client.watch("/w", { recursive: true }));
  const listening = (async () => {
    for await (const event of stream) {
      if (event.type !== "gap") told.push(`${event.type} ${event.path}`);
    }
  })();
  await setup.within(other.create("/w/a"));
  await setup.within(other.setData("/w/a", "x"));
  await setup.within(other.delete("/w/a"));
  await setup.within(client.sync());
  assert.deepEqual(
    told.filter((one) => one.endsWith("/w/a")),
    ["created /w/a", "dataChanged /w/a", "deleted /w/a"],
  );
  await setup.stop(client, other);
  await setup.within(listening);
});

test("a session whose client is silent ends after its timeout, at a whole tick, with its nodes", async () => {
  const setup = new EnsembleWorld({ serverCount: 1, tickTimeMs: 1000 });
  const client = await setup.client({ sessionTimeout: 5000 });
  await setup.within(client.create("/e", "", { mode: "ephemeral" }));
  const { sessionId } = client;
  assert.equal(setup.ensemble.node("/e")?.stat.ephemeralOwner, sessionId);
  await setup.world.advance(20_000);
  assert.equal(setup.ensemble.isSessionAlive(sessionId), true);
  setup.world.network.silence({});
  for (const link of setup.world.network.openLinks) link.cut();
  const cutAtMs = setup.world.nowMs;
  await setup.until("the session ends", () => !setup.ensemble.isSessionAlive(sessionId));
  const lastedMs = setup.world.nowMs - cutAtMs;
  assert.ok(lastedMs > 3000 && lastedMs <= 6010, `${lastedMs}`);
  assert.equal(setup.ensemble.node("/e"), undefined);
  assert.deepEqual(setup.events.at(-1), { type: "sessionEnded", sessionId, cause: "expired" });
  await setup.stop(client);
});

test("a session and its nodes survive the leader", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  await setup.within(client.create("/e", "", { mode: "ephemeral" }));
  const { sessionId, epoch } = client;
  const leader = setup.ensemble.leaderIndex ?? assert.fail("nobody leads");
  setup.ensemble.kill(leader);
  await setup.until(
    "there is another leader",
    () => ![undefined, leader].includes(setup.ensemble.leaderIndex),
  );
  await setup.within(client.setData("/e", "still"));
  assert.deepEqual([client.sessionId, client.epoch], [sessionId, epoch]);
  setup.ensemble.restart(leader);
  await setup.stop(client);
});

test("without a majority nothing is written, and what was unsent is written afterwards", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  const leader = setup.ensemble.leaderIndex ?? assert.fail("nobody leads");
  const others = [0, 1, 2].filter((index) => index !== leader);
  for (const index of others) setup.ensemble.kill(index);
  await setup.until("nobody leads", () => setup.ensemble.leaderIndex === undefined);
  const created = client.create("/later");
  assert.equal(await setup.world.isPending(created), true);
  assert.equal(setup.ensemble.node("/later"), undefined);
  for (const index of others) setup.ensemble.restart(index);
  await setup.within(created);
  assert.notEqual(setup.ensemble.node("/later"), undefined);
  await setup.stop(client);
});

test("a follower that is cut off answers for a while what is no more", async () => {
  const setup = new EnsembleWorld({ tickTimeMs: 500, syncLimit: 10 });
  await setup.until("somebody leads", () => setup.ensemble.leaderIndex !== undefined);
  const leader = setup.ensemble.leaderIndex ?? assert.fail("nobody leads");
  const index = leader === 0 ? 1 : 0;
  const stale = await setup.client({ sessionTimeout: 2000, retry: false }, [
    ["a", "b"][index] ?? "",
  ]);
  const fresh = await setup.client({}, [["a", "b", "c"][leader] ?? ""]);
  await setup.within(stale.create("/e", "old", { mode: "ephemeral" }));
  const { sessionId } = stale;
  setup.ensemble.cutFromLeader(index);
  await setup.until("the session ends", () => !setup.ensemble.isSessionAlive(sessionId));
  await setup.within(fresh.create("/e", "new"));
  const { data } = await setup.world.now(stale.getData("/e"));
  assert.equal(new TextDecoder().decode(data), "old");
  assert.equal(stale.state, "connected");
  setup.ensemble.reconnect(index);
  await setup.within(fresh.sync());
  await setup.stop(stale, fresh);
});

test("servers that lost their data know neither sessions nor nodes", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client({ onRolledBack: "continue" });
  await setup.within(client.create("/a"));
  const { sessionId } = client;
  setup.ensemble.wipe();
  assert.equal(setup.ensemble.isSessionAlive(sessionId), false);
  assert.equal(setup.ensemble.node("/a"), undefined);
  await setup.until(
    "the client has another session",
    () => client.sessionId !== sessionId && client.state === "connected",
  );
  assert.equal(await setup.within(client.exists("/a")), null);
  await setup.stop(client);
});

test("a session that somebody ends is gone everywhere", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  const { sessionId } = client;
  setup.ensemble.endSession(sessionId);
  await setup.until(
    "the client has another session",
    () => client.sessionId !== sessionId && client.state === "connected",
  );
  assert.equal(setup.ensemble.sessionIds.includes(sessionId), false);
  await setup.stop(client);
});

test("a container goes when its last child has gone", async () => {
  const setup = new EnsembleWorld({ containerCheckMs: 1000 });
  const client = await setup.client();
  await setup.within(client.create("/c", "", { mode: "container" }));
  await setup.world.advance(3000);
  assert.notEqual(setup.ensemble.node("/c"), undefined);
  await setup.within(client.create("/c/child"));
  await setup.within(client.delete("/c/child"));
  await setup.until("the container goes", () => setup.ensemble.node("/c") === undefined);
  await setup.stop(client);
});
