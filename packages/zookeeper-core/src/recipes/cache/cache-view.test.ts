import assert from "node:assert/strict";
import { test } from "node:test";
import { clientOver } from "../../testing/client-over.test-support.ts";
import { newStat } from "../../testing/stat.test-support.ts";
import { testCaller } from "../../testing/test-caller.test-support.ts";
import { CacheView, type CachedNode } from "./cache-view.ts";
import { DirtyPaths } from "./dirty-paths.ts";
import { NodeCache } from "./node-cache.ts";

function node(path: string, czxid: bigint, mzxid = czxid, text = ""): CachedNode {
  const data = new TextEncoder().encode(text);
  return { path, data, stat: { ...newStat(czxid), mzxid } };
}

function viewOf(shows: (node: CachedNode) => boolean = () => true): CacheView {
  return new CacheView({ shows, nodeCountMax: 3, bytesMax: 40 });
}

test("a view tells nodes apart by when they were made, and states by when they were written", () => {
  const view = viewOf();
  const types = (one: CachedNode): string[] => view.put(one, one.stat).map(({ type }) => type);
  assert.deepEqual(types(node("/a", 1n)), ["created"]);
  assert.deepEqual(types(node("/a", 1n)), []);
  assert.deepEqual(types(node("/a", 1n, 2n)), ["changed"]);
  assert.deepEqual(types(node("/a", 3n)), ["deleted", "created"], "the version is the same");
  assert.deepEqual(
    view.remove("/a").map(({ type }) => type),
    ["deleted"],
  );
  assert.deepEqual(view.remove("/a"), []);
  assert.deepEqual(view.paths(), []);
});

test("what is not shown keeps no data, and is told of as if it were not there", () => {
  const view = viewOf(({ data }) => data?.length !== 0);
  assert.deepEqual(view.put(node("/a", 1n), undefined), []);
  assert.equal(view.get("/a"), undefined);
  assert.equal(view.knownAt("/a")?.stat.czxid, 1n);
  assert.equal(view.put(node("/a", 1n, 2n, "x"), undefined)[0]?.type, "created");
  assert.equal(view.put(node("/a", 1n, 3n), undefined)[0]?.type, "deleted");
  assert.equal(view.shownCount, 0);
  assert.deepEqual([...view.namesBelow("/")], ["a"]);
});

test("a view that outgrows its limits says so", () => {
  const view = viewOf();
  for (const path of ["/a", "/b", "/c"]) view.put(node(path, 1n), undefined);
  assert.throws(() => view.put(node("/d", 1n), undefined), { code: "EVH_OVERLOADED" });
  const other = viewOf();
  const big = node("/a", 1n, 1n, "x".repeat(40));
  assert.throws(() => other.put(big, undefined), { code: "EVH_OVERLOADED" });
});

test("what is found for a need belongs to it, and one path is read once at a time", () => {
  const dirty = new DirtyPaths();
  const first = dirty.newNeed();
  dirty.mark("/a", "whole", first);
  const mark = dirty.take();
  assert.ok(mark !== undefined);
  dirty.mark("/a", "node", dirty.newNeed());
  assert.equal(dirty.take(), undefined, "it is being read");
  dirty.mark("/a/b", "whole", first);
  dirty.done(mark);
  assert.equal(dirty.oldestNeed, first);
  const again = dirty.take();
  assert.equal(again?.path, "/a");
  const child = dirty.take();
  assert.ok(again !== undefined && child !== undefined);
  dirty.failed(again);
  dirty.done(child);
  assert.equal(dirty.oldestNeed, 2);
  const last = dirty.take();
  assert.ok(last !== undefined);
  dirty.done(last);
  assert.equal(dirty.oldestNeed, Infinity);
});

test("a cache of something that can't be is refused", () => {
  const client = clientOver(testCaller().caller);
  assert.throws(() => new NodeCache(client, "a"), { code: "EVH_PATH" });
  for (const options of [
    { depth: -1 },
    { depth: 0.5 },
    { maxNodes: 0 },
    { maxBytes: Number.NaN },
  ]) {
    assert.throws(() => new NodeCache(client, "/a", options), { code: "EVH_CONFIG" });
  }
});
