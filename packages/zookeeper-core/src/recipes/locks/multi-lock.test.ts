import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { lockSetup, timing } from "./lock-setup.test-support.ts";
import { MultiLock } from "./multi-lock.ts";
import { Mutex } from "./mutex.ts";
import { ReadWriteLock } from "./read-write-lock.ts";
import { Semaphore } from "./semaphore.ts";

test("all are held, in whatever order they are given, and given back together", async () => {
  const { client, countAt, soon, servers, end } = await lockSetup();
  const mutex = new Mutex(client, "/a", timing);
  const lock = new ReadWriteLock(client, "/b", timing);
  const semaphore = new Semaphore(client, "/c", { permits: 1, ...timing });
  const one = new MultiLock(client, [mutex, lock.write, semaphore]);
  const other = new MultiLock(client, [semaphore, lock.read, mutex]);
  const first = await soon(one.acquire());
  assert.deepEqual(
    first.grants.map(({ path }) => path.slice(0, 2)),
    ["/a", "/b", "/c"],
  );
  const waiting = other.acquire();
  await servers.world.advance(1000);
  assert.deepEqual([countAt("/a"), countAt("/b"), countAt("/c")], [2, 1, 1]);
  await servers.world.now(first.release());
  assert.equal(first.isHeld(), false);
  assert.throws(() => first.check(), { code: "EVH_CLOSED" });
  const second = await soon(waiting);
  assert.ok(second.isHeld());
  await servers.world.now(second.release());
  assert.deepEqual([countAt("/a"), countAt("/b"), countAt("/c")], [0, 0, 0]);
  await end();
});

test("where one can't be had in time none is held", async () => {
  const { client, countAt, soon, servers, end } = await lockSetup();
  const [a, b] = [new Mutex(client, "/a", timing), new Mutex(client, "/b", timing)];
  const held = await soon(b.acquire());
  const late = new MultiLock(client, [a, b]).acquire({ timeout: 1000 });
  late.catch(() => undefined);
  await servers.world.advance(2000);
  assertError(await rejection(servers.world, late), "EVH_TIMEOUT", "none");
  assert.deepEqual([countAt("/a"), countAt("/b")], [0, 1]);
  assert.equal(held.isHeld(), true);
  await end();
});

test("one that is lost ends all", async () => {
  const { client, servers, end } = await lockSetup();
  const both = new MultiLock(client, [
    new Mutex(client, "/a", timing),
    new Mutex(client, "/b", timing),
  ]);
  const work = both.run(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  work.catch(() => undefined);
  await servers.world.advance(2000);
  await servers.change((tree) => {
    for (const name of tree.childrenOf("/b")) tree.delete(`/b/${name}`);
  });
  await servers.world.advance(3000);
  assertError(await rejection(servers.world, work), "EVH_LEASE_LOST");
  await end();
});

test("none, and the same path twice, are refused", async () => {
  const { client, end } = await lockSetup();
  const lock = new ReadWriteLock(client, "/a");
  assert.throws(() => new MultiLock(client, []), { code: "EVH_CONFIG" });
  assert.throws(() => new MultiLock(client, [lock.read, lock.write]), { code: "EVH_CONFIG" });
  await end();
});
