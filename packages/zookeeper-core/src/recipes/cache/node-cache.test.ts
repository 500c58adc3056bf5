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
