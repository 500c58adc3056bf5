import assert from "node:assert/strict";
import { test } from "node:test";
import { NodeCache } from "@everhold/zookeeper-core";
import { EnsembleWorld } from "./ensemble-world.test-support.ts";

test("whoever is told of a change finds the generation that belongs to what is shown", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client();
  const other = await setup.client();
  await setup.within(client.create("/c"));
  const cache = new NodeCache(client, "/c");
  const told: boolean[] = [];
  cache.on("created", ({ node }) => {
    told.push(cache.isExact && cache.generation < node.stat.mzxid);
  });
  await setup.within(cache.start());
  await setup.within(other.create("/c/a"));
  await setup.within(cache.fresh());
  assert.deepEqual(told, [false, false]);
  await setup.stop(client, other);
});

test("a cache has no generation of servers that have lost their data", async () => {
  const setup = new EnsembleWorld();
  const client = await setup.client({ onRolledBack: "continue" });
  await setup.within(client.create("/c"));
  for (let turn = 0; turn < 20; turn += 1) await setup.within(client.setData("/c", `${turn}`));
  const cache = new NodeCache(client, "/c");
  await setup.within(cache.start());
  const before = cache.generation;
  const found: bigint[] = [];
  client.on("ensembleRolledBack", () => setImmediate(() => found.push(cache.generation)));
  setup.ensemble.wipe();
  await setup.until("the client notices", () => found.length > 0);
  assert.deepEqual(found, [0n]);
  const generation = await setup.within(cache.fresh());
  assert.ok(generation > 0n && generation < before, `${generation} after ${before}`);
  await setup.stop(client);
});
