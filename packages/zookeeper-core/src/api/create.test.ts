import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf } from "@everhold/test-world";
import { isReason } from "../errors.ts";
import { createModes, type CreateMode } from "../protocol/create-mode.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import { createNode } from "./create.ts";

test("each mode is asked for with its operation and its flags", async () => {
  for (const mode of Object.keys(createModes) as CreateMode[]) {
    const { caller, tree } = testCaller();
    const { flags, hasTtl, isSequential } = createModes[mode];
    const created = await createNode(caller, "/a", "x", { mode, ...(hasTtl ? { ttl: 5 } : {}) });
    assert.equal(created.path, isSequential ? "/a0000000000" : "/a");
    assert.equal(tree.nodes.get(created.path)?.flags, flags);
  }
});

test("a sequential node may have no name but its number", async () => {
  const { caller, tree } = testCaller({ prefix: "/app" });
  tree.create("/app");
  const created = await createNode(caller, "/", null, { mode: "persistentSequential" });
  assert.equal(created.path, "/0000000000");
  assert.equal(tree.nodes.get("/app/0000000000")?.data, null);
});

test("what is missing above is made, and only that, with the node's access list", async () => {
  for (const parents of [true, "container"] as const) {
    const { caller, tree } = testCaller();
    tree.create("/a");
    await createNode(caller, "/a/b/c/d", "x", { parents, mode: "ephemeral" });
    assert.equal(tree.textAt("/a/b/c/d"), "x");
    assert.equal(tree.nodes.get("/a/b")?.flags, parents === true ? 0 : 4);
    assert.equal(tree.nodes.get("/a/b/c/d")?.flags, 1);
    assert.deepEqual(tree.takeNames(), [
      "create /a/b/c/d",
      "create /a/b/c",
      "create /a/b",
      "create /a/b/c",
      "create /a/b/c/d",
    ]);
  }
});

test("a parent that is made by somebody else meanwhile is as good", async () => {
  const { caller, tree } = testCaller();
  tree.meanwhile = () => {
    if (tree.seen.length === 2) tree.create("/a");
  };
  await createNode(caller, "/a/b", "x", { parents: true });
  assert.equal(tree.textAt("/a/b"), "x");
});

test("a container that goes before its child is there is made again", async () => {
  const { caller, tree } = testCaller();
  tree.meanwhile = () => {
    if (tree.seen.length < 8 && tree.nodes.has("/a")) tree.delete("/a");
  };
  await createNode(caller, "/a/b", "x", { parents: "container" });
  assert.equal(tree.textAt("/a/b"), "x");
});

test("parents that always go again end the call", async () => {
  const { caller, tree } = testCaller();
  tree.meanwhile = () => {
    if (tree.nodes.has("/a")) tree.delete("/a");
  };
  const error = await errorOf(createNode(caller, "/a/b", "x", { parents: true }));
  assert.ok(isReason(error, "NONODE"));
  assert.ok(tree.seen.length < 100);
});

test("parents are made again when nobody knows whether they were", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => (tree.seen.length === 2 ? "unanswered" : "answered");
  await createNode(caller, "/a/b", "x", { parents: true });
  assert.equal(tree.textAt("/a/b"), "x");
});

test("without `parents` a missing parent is the caller's to know", async () => {
  const { caller, tree } = testCaller();
  const error = await errorOf(createNode(caller, "/a/b", "x", {}));
  assert.ok(isReason(error, "NONODE"));
  assert.equal(error.message, "Cannot create /a/b: there is no such node (NONODE)");
  assert.deepEqual(tree.takeNames(), ["create /a/b"]);
});

test("a create of which nobody knows is not sent again", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => "unanswered";
  const error = await errorOf(createNode(caller, "/a", "x", { parents: true }));
  assert.deepEqual([error.code, error.outcome], ["EVH_DISCONNECTED", "unknown"]);
  assert.equal(tree.seen.length, 1);
});

test("what can't be is refused before anything is sent", async () => {
  const { caller, tree } = testCaller();
  const cases: readonly (readonly [string, object, string])[] = [
    ["a", {}, "EVH_PATH"],
    ["/a/", {}, "EVH_PATH"],
    ["/a//", { mode: "persistentSequential" }, "EVH_PATH"],
    ["/a", { mode: "durable" }, "EVH_CONFIG"],
    ["/a", { mode: "toString" }, "EVH_CONFIG"],
    ["/a", { ttl: 5 }, "EVH_CONFIG"],
    ["/a", { mode: "persistentTtl" }, "EVH_CONFIG"],
    ["/a", { mode: "persistentTtl", ttl: 0 }, "EVH_CONFIG"],
    ["/a", { mode: "persistentTtl", ttl: 1.5 }, "EVH_CONFIG"],
    ["/a", { mode: "persistentTtl", ttl: 2 ** 40 }, "EVH_CONFIG"],
    ["/a", { acl: [] }, "EVH_CONFIG"],
    ["/a", { acl: [{ permissions: 32, scheme: "world", id: "anyone" }] }, "EVH_CONFIG"],
    ["/a", { acl: [{ permissions: 1, scheme: "", id: "anyone" }] }, "EVH_CONFIG"],
    ["/a", { parents: "yes" }, "EVH_CONFIG"],
  ];
  for (const [path, options, code] of cases) {
    const error = await errorOf(createNode(caller, path, "x", options));
    assert.equal(error.code, code, error.message);
  }
  const number = 7 as unknown as string;
  await assert.rejects(createNode(caller, "/a", number, {}), TypeError);
  await assert.rejects(createNode(caller, number, "x", {}), TypeError);
  assert.equal(tree.seen.length, 0);
});

test("what the caller does with their bytes after the call changes nothing", async () => {
  const { caller, tree } = testCaller();
  const data = new Uint8Array([1, 2, 3]);
  const creating = createNode(caller, "/a", data, {});
  data.fill(0);
  await creating;
  assert.deepEqual(tree.nodes.get("/a")?.data, new Uint8Array([1, 2, 3]));
});
