import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, rejection } from "@everhold/test-world";
import { lockSetup, timing } from "./lock-setup.test-support.ts";
import { ReentrantMutex } from "./reentrant-mutex.ts";

test("who holds it takes it again at once, and others wait until all is released", async () => {
  const { client, countAt, soon, isPending, servers, end } = await lockSetup();
  const mutex = new ReentrantMutex(client, "/lock", timing);
  const owner = {};
  const outer = await soon(mutex.acquire(owner));
  const inner = await servers.world.now(mutex.acquire(owner));
  assert.deepEqual([inner.token, inner.path], [outer.token, outer.path]);
  const waiting = mutex.acquire("another");
  assert.equal(await isPending(waiting), true);
  await servers.world.now(outer.release());
  await servers.world.now(outer.release());
  assert.deepEqual([outer.isHeld(), inner.isHeld()], [false, true]);
  assert.equal(await isPending(waiting), true);
  await servers.world.now(inner.release());
  const next = await soon(waiting);
  assert.ok(next.token > outer.token);
  assert.equal(countAt("/lock"), 1);
  await end();
});

test("calls of one owner that wait at the same time share one place, and do not share a time limit", async () => {
  const { client, countAt, soon, servers, end } = await lockSetup();
  const mutex = new ReentrantMutex(client, "/lock", timing);
  const held = await soon(mutex.acquire("holder"));
  const hasty = mutex.acquire("owner", { timeout: 1000 });
  const patient = mutex.acquire("owner");
  const alsoPatient = mutex.acquire("owner");
  hasty.catch(() => undefined);
  await servers.world.advance(500);
  assert.equal(countAt("/lock"), 2);
  await servers.world.advance(1000);
  assertError(await rejection(servers.world, hasty), "EVH_TIMEOUT", "none");
  await servers.world.now(held.release());
  const grants = await soon(Promise.all([patient, alsoPatient]));
  assert.equal(grants[0].token, grants[1].token);
  assert.equal(countAt("/lock"), 1);
  await end();
});

test("an owner who has lost it takes it again when all is released", async () => {
  const { client, soon, servers, end } = await lockSetup();
  const mutex = new ReentrantMutex(client, "/lock", timing);
  const lost = await soon(mutex.acquire("owner"));
  await servers.expire(client.sessionId);
  assertError(await rejection(servers.world, mutex.acquire("owner")), "EVH_LEASE_LOST");
  await servers.world.now(lost.release());
  const again = await soon(mutex.acquire("owner"));
  assert.ok(again.token > lost.token);
  await end();
});

test("work within work is done, and who no owner can be is refused", async () => {
  const { client, countAt, soon, servers, end } = await lockSetup();
  const mutex = new ReentrantMutex(client, "/lock", timing);
  const work = mutex.run("owner", () => mutex.run("owner", ({ token }) => token));
  assert.equal(typeof (await soon(work)), "bigint");
  assert.equal(countAt("/lock"), 0);
  const owner: string = JSON.parse("null");
  assertError(await rejection(servers.world, mutex.acquire(owner)), "EVH_CONFIG");
  await end();
});
