import assert from "node:assert/strict";
import { test } from "node:test";
import { assertError, assertNothingRuns, rejection } from "@everhold/test-world";
import { operations } from "../../protocol/operations.ts";
import { bytesOf } from "../../testing/bytes.test-support.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import { NodeCache } from "./node-cache.ts";

test("who waits when a cache is closed is told that it is closed, at every moment", async () => {
  const calls: readonly ((cache: NodeCache) => Promise<unknown>)[] = [
    (cache) => cache.fresh(),
    (cache) => cache.waitFor(1_000_000n),
    (cache) => cache.fresh({ timeout: 1000, signal: new AbortController().signal }),
  ];
  for (const call of calls) {
    const servers = new TreeServers();
    const { world } = servers;
    let isSilent = false;
    servers.interfere = ({ code }) => {
      if (code === operations.addWatch.code) {
        return bytesOf(operations.addWatch.reply, { errorCode: 0 });
      }
      return isSilent && code === operations.sync.code ? "drop" : undefined;
    };
    const client = await servers.connect();
    const cache = new NodeCache(client, "/config");
    await world.now(cache.start());
    isSilent = true;
    const waiting = call(cache);
    assert.equal(await world.isPending(waiting), true);
    cache.close();
    assertError(await rejection(world, waiting), "EVH_CLOSED");
    await world.now(client.close());
    assertNothingRuns(world);
  }
});

test("who asks for what is fresh while a cache begins has all of it, and before that nothing", async () => {
  const servers = new TreeServers();
  const { world, tree } = servers;
  for (const path of ["/config", "/config/a", "/config/b"]) tree.create(path);
  servers.interfere = ({ code }) =>
    code === operations.addWatch.code
      ? bytesOf(operations.addWatch.reply, { errorCode: 0 })
      : undefined;
  const client = await servers.connect();
  const cache = new NodeCache(client, "/config");
  for (const call of [() => cache.fresh(), () => cache.waitFor(1n)]) {
    assertError(await rejection(world, call()), "EVH_ILLEGAL_STATE");
  }
  assert.equal(cache.isExact, false);
  const starting = cache.start();
  const sizes = [cache.fresh(), cache.waitFor(1n)].map((waiting) => waiting.then(() => cache.size));
  assert.deepEqual(await world.now(Promise.all(sizes)), [3, 3]);
  await world.now(starting);
  cache.close();
  await world.now(client.close());
  assertNothingRuns(world);
});
