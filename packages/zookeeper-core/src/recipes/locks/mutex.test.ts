import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { Mutex } from "./mutex.ts";

const timing = { tickTime: 500 };

test("work is done by one at a time, in the order of calls, and its values are given", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const clients = [await servers.connect(), await servers.connect(), await servers.connect()];
  const began: number[] = [];
  let runningCount = 0;
  const running = clients.map((client, index) =>
    new Mutex(client, "/locks/orders", timing).run(async (grant) => {
      began.push(index);
      runningCount += 1;
      assert.equal(runningCount, 1);
      assert.equal(grant.isHeld(), true);
      await new Promise<void>((resolve) => world.ports.timers.after(100, resolve));
      runningCount -= 1;
      return index;
    }),
  );
  await world.advance(10_000);
  assert.deepEqual(await world.now(Promise.all(running)), [0, 1, 2]);
  assert.deepEqual(began, [0, 1, 2]);
  assert.deepEqual(servers.tree.childrenOf("/locks/orders"), []);
  await world.now(Promise.all(clients.map((client) => client.close())));
  assertNothingRuns(world);
});

test("work that throws gives the lock back, and work that has lost it is told so", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  const mutex = new Mutex(client, "/locks/orders", timing);
  const thrown = new Error("thrown by the work");
  const throwing = mutex.run(() => Promise.reject(thrown));
  throwing.catch(() => undefined);
  await world.advance(2000);
  await assert.rejects(world.now(throwing), thrown);
  assert.deepEqual(servers.tree.childrenOf("/locks/orders"), []);
  const losing = mutex.run(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return "worked";
  });
  losing.catch(() => undefined);
  await world.advance(2000);
  assert.equal((await world.now(mutex.participants())).length, 1);
  await servers.expire(client.sessionId);
  assertError(await rejection(world, losing), "EVH_LEASE_LOST");
  await world.now(client.close());
  assertNothingRuns(world);
});
