import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { createModes } from "../../protocol/create-mode.ts";
import { zooKeeperErrors } from "../../protocol/error-codes.ts";
import { operations } from "../../protocol/operations.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { PersistentNode, type PersistentNodeOptions } from "./persistent-node.ts";

const path = "/queues/orders";

interface Kept {
  readonly servers: TreeServers;
  readonly client: ZooKeeper;
  readonly node: PersistentNode;
  readonly told: string[];
}

async function keep(
  options: PersistentNodeOptions = {},
  servers = new TreeServers(),
): Promise<Kept> {
  const client = await servers.connect();
  const node = new PersistentNode(client, path, options);
  const told: string[] = [];
  for (const type of ["held", "missing", "closed"] as const)
    node.on(type, () => void told.push(type));
  node.on("error", ({ error }) => void told.push(error.code));
  return { servers, client, node, told };
}

test("a node is made below containers, made again when somebody deletes it, and deleted at the end", async () => {
  for (const mode of ["persistent", "container"] as const) {
    const { servers, client, node, told } = await keep({ mode, data: "one" });
    const { world, tree } = servers;
    await world.now(node.start());
    assert.equal(tree.nodes.get("/queues")?.flags, createModes.container.flags);
    assert.equal(tree.nodes.get(path)?.flags, createModes[mode].flags);
    assert.equal(tree.textAt(path), "one");
    const before = node.stat?.czxid ?? 0n;
    await servers.change(() => tree.delete(path));
    assert.equal(tree.textAt(path), "one");
    assert.ok((node.stat?.czxid ?? 0n) > before);
    // It outlives its session, which nobody asks of it.
    await servers.expire(client.sessionId);
    await servers.change(() => tree.delete(path));
    await world.advance(1000);
    assert.equal(tree.textAt(path), "one");
    await world.now(node.close());
    assert.deepEqual(tree.childrenOf("/queues"), []);
    assert.deepEqual(told, ["held", "missing", "held", "missing", "held", "closed"]);
    await world.now(client.close());
    assertNothingRuns(world);
  }
});

test("what is there already is taken over; what others write stays until it is made again", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  tree.create("/queues");
  tree.create(path, new TextEncoder().encode("before"));
  const { node, client } = await keep({ data: "one" }, servers);
  await world.now(node.start());
  assert.equal(tree.textAt(path), "one");
  await servers.change(() => tree.write(path, new TextEncoder().encode("theirs")));
  await world.advance(60_000);
  assert.equal(tree.textAt(path), "theirs");
  await world.now(node.update("two"));
  assert.equal(tree.textAt(path), "two");
  await servers.change(() => tree.delete(path));
  assert.equal(tree.textAt(path), "two");
  await world.now(node.close({ keep: true }));
  await servers.change(() => tree.write(path, null));
  assert.deepEqual(tree.childrenOf("/queues"), ["orders"]);
  assertError(await rejection(world, node.update("three")), "EVH_CLOSED");
  await world.now(client.close());
  assertNothingRuns(world);
});

test("a sequential node is one, though answers get lost, and has the same name when it is made again", async () => {
  const { servers, node } = await keep({ mode: "persistentSequential", data: "one" });
  const { world, tree } = servers;
  let lostCount = 0;
  servers.losesAnswer = ({ code }) => code === operations.create2.code && (lostCount += 1) === 2;
  assert.equal(node.path, undefined);
  const starting = node.start();
  await world.advance(5000);
  await world.now(starting);
  const names = tree.childrenOf("/queues");
  assert.deepEqual([lostCount >= 2, names.length], [true, 1]);
  assert.equal(node.path, `/queues/${names[0]}`);
  await servers.change(() => tree.delete(`/queues/${names[0]}`));
  await world.advance(1000);
  assert.deepEqual(tree.childrenOf("/queues"), names);
  await world.now(node.close());
  assert.deepEqual(tree.childrenOf("/queues"), []);
});

test("a node with a time to live is touched twice in it, and left to lapse", async () => {
  const { servers, client, node } = await keep({ ttl: 10_000, data: "one" });
  const { world, tree } = servers;
  await world.now(node.start());
  const version = (): number | undefined => tree.nodes.get(`${path}/touch`)?.stat.version;
  assert.equal(tree.nodes.get(path)?.flags, createModes.container.flags);
  assert.equal(tree.nodes.get(`${path}/touch`)?.flags, createModes.persistentTtl.flags);
  assert.equal(version(), 0);
  await world.advance(20_000);
  assert.equal(version(), 4);
  await servers.change(() => tree.delete(`${path}/touch`));
  await world.advance(5000);
  assert.equal(version(), 0);
  await world.now(node.close());
  await world.advance(20_000);
  assert.equal(version(), 0);
  assert.equal(tree.textAt(path), "one");
  await world.now(client.close());
  assertNothingRuns(world);
});

test("what a server refuses is told, and tried again", async () => {
  const { servers, node, told } = await keep();
  const { world, tree } = servers;
  const refused = zooKeeperErrors.NOAUTH.number;
  servers.interfere = ({ code }) => (code === operations.create2.code ? refused : undefined);
  assertError(await rejection(world, node.start()), "EVH_SECURITY");
  await world.advance(60_000);
  assert.ok(told.length > 1 && told.length < 60, told.join());
  servers.interfere = () => undefined;
  await world.advance(60_000);
  assert.equal(tree.textAt(path), "");
  await world.now(node.start());
  assert.equal(told.at(-1), "held");
});

test("it ends with its client, and waits no longer than it is told", async () => {
  const { servers, client, node, told } = await keep();
  const { world } = servers;
  servers.interfere = ({ code }) => (code === operations.create2.code ? "drop" : undefined);
  const late = node.start({ timeout: 1000 });
  late.catch(() => undefined);
  await world.advance(1000);
  assertError(await rejection(world, late), "EVH_TIMEOUT", "unknown");
  const starting = node.start();
  starting.catch(() => undefined);
  await world.now(client.close());
  assertError(await rejection(world, starting), "EVH_CLOSED");
  assert.deepEqual(told, ["closed"]);
  await world.now(node.close());
  assertNothingRuns(world);
});

test("what can't be is refused at once", async () => {
  const { servers, client } = await keep();
  const wrong: readonly PersistentNodeOptions[] = [
    { mode: "ephemeral" as never },
    { mode: "persistent", ttl: 1000 },
    { ttl: 0 },
    { ttl: 1.5 },
    { acl: [] },
  ];
  for (const options of wrong) {
    assert.throws(() => new PersistentNode(client, path, options), { code: "EVH_CONFIG" });
  }
  assert.throws(() => new PersistentNode(client, "queues"), { code: "EVH_PATH" });
  assert.throws(() => new PersistentNode(client, "/"), { code: "EVH_PATH" });
  const work = client.inSession(({ client: bound }) => new PersistentNode(bound, path).start());
  assertError(await rejection(servers.world, work), "EVH_ILLEGAL_STATE");
});

test("a node is held only when it is touched, and each other one is touched at once", async () => {
  const { servers, node, told } = await keep({ ttl: 60_000 });
  const { world, tree } = servers;
  const refused = zooKeeperErrors.NOAUTH.number;
  servers.interfere = ({ code }) => (code === operations.createTtl.code ? refused : undefined);
  assertError(await rejection(world, node.start()), "EVH_SECURITY");
  assert.deepEqual([node.stat, told.includes("held")], [undefined, false]);
  servers.interfere = () => undefined;
  const again = node.start();
  await world.advance(1000);
  await world.now(again);
  assert.ok(tree.nodes.has(`${path}/touch`));
  await servers.change(() => {
    tree.delete(`${path}/touch`);
    tree.delete(path);
  });
  assert.ok(tree.nodes.has(`${path}/touch`));
});

test("a refused close may be asked again", async () => {
  const { servers, node } = await keep();
  const { world, tree } = servers;
  await world.now(node.start());
  tree.create(`${path}/child`);
  assertError(await rejection(world, node.close()), "EVH_ZOOKEEPER");
  tree.delete(`${path}/child`);
  await world.now(node.close());
  assert.equal(tree.nodes.has(path), false);
});

test("a node that is deleted again and again is made again with pauses", async () => {
  const { servers, node, told } = await keep();
  const { world, tree } = servers;
  await world.now(node.start());
  for (let round = 0; round < 1000; round += 1) {
    if (tree.nodes.has(path)) await servers.change(() => tree.delete(path));
    await world.advance(1);
  }
  assert.ok(told.filter((type) => type === "held").length < 15, told.join());
});

test("an ephemeral node is not taken for one that stays, nor deleted", async () => {
  const { servers, client, node } = await keep();
  const { world, tree } = servers;
  tree.create("/queues");
  await world.now(client.create(path, "theirs", { mode: "ephemeral" }));
  assertError(await rejection(world, node.start()), "EVH_ILLEGAL_STATE");
  await world.now(node.close());
  assert.equal(tree.textAt(path), "theirs");
});

test("a listener whose promise rejects does not end the process", async () => {
  const { servers, node } = await keep();
  const rejects: () => unknown = () => Promise.reject(new Error("a listener's"));
  node.on("held", rejects);
  await servers.world.now(node.start());
  await servers.world.now(node.close());
});

test("two keep the same node with a time to live, and no watch is left behind", async () => {
  const { servers, client, node } = await keep({ ttl: 60_000 });
  const { world, tree } = servers;
  const other = new PersistentNode(client, path, { ttl: 60_000 });
  await world.now(Promise.all([node.start(), other.start()]));
  assert.ok(tree.nodes.has(`${path}/touch`));
  let removedCount = 0;
  servers.interfere = ({ code }) => {
    if (code === operations.removeWatches.code) removedCount += 1;
    return undefined;
  };
  await world.now(Promise.all([node.close(), other.close()]));
  await world.settle();
  assert.equal(removedCount, 1);
});

test("a node that is deleted after the look is looked at again", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  tree.create("/queues");
  tree.create(path, new TextEncoder().encode("before"));
  const { node, told } = await keep({ data: "one" }, servers);
  servers.interfere = ({ code }) => {
    if (code === operations.setData.code && tree.nodes.has(path)) tree.delete(path);
    return undefined;
  };
  await world.now(node.start());
  assert.equal(tree.textAt(path), "one");
  assert.deepEqual(told, ["held"]);
});

test("closed at any moment of being made, also where the answer is lost, nothing of it stays", async () => {
  for (const mode of ["persistent", "persistentSequential"] as const) {
    for (const isLost of [false, true]) {
      for (let stepCount = 0; stepCount < 40; stepCount += 1) {
        const { servers, client, node } = await keep({ mode });
        const { world, tree } = servers;
        let lostCount = 0;
        servers.losesAnswer = ({ code }) =>
          isLost &&
          code === operations.create2.code &&
          tree.nodes.has("/queues") &&
          lostCount++ < 2;
        const starting = node.start();
        starting.catch(() => undefined);
        for (let step = 0; step < stepCount; step += 1) await world.step();
        const closing = node.close();
        closing.catch(() => undefined);
        await world.advance(5000);
        await world.now(closing);
        const left = tree.nodes.has("/queues") ? tree.childrenOf("/queues") : [];
        assert.deepEqual(left, [], `${mode}, closed after ${stepCount} steps`);
        await world.now(client.close());
        assertNothingRuns(world);
      }
    }
  }
});
