import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { zooKeeperErrors } from "../../protocol/error-codes.ts";
import { operations } from "../../protocol/operations.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { Barrier } from "./barrier.ts";
import { DoubleBarrier } from "./double-barrier.ts";

const path = "/barriers/import";

function connectMany(servers: TreeServers, count: number): Promise<ZooKeeper[]> {
  return Promise.all(Array.from({ length: count }, () => servers.connect()));
}

test("whoever comes waits while the barrier is in the way, and nobody before or after", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const [setter, waiter] = await connectMany(servers, 2);
  assert.ok(setter !== undefined && waiter !== undefined);
  const barrier = new Barrier(waiter, path);
  await world.now(barrier.pass());
  await world.now(new Barrier(setter, path).set());
  await world.now(barrier.set());
  assert.equal(await world.now(barrier.isSet()), true);
  const passing = [barrier.pass(), barrier.pass(), new Barrier(setter, path).pass()];
  for (const one of passing) assert.equal(await world.isPending(one), true);
  await world.now(new Barrier(setter, path).remove());
  await world.now(Promise.all(passing));
  await world.now(barrier.remove());
  await world.now(Promise.all([setter.close(), waiter.close()]));
  assertNothingRuns(world);
});

test("neither a connection that is back nor a change of the node lets anybody by", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const barrier = new Barrier(client, path);
  await world.now(barrier.set());
  const passing = barrier.pass();
  await servers.change((tree) => tree.write(path, null));
  servers.disconnect(client.sessionId);
  await world.advance(2000);
  assert.equal(await world.isPending(passing), true);
  const late = barrier.pass({ timeout: 500 });
  late.catch(() => undefined);
  await world.advance(500);
  assertError(await rejection(world, late), "EVH_TIMEOUT");
  await world.now(client.close());
  assertError(await rejection(world, passing), "EVH_CLOSED");
  assertNothingRuns(world);
});

test("all enter when the last has come, and leave when the last leaves, round after round", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const clients = await connectMany(servers, 3);
  const [first, second, last] = clients.map(
    (client) => new DoubleBarrier(client, path, { memberCount: 3 }),
  );
  assert.ok(first !== undefined && second !== undefined && last !== undefined);
  for (let round = 1; round <= 3; round += 1) {
    const entering: readonly Promise<void>[] = [first.enter(), second.enter()];
    for (const one of entering) assert.equal(await world.isPending(one), true);
    await world.now(last.enter());
    await world.now(Promise.all(entering));
    const leaving: readonly Promise<void>[] = [last.leave(), first.leave()];
    for (const one of leaving) assert.equal(await world.isPending(one), true);
    await world.now(second.leave());
    await world.now(Promise.all(leaving));
  }
  assert.deepEqual(tree.childrenOf(path), []);
  await world.now(Promise.all(clients.map((client) => client.close())));
  assertNothingRuns(world);
});

test("who comes while others are leaving waits for the next round, and keeps nobody from leaving", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const clients = await connectMany(servers, 3);
  const [first, second, early] = clients.map(
    (client) => new DoubleBarrier(client, path, { memberCount: 2 }),
  );
  assert.ok(first !== undefined && second !== undefined && early !== undefined);
  await world.now(Promise.all([first.enter(), second.enter()]));
  const leaving = first.leave();
  const next = early.enter();
  assert.equal(await world.isPending(next), true);
  assert.equal(await world.isPending(leaving), true);
  await world.now(second.leave());
  await world.now(leaving);
  assert.equal(await world.isPending(next), true);
  await world.now(first.enter());
  await world.now(next);
});

test("neither a connection that is back nor a change lets anybody enter early", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  const barrier = new DoubleBarrier(client, path, { memberCount: 2 });
  const entering = barrier.enter();
  await world.settle();
  servers.disconnect(client.sessionId);
  await world.advance(2000);
  await servers.change(() => tree.write(path, null));
  assert.equal(await world.isPending(entering), true);
  await servers.expire(client.sessionId);
  await world.advance(2000);
  assert.equal(await world.isPending(entering), true);
  const other = new DoubleBarrier(await servers.connect(), path, { memberCount: 2 });
  await world.now(other.enter());
  await world.now(entering);
});

test("who gives up has not come, and may come again", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const [client, other] = await connectMany(servers, 2);
  assert.ok(client !== undefined && other !== undefined);
  const barrier = new DoubleBarrier(client, path, { memberCount: 2 });
  const entering = barrier.enter({ timeout: 1000 });
  entering.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, entering), "EVH_TIMEOUT");
  await world.settle();
  assert.deepEqual(tree.childrenOf(path), []);
  const again = barrier.enter();
  await world.now(new DoubleBarrier(other, path, { memberCount: 2 }).enter());
  await world.now(again);
  // One whose session is over has left.
  await world.now(other.close());
  await world.now(barrier.leave());
  assert.deepEqual(tree.childrenOf(path), []);
});

test("who has entered and loses its session does not count in the next round", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const clients = await connectMany(servers, 2);
  const [client, other] = clients;
  assert.ok(client !== undefined && other !== undefined);
  const lost = new DoubleBarrier(client, path, { memberCount: 2 });
  const next = new DoubleBarrier(other, path, { memberCount: 2 });
  await world.now(Promise.all([lost.enter(), next.enter()]));
  await servers.expire(client.sessionId);
  await world.advance(3000);
  assert.equal(client.epoch, 2);
  // The round is over without it, and another one needs two that come.
  await world.now(next.leave());
  const entering = next.enter();
  await world.advance(3000);
  assert.equal(await world.isPending(entering), true);
  assert.equal(tree.childrenOf(path).length, 1);
  await world.now(lost.leave());
  await world.now(Promise.all([lost.enter(), entering]));
  await world.now(Promise.all(clients.map((one) => one.close())));
  assertNothingRuns(world);
});

test("who has entered and whose node somebody deletes has left", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  const barrier = new DoubleBarrier(client, path, { memberCount: 1 });
  await world.now(barrier.enter());
  await servers.change(() => {
    for (const name of tree.childrenOf(path)) {
      if (name !== "ready") tree.delete(`${path}/${name}`);
    }
  });
  await world.advance(3000);
  assert.deepEqual(tree.childrenOf(path), ["ready"]);
  await world.now(barrier.leave());
});

test("who gives up and comes again before its node is gone counts once", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  const barrier = new DoubleBarrier(client, path, { memberCount: 2 });
  const entering = barrier.enter({ timeout: 1000 });
  entering.catch(() => undefined);
  await world.settle();
  // As if somebody wrote the node each time before it is deleted.
  const refused = zooKeeperErrors.BADVERSION.number;
  servers.interfere = ({ code }) => (code === operations.delete.code ? refused : undefined);
  await world.advance(1000);
  assertError(await rejection(world, entering), "EVH_TIMEOUT");
  const again = barrier.enter();
  await world.settle();
  assert.equal(await world.isPending(again), true);
  assert.equal(tree.childrenOf(path).length, 1);
  servers.interfere = () => undefined;
  await world.advance(3000);
  assert.equal(await world.isPending(again), true);
  assert.equal(tree.childrenOf(path).length, 1);
  await world.now(client.close());
  assertError(await rejection(world, again), "EVH_CLOSED");
  assertNothingRuns(world);
});

test("who gives up while it makes the round gets its answer in its time", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const barrier = new DoubleBarrier(client, path, { memberCount: 1 });
  servers.interfere = ({ code }) => (code === operations.multi.code ? "drop" : undefined);
  const entering = barrier.enter({ timeout: 1000 });
  entering.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, entering), "EVH_TIMEOUT");
  await world.now(client.close());
});

test("a round that all have left without clearing it is cleared by who comes next", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  for (const one of ["/barriers", path, `${path}/ready`]) tree.create(one);
  const barrier = new DoubleBarrier(client, path, { memberCount: 1 });
  await world.now(barrier.enter());
  assert.equal(tree.nodes.get(`${path}/ready`)?.stat.version, 0);
  assert.equal(tree.nodes.get(path)?.stat.version, 1, "a round of its own");
  await world.now(barrier.leave());
});

test("what can't be is refused at once", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  assert.throws(() => new Barrier(client, "barriers"), { code: "EVH_PATH" });
  assert.throws(() => new Barrier(client, path, { acl: [] }), { code: "EVH_CONFIG" });
  for (const memberCount of [0, 1.5, Number.NaN]) {
    assert.throws(() => new DoubleBarrier(client, path, { memberCount }), { code: "EVH_CONFIG" });
  }
  const barrier = new DoubleBarrier(client, path, { memberCount: 1 });
  assertError(await rejection(world, barrier.leave()), "EVH_ILLEGAL_STATE");
  await world.now(barrier.enter());
  assertError(await rejection(world, barrier.enter()), "EVH_ILLEGAL_STATE");
});
