import assert from "node:assert/strict";
import { test } from "node:test";
import { EverholdError } from "@everhold/base";
import { assertError, assertNothingRuns, errorOf, rejection } from "@everhold/test-world";
import type { ZooKeeper } from "../../api/zookeeper.ts";
import { operations } from "../../protocol/operations.ts";
import { clientOver } from "../../testing/client-over.test-support.ts";
import { newStat } from "../../testing/stat.test-support.ts";
import { testCaller } from "../../testing/test-caller.test-support.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { SharedCount } from "./shared-count.ts";
import { SharedValue } from "./shared-value.ts";

interface Shared {
  readonly servers: TreeServers;
  readonly client: ZooKeeper;
  readonly value: SharedValue;
  /** The texts that were told, and "missing", "error", "closed". */
  readonly told: string[];
}

async function setUp(): Promise<Shared> {
  const servers = new TreeServers();
  const client = await servers.connect();
  const value = new SharedValue(client, "/prices/apples", { initial: "2" });
  const told: string[] = [];
  value.on("changed", ({ data }) => void told.push(new TextDecoder().decode(data ?? undefined)));
  for (const type of ["missing", "error", "closed"] as const) {
    value.on(type, () => void told.push(type));
  }
  await servers.world.now(value.start());
  return { servers, client, value, told };
}

function text({ current }: SharedValue): string | undefined {
  return current === undefined ? undefined : new TextDecoder().decode(current.data ?? undefined);
}

const encode = (one: string): Uint8Array => new TextEncoder().encode(one);

test("a shared value is made with what it begins with, known, and told of when others change it", async () => {
  const { servers, client, value, told } = await setUp();
  const { world, tree } = servers;
  assert.equal(text(value), "2");
  assert.equal(tree.textAt("/prices/apples"), "2");
  await servers.change((one) => one.write("/prices/apples", encode("3")));
  await servers.change((one) => one.write("/prices/apples", encode("4")));
  assert.equal(text(value), "4");
  assert.deepEqual(told, ["2", "3", "4"]);
  await world.now(client.close());
  assert.deepEqual(told, ["2", "3", "4", "closed"]);
  assertNothingRuns(world);
});

test("it is set only where it is what is known, and then what was in the way is known", async () => {
  const { servers, value } = await setUp();
  const { world, tree } = servers;
  assert.equal(await world.now(value.trySet("3")), true);
  assert.equal(text(value), "3");
  const expected = value.current;
  assert.ok(expected !== undefined);
  tree.write("/prices/apples", encode("9"));
  assert.equal(await world.now(value.trySet("4", { expected })), false);
  assert.equal(text(value), "9");
  assert.equal(await world.now(value.trySet("10")), true);
  assert.equal(tree.textAt("/prices/apples"), "10");
});

test("a node that is deleted is told of, and made again by who sets it", async () => {
  const { servers, value, told } = await setUp();
  const { world, tree } = servers;
  await servers.change((one) => one.delete("/prices/apples"));
  assert.equal(value.current, undefined);
  assert.equal(await world.now(value.trySet("3")), false);
  await world.now(value.set("5"));
  await world.settle();
  assert.equal(tree.textAt("/prices/apples"), "5");
  assert.equal(text(value), "5");
  await servers.change((one) => one.write("/prices/apples", encode("6")));
  assert.deepEqual(told, ["2", "missing", "5", "6"]);
});

test("a node that was deleted and made again is newer, though its version is smaller", async () => {
  const { servers, value } = await setUp();
  await servers.world.now(value.set("3"));
  await servers.change((tree) => {
    tree.delete("/prices/apples");
    tree.create("/prices/apples", encode("4"));
  });
  assert.equal(text(value), "4");
  assert.equal(value.current?.stat.version, 0);
});

test("a read that fails is told, and tried again", async () => {
  const { servers, value, told } = await setUp();
  const { world } = servers;
  servers.interfere = ({ code }) => (code === operations.getData.code ? -102 : undefined);
  await servers.change((one) => one.write("/prices/apples", encode("3")));
  assert.deepEqual(told, ["2", "error"]);
  servers.interfere = () => undefined;
  await world.advance(20_000);
  assert.equal(text(value), "3");
});

test("what is closed reads no more, and says so", async () => {
  const { servers, client, value, told } = await setUp();
  const { world } = servers;
  value.close();
  value.close();
  await servers.change((one) => one.write("/prices/apples", encode("3")));
  assert.equal(text(value), "2");
  assert.deepEqual(told, ["2", "closed"]);
  assertError(await rejection(world, value.set("4")), "EVH_CLOSED");
  assert.equal(servers.tree.textAt("/prices/apples"), "3");
  await world.now(client.close());
  assertNothingRuns(world);
});

test("every call has one time limit for all that it asks for", async () => {
  const calls: readonly (readonly [string, (value: SharedValue) => Promise<unknown>])[] = [
    ["create", (value) => value.set("3", { timeout: 1000 })],
    ["create", (value) => value.start({ timeout: 1000 })],
    ["read", (value) => value.trySet("3", { expected: { stat: newStat(7n) }, timeout: 1000 })],
  ];
  for (const [unsent, call] of calls) {
    const { caller, tree, clock } = testCaller({ retry: () => 10 });
    tree.fate = ({ name }) => (name === unsent ? "unsent" : "answered");
    // The first of them takes long, and says that there is no node.
    tree.meanwhile = ({ name }) => {
      if (name === "write" || (name === "read" && unsent !== "read")) clock.nowMs = 900;
    };
    const error = await errorOf(call(new SharedValue(clientOver(caller), "/prices/apples")));
    assert.equal(error.code, "EVH_UNSENT");
    assert.ok(clock.nowMs > 900 && clock.nowMs <= 1000, `it took ${clock.nowMs} ms`);
  }
});

test("who starts it a second time waits no longer than he wants to", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  servers.interfere = ({ code }) => (code === operations.getData.code ? "drop" : undefined);
  const value = new SharedValue(client, "/prices/apples");
  const first = value.start({ timeout: 1000 }).catch((error: unknown) => error);
  const second = value.start({ timeout: 100 }).catch((error: unknown) => error);
  await world.advance(100);
  assert.ok(EverholdError.is(await world.now(second), "EVH_TIMEOUT"));
  assert.equal(await world.isPending(first), true);
  await world.now(client.close());
});

test("what was never read can't be expected, and a path must be one", async () => {
  const servers = new TreeServers();
  const client = await servers.connect();
  const value = new SharedValue(client, "/prices/apples");
  assertError(await rejection(servers.world, value.trySet("3")), "EVH_ILLEGAL_STATE");
  assert.throws(() => new SharedValue(client, "prices"), { code: "EVH_PATH" });
  assert.throws(() => new SharedValue(client, "/a", { acl: [] }), { code: "EVH_CONFIG" });
});

test("a shared count has the bytes of Curator's, and says so where a node has others", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  const client = await servers.connect();
  const count = new SharedCount(client, "/workers", { initial: 4 });
  const told: string[] = [];
  count.on("changed", (event) => void told.push(String(event.count)));
  count.on("error", ({ error }) => void told.push(error.code));
  count.on("closed", () => void told.push("closed"));
  await world.now(count.start());
  assert.deepEqual(tree.nodes.get("/workers")?.data, new Uint8Array([0, 0, 0, 4]));
  assert.equal(await world.now(count.trySet(-1)), true);
  assert.equal(count.current?.count, -1);
  await servers.change((one) => one.write("/workers", encode("seven")));
  assert.throws(
    () => count.current,
    (error) => EverholdError.is(error, "EVH_NODE_FORMAT"),
  );
  await world.now(count.set(7));
  assert.deepEqual(told, ["4", "-1", "EVH_NODE_FORMAT", "7"]);
  await assert.rejects(count.set(2 ** 31), RangeError);
  assert.throws(() => new SharedCount(client, "/workers", { initial: 1.5 }), {
    code: "EVH_CONFIG",
  });
  await world.now(client.close());
  assert.equal(told.at(-1), "closed");
  assertNothingRuns(world);
});
