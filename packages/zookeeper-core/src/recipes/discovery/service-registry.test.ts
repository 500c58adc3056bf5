import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { operations } from "../../protocol/operations.ts";
import { watchEventTypes } from "../../protocol/watch-events.ts";
import { bytesOf } from "../../testing/bytes.test-support.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { NodeCache } from "../cache/node-cache.ts";
import { discoveryLimits } from "./discovery-limits.ts";
import { ServiceProvider } from "./service-provider.ts";
import { ServiceRegistry } from "./service-registry.ts";

interface Setup {
  readonly servers: TreeServers;
  readonly client: ZooKeeper;
  readonly registry: ServiceRegistry;
  /** The paths of what is no instance, as they were told. */
  readonly invalid: string[];
}

/** Servers that let everybody watch. */
async function setUp(): Promise<Setup> {
  const servers = new TreeServers();
  servers.interfere = ({ code }) =>
    code === operations.addWatch.code
      ? bytesOf(operations.addWatch.reply, { errorCode: 0 })
      : undefined;
  const client = await servers.connect();
  const registry = new ServiceRegistry(client, "/services");
  const invalid: string[] = [];
  registry.on("invalid", ({ path }) => void invalid.push(path));
  servers.tree.create("/services");
  servers.tree.create("/services/orders");
  return { servers, client, registry, invalid };
}

function instance(id: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ name: "orders", id }));
}

test("a node without data is told of once, however often somebody picks", async () => {
  const { servers, client, registry, invalid } = await setUp();
  const { world, tree } = servers;
  tree.create("/services/orders/a", instance("a"));
  tree.create("/services/orders/b", null);
  tree.create("/services/orders/c", new TextEncoder().encode("no JSON"));
  const provider = registry.provider("orders");
  await world.now(provider.start());
  for (let count = 0; count < 3; count += 1) assert.equal(provider.pick()?.id, "a");
  assert.deepEqual(provider.instances().map(({ id }) => id), ["a"]); // prettier-ignore
  assert.deepEqual(invalid.toSorted(), ["/services/orders/b", "/services/orders/c"]);
  tree.delete("/services/orders/a");
  servers.ensemble.connected.connections
    .at(-1)
    ?.notify(watchEventTypes.deleted, "/services/orders/a");
  await world.settle();
  assert.equal(provider.pick(), undefined);
  await world.now(Promise.all([registry.close(), client.close()]));
  assertNothingRuns(world);
});

test("what ends a provider is told, and is the cause of what it says afterwards", async () => {
  const { servers, client } = await setUp();
  const { world, tree } = servers;
  tree.create("/services/orders/a", instance("a"));
  const told: string[] = [];
  client.on("error", ({ error }) => void told.push(error.code));
  let closedCount = 0;
  const provider = new ServiceProvider(
    client,
    {
      name: "orders",
      cache: new NodeCache(client, "/services/orders", { depth: 1, maxNodes: 1 }),
      onInvalid: assert.fail,
      onClosed: () => void (closedCount += 1),
    },
    {},
  );
  assertError(await rejection(world, provider.start()), "EVH_OVERLOADED");
  assert.equal(told[0], "EVH_OVERLOADED");
  assert.equal(closedCount, 1);
  assert.throws(
    () => provider.pick(),
    (error) =>
      EverholdError.is(error, "EVH_CLOSED") && EverholdError.is(error.cause, "EVH_OVERLOADED"),
  );
  await world.now(client.close());
  assertNothingRuns(world);
});

test("instances are read at once, by their ids, and those that go meanwhile are left out", async () => {
  const { servers, client, registry } = await setUp();
  const { world, tree, ensemble } = servers;
  const ids = Array.from({ length: 150 }, (_, index) => `i${String(index).padStart(3, "0")}`);
  for (const id of ids.toReversed()) tree.create(`/services/orders/${id}`, instance(id));
  const { interfere } = servers;
  servers.interfere = (request) =>
    request.path === "/services/orders/i007" ? -101 : interfere(request);
  ensemble.takeCodes();
  const sent: number[] = [];
  const reading = registry.instances("orders");
  while (await isPendingAfterStep(servers, reading)) sent.push(ensemble.takeCodes().length);
  const found = await reading;
  assert.deepEqual(
    found.map(({ id }) => id),
    ids.filter((id) => id !== "i007"),
  );
  assert.deepEqual(
    sent.filter((count) => count > 0),
    [1, 100, 50],
    "the list, then a hundred together, then the rest",
  );
  await world.now(client.close());
});

async function isPendingAfterStep(
  { world }: TreeServers,
  promise: Promise<unknown>,
): Promise<boolean> {
  let isPending = true;
  const done = (): void => void (isPending = false);
  promise.then(done, done);
  await world.step();
  return isPending;
}

test("an instance that is too large, or can't be written, is refused before it is sent", async () => {
  const { servers, client, registry } = await setUp();
  const { world, tree } = servers;
  const tooLarge = "x".repeat(discoveryLimits.instanceBytesMax);
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  for (const payload of [tooLarge, cyclic]) {
    const error = await rejection(world, registry.register({ name: "orders", id: "a", payload }));
    assertError(error, "EVH_CONFIG");
  }
  assert.equal(tree.nodes.has("/services/orders/a"), false);
  const registration = await world.now(registry.register({ name: "orders", id: "a", payload: 1 }));
  const before = tree.textAt("/services/orders/a");
  const error = await rejection(world, registration.update({ payload: tooLarge }));
  assertError(error, "EVH_CONFIG");
  assert.match(error.message, /262\d{3} bytes of JSON, expected up to 262144/);
  assert.equal(tree.textAt("/services/orders/a"), before);
  assert.equal(registration.instance.payload, 1);
  await world.now(Promise.all([registry.close(), client.close()]));
  assertNothingRuns(world);
});

test("what is being registered when the registry is closed is not there afterwards", async () => {
  const outcomes = new Set<string>();
  for (let stepCount = 0; stepCount < 30; stepCount += 1) {
    const { servers, client, registry } = await setUp();
    const { world, tree } = servers;
    const registering = registry.register({ name: "orders", id: "a" }).then(
      () => "registered",
      (error: unknown) => (EverholdError.is(error) ? error.code : "another"),
    );
    for (let step = 0; step < stepCount; step += 1) await world.step();
    let isThere: boolean | undefined;
    const path = "/services/orders/a";
    await world.now(registry.close().then(() => (isThere = tree.nodes.has(path))));
    assert.equal(isThere, false, `closed after ${stepCount} steps`);
    outcomes.add(await world.now(registering));
    await world.now(client.close());
    assertNothingRuns(world);
  }
  assert.deepEqual([...outcomes], ["EVH_CLOSED", "registered"]);
});

test("what timed out while it was being registered is not there when the registry is closed", async () => {
  const { servers, client, registry } = await setUp();
  const { world, tree } = servers;
  const path = "/services/orders/a";
  let createCount = 0;
  servers.losesAnswer = ({ code }) => code === operations.create2.code && tree.nodes.has(path);
  servers.interfere = ({ code }) => {
    createCount += tree.nodes.has(path) ? 1 : 0;
    return createCount > 0 && code !== operations.closeSession.code && code > 0
      ? "drop"
      : undefined;
  };
  const registering = registry.register({ name: "orders", id: "a" }, { timeout: 500 });
  registering.catch(() => undefined);
  await world.advance(500);
  assertError(await rejection(world, registering), "EVH_TIMEOUT", "unknown");
  assert.equal(tree.nodes.has(path), true);
  const closing = registry.close();
  assert.equal(await world.isPending(closing), true);
  servers.interfere = () => undefined;
  servers.losesAnswer = () => false;
  await world.advance(30_000);
  await world.now(closing);
  assert.equal(tree.nodes.has(path), false);
  await world.now(client.close());
  assertNothingRuns(world);
});

test("what was given up before it began has had no effect; closing has, in any case", async () => {
  const { servers, client, registry } = await setUp();
  const { world } = servers;
  const signal = AbortSignal.abort();
  const registering = registry.register({ name: "orders", id: "a" }, { signal });
  assertError(await rejection(world, registering), "EVH_ABORTED", "none");
  await world.now(registry.register({ name: "orders", id: "b" }));
  assertError(await rejection(world, registry.close({ signal })), "EVH_ABORTED", "unknown");
  assert.equal(servers.tree.nodes.has("/services/orders/b"), false);
  await world.now(client.close());
  assertNothingRuns(world);
});
