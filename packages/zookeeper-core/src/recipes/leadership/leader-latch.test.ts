import assert from "node:assert/strict";
import { test } from "node:test";
import { deferred } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { operations } from "../../protocol/operations.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import type { Grant } from "../contention/grant.ts";
import { LeaderLatch, type LeaderLatchOptions } from "./leader-latch.ts";

const path = "/leaders/billing";
const timing = { tickTime: 500 };

interface Standing {
  readonly client: ZooKeeper;
  readonly latch: LeaderLatch;
  readonly told: string[];
  readonly grants: Grant[];
}

async function stand(
  servers: TreeServers,
  options: LeaderLatchOptions = {},
  client?: ZooKeeper,
): Promise<Standing> {
  const own = client ?? (await servers.connect());
  const latch = new LeaderLatch(own, path, { ...timing, ...options });
  const told: string[] = [];
  const grants: Grant[] = [];
  latch.on("leader", ({ grant }) => {
    grants.push(grant);
    told.push("leader");
  });
  for (const type of ["notLeader", "closed"] as const) latch.on(type, () => void told.push(type));
  latch.on("error", ({ error }) => void told.push(error.code));
  latch.start();
  await servers.world.settle();
  return { client: own, latch, told, grants };
}

test("one of all leads, then the one that came next, with a larger token", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const first = await stand(servers, { id: "first" });
  const second = await stand(servers, { id: "second" });
  await world.advance(3000);
  assert.deepEqual([first.latch.isLeader(), second.latch.isLeader()], [true, false]);
  const ids = (await world.now(second.latch.participants())).map(({ id }) => id);
  assert.deepEqual(ids, ["first", "second"]);
  assert.equal((await world.now(second.latch.leader()))?.token, first.latch.grant?.token);
  const waiting = second.latch.awaitLeadership();
  await world.now(first.latch.close());
  assert.equal(first.latch.isLeader(), false);
  await world.advance(3000);
  const grant = await world.now(waiting);
  assert.ok(grant.token > (first.grants[0]?.token ?? 0n));
  assert.deepEqual(first.told, ["leader", "notLeader", "closed"]);
  assert.deepEqual(second.told, ["leader"]);
  await world.now(second.latch.close());
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(Promise.all([first.client.close(), second.client.close()]));
  assertNothingRuns(world);
});

test("a connection that breaks for a moment changes nothing, and makes no other node", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { client, latch, told } = await stand(servers);
  await world.advance(3000);
  const before = servers.tree.childrenOf(path);
  for (let count = 0; count < 10; count += 1) {
    servers.disconnect(client.sessionId);
    await world.advance(100);
  }
  await world.advance(3000);
  assert.equal(latch.isLeader(), true);
  assert.deepEqual(servers.tree.childrenOf(path), before);
  assert.deepEqual(told, ["leader"]);
});

test("where only the lease ended, the same node leads again, by another grant with the same token", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, told, grants } = await stand(servers);
  await world.advance(3000);
  const before = servers.tree.childrenOf(path);
  servers.interfere = ({ code }) => (code === operations.multi.code ? "drop" : undefined);
  await world.advance(6000);
  assert.equal(latch.isLeader(), false);
  assert.equal(latch.grant, undefined);
  assert.deepEqual(told, ["leader", "notLeader"]);
  servers.interfere = () => undefined;
  // What was dropped is asked again by the connection that comes after it.
  servers.disconnect([...servers.ensemble.sessions.keys()][0] ?? 0n);
  await world.advance(10_000);
  assert.deepEqual(told, ["leader", "notLeader", "leader"]);
  assert.deepEqual(servers.tree.childrenOf(path), before);
  const [first, again] = grants;
  assert.equal(again?.token, first?.token);
  assert.deepEqual([first?.isHeld(), again?.isHeld()], [false, true]);
});

test("a former grant that is given back late ends the one that leads again by the same node, at once", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, told, grants } = await stand(servers);
  await world.advance(3000);
  const drop = ({ code }: { code: number }): "drop" | undefined =>
    code === operations.multi.code ? "drop" : undefined;
  servers.interfere = drop;
  await world.advance(6000);
  servers.interfere = () => undefined;
  servers.disconnect([...servers.ensemble.sessions.keys()][0] ?? 0n);
  await world.advance(10_000);
  assert.equal(latch.isLeader(), true);
  const releasing = grants[0]?.release();
  // Before anybody else can have been told that the node goes.
  assert.equal(latch.isLeader(), false);
  await world.now(Promise.resolve(releasing));
  await world.advance(3000);
  assert.deepEqual(told, ["leader", "notLeader", "leader", "notLeader", "leader"]);
  assert.equal(servers.tree.childrenOf(path).length, 1);
});

test("a process that stood still does not lead when it asks, before any timer fires", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, told } = await stand(servers);
  await world.advance(3000);
  assert.equal(latch.isLeader(), true);
  world.nowMs += 9000;
  assert.equal(latch.isLeader(), false);
  assert.deepEqual(told, ["leader", "notLeader"]);
});

test("in another session it stands at the end of the line", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const first = await stand(servers);
  const second = await stand(servers);
  await world.advance(3000);
  await servers.expire(first.client.sessionId);
  await world.advance(5000);
  assert.deepEqual(first.told, ["leader", "notLeader"]);
  assert.deepEqual(second.told, ["leader"]);
  await servers.expire(second.client.sessionId);
  await world.advance(5000);
  assert.deepEqual(first.told, ["leader", "notLeader", "leader"]);
  const tokens = [first.grants[0], second.grants[0], first.grants[1]].map((one) => one?.token);
  assert.deepEqual(
    tokens,
    tokens.toSorted((one, other) => Number((one ?? 0n) - (other ?? 0n))),
  );
  assert.equal(servers.tree.childrenOf(path).length, 2);
});

test("where somebody deletes all of the path it stands again", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const leading = await stand(servers);
  const waiting = await stand(servers);
  await world.advance(3000);
  await servers.change(() => {
    for (const name of tree.childrenOf(path)) tree.delete(`${path}/${name}`);
    tree.delete(path);
  });
  await world.advance(6000);
  assert.deepEqual(leading.told.slice(0, 2), ["leader", "notLeader"]);
  assert.equal(tree.childrenOf(path).length, 2);
  assert.equal([leading, waiting].filter(({ latch }) => latch.isLeader()).length, 1);
});

test("who gives its grant back stands at the end of the line", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const first = await stand(servers);
  const second = await stand(servers);
  await world.advance(3000);
  await world.now(first.grants[0]?.release() ?? Promise.resolve());
  await world.advance(3000);
  assert.deepEqual([first.latch.isLeader(), second.latch.isLeader()], [false, true]);
  assert.equal(servers.tree.childrenOf(path).length, 2);
});

test("a latch that closes silently tells no listener that it leads no more", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, told, client } = await stand(servers, { closeMode: "silent" });
  await world.advance(3000);
  await world.now(latch.close());
  assert.deepEqual(told, ["leader", "closed"]);
  assert.equal(latch.isLeader(), false);
  assert.throws(() => latch.start(), { code: "EVH_CLOSED" });
  await world.now(client.close());
  assertNothingRuns(world);
});

test("closing ends at its time limit, though no server says that the node is gone; it goes afterwards", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, told, client } = await stand(servers);
  await world.advance(3000);
  servers.interfere = ({ code }) => (code === operations.delete.code ? "drop" : undefined);
  const closing = latch.close({ timeout: 100 });
  assert.equal(await world.isPending(closing), true);
  await world.advance(100);
  await world.now(closing);
  assert.deepEqual(told, ["leader", "notLeader", "closed"]);
  servers.interfere = () => undefined;
  await world.advance(30_000);
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("closed at any moment after its node was made, nothing of it is in line when that resolves", async () => {
  const ends = new Set<string>();
  for (let stepCount = 0; stepCount < 60; stepCount += 1) {
    const servers = new TreeServers();
    const { world, tree } = servers;
    const client = await servers.connect();
    const latch = new LeaderLatch(client, path, timing);
    latch.start();
    for (let step = 0; step < stepCount; step += 1) await world.step();
    // The lease is the last that it needs, and takes time.
    if (stepCount >= 40) await world.advance((stepCount - 40) * 50);
    let isThere = -1;
    const count = (): number => (tree.nodes.has(path) ? tree.childrenOf(path).length : 0);
    const wasThere = count();
    const closing = latch.close().then(() => (isThere = count()));
    await world.now(closing);
    // Before, it may not know of its node yet: that goes a moment later.
    if (stepCount >= 20) assert.equal(isThere, 0, `closed after ${stepCount} steps`);
    await world.advance(1000);
    if (wasThere > 0)
      assert.deepEqual(tree.childrenOf(path), [], `closed after ${stepCount} steps`);
    ends.add(`${wasThere} ${latch.isLeader()}`);
    await world.now(client.close());
    assertNothingRuns(world);
  }
  assert.deepEqual([...ends].toSorted(), ["0 false", "1 false"]);
});

test("closed at any moment between its lease and leading, it does not lead, or leads no more", async () => {
  const ends = new Set<string>();
  for (let turnCount = 0; turnCount < 60; turnCount += 1) {
    const servers = new TreeServers();
    const { world, tree } = servers;
    const client = await servers.connect();
    let closing: Promise<void> | undefined;
    const close = async (latch: LeaderLatch): Promise<void> => {
      // Each of them is one step of what goes on in between.
      for (let turn = 0; turn < turnCount; turn += 1) await Promise.resolve();
      await latch.close();
    };
    const latch = new LeaderLatch(client, path, timing);
    const told: string[] = [];
    for (const type of ["leader", "notLeader", "closed"] as const) {
      latch.on(type, () => void told.push(type));
    }
    servers.interfere = ({ code }) => {
      // The answer to this one is its lease.
      if (code === operations.multi.code) world.later(() => void (closing ??= close(latch)));
      return undefined;
    };
    latch.start();
    await world.settle();
    await world.now(closing ?? Promise.reject(new Error("there was no lease")));
    assert.equal(latch.isLeader(), false);
    assert.deepEqual(tree.childrenOf(path), []);
    ends.add(told.join());
    await world.now(client.close());
    assertNothingRuns(world);
  }
  assert.deepEqual([...ends], ["closed", "leader,notLeader,closed"]);
});

test("who deletes the leader's node again and again makes no elections at that pace", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { told, client } = await stand(servers);
  for (let count = 0; count < 600; count += 1) {
    await world.advance(100);
    await servers.change((tree) => {
      if (told.at(-1) !== "leader") return;
      for (const name of tree.childrenOf(path)) tree.delete(`${path}/${name}`);
    });
  }
  const leadCount = told.filter((type) => type === "leader").length;
  assert.ok(leadCount > 10 && leadCount < 120, `led ${leadCount} times in a minute`);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("it may be closed by whoever is told that it leads", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const latch = new LeaderLatch(client, path, timing);
  const told: string[] = [];
  latch.on("leader", () => {
    told.push("leader");
    latch.close().catch(() => undefined);
  });
  for (const type of ["notLeader", "closed"] as const) latch.on(type, () => void told.push(type));
  latch.start();
  await world.advance(3000);
  assert.deepEqual(told, ["leader", "notLeader", "closed"]);
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("closed by whoever is told that it leads, it takes no longer than it was given", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const latch = new LeaderLatch(client, path, timing);
  let closing: Promise<void> | undefined;
  let tookMs: number | undefined;
  latch.on("leader", () => {
    servers.interfere = ({ code }) => (code === operations.delete.code ? "drop" : undefined);
    const { nowMs } = world;
    closing = latch.close({ timeout: 100 }).then(() => void (tookMs = world.nowMs - nowMs));
  });
  latch.start();
  await world.advance(3000);
  await world.now(closing ?? Promise.reject(new Error("it did not lead")));
  assert.equal(tookMs, 100);
  await world.now(client.close());
});

test("a wait that can't be is refused, and closes and gives back nothing", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { latch, client, grants } = await stand(servers);
  await world.advance(3000);
  for (const timeout of [-1, Number.NaN, "100" as never]) {
    await assert.rejects(async () => grants[0]?.release({ timeout }), RangeError);
    await assert.rejects(latch.close({ timeout }), RangeError);
    await assert.rejects(client.close({ timeout }), RangeError);
  }
  assert.equal(latch.isLeader(), true);
  await world.now(latch.close());
  assert.deepEqual(servers.tree.childrenOf(path), []);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("the end of the client is the end of its latches", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const leading = await stand(servers);
  const waiting = await stand(servers, {}, leading.client);
  await world.advance(3000);
  const lead = waiting.latch.awaitLeadership();
  lead.catch(() => undefined);
  let wasLeader: boolean | undefined;
  servers.interfere = ({ code }) => {
    if (code === operations.closeSession.code) wasLeader = leading.latch.isLeader();
    return undefined;
  };
  await world.now(leading.client.close());
  assert.equal(wasLeader, false, "others may lead as soon as the session is over");
  await world.advance(5000);
  assert.deepEqual(leading.told, ["leader", "notLeader", "closed"]);
  assert.deepEqual(waiting.told, ["closed"]);
  assertError(await rejection(world, lead), "EVH_CLOSED");
  assertNothingRuns(world);
});

test("a wait for leadership ends in its time, and with what makes it impossible", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  await stand(servers);
  const second = await stand(servers);
  const late = second.latch.awaitLeadership({ timeout: 1000 });
  late.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, late), "EVH_TIMEOUT");
  servers.interfere = ({ code }) => (code === operations.create2.code ? -102 : undefined);
  const refused = await stand(servers);
  const waiting = refused.latch.awaitLeadership();
  waiting.catch(() => undefined);
  await world.advance(3000);
  assertError(await rejection(world, waiting), "EVH_SECURITY");
  assert.ok(refused.told.length > 0 && refused.told.length < 30, refused.told.join());
});

test("a wait for leadership ends with the client, also before the latch is started", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const latch = new LeaderLatch(client, path, timing);
  const waiting = latch.awaitLeadership();
  waiting.catch(() => undefined);
  await world.now(client.close());
  assertError(await rejection(world, waiting), "EVH_CLOSED");
  assertError(await rejection(world, latch.awaitLeadership()), "EVH_CLOSED");
  assertNothingRuns(world);
});

test("the client of one session stands for an election in that one, and says when it is over", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const other = await stand(servers);
  const client = await servers.connect();
  const finish = deferred<void>();
  const begun = deferred<Standing>();
  const work = client.inSession(async ({ client: bound }) => {
    begun.resolve(await stand(servers, {}, bound));
    await finish.promise;
  });
  work.catch(() => undefined);
  const { latch, told } = await world.now(begun.promise);
  const waiting = latch.awaitLeadership();
  waiting.catch(() => undefined);
  await world.advance(3000);
  await servers.expire(client.sessionId);
  await world.advance(10_000);
  assertError(await rejection(world, waiting), "EVH_SESSION_EXPIRED");
  assert.deepEqual(told, ["EVH_SESSION_EXPIRED", "closed"]);
  finish.resolve();
  assertError(await rejection(world, work), "EVH_SESSION_EXPIRED", "unknown");
  await world.now(Promise.all([client.close(), other.client.close()]));
  assertNothingRuns(world);
});

test("that no lease can be had is told, and tried again", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  // MARSHALLINGERROR: what is refused so is no more the session's end than the node's.
  servers.interfere = ({ code }) => (code === operations.multi.code ? -5 : undefined);
  const { latch, told, client } = await stand(servers);
  const waiting = latch.awaitLeadership();
  await world.advance(6000);
  assert.ok(told.length > 0, "nothing was told");
  assert.ok(told.every((one) => one === "EVH_LEASE_LOST") && told.length < 30, told.join());
  servers.interfere = () => undefined;
  await world.advance(6000);
  assert.equal((await world.now(waiting)).isHeld(), true);
  await world.now(client.close());
});

test("what can't be is refused at once", async () => {
  const servers = new TreeServers();
  const client = await servers.connect();
  assert.throws(() => new LeaderLatch(client, "leaders"), { code: "EVH_PATH" });
  const wrong: readonly LeaderLatchOptions[] = [
    { closeMode: "loud" as never },
    { id: 7 as never },
    { acl: [] },
  ];
  for (const options of wrong) {
    assert.throws(() => new LeaderLatch(client, path, options), { code: "EVH_CONFIG" });
  }
});

test("sessions that come and go make no elections at that pace", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const { client, told } = await stand(servers);
  const creates = (): number =>
    servers.ensemble.received.filter(({ code }) => code === operations.create2.code).length;
  const before = creates();
  for (let count = 0; count < 40; count += 1) await servers.expire(client.sessionId);
  assert.ok(creates() - before < 40, `${creates() - before} creates`);
  await world.advance(10_000);
  assert.equal(told.at(-1), "leader");
});
