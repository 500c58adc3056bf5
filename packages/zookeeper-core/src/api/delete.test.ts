import assert from "node:assert/strict";
import { test } from "node:test";
import { errorOf } from "@everhold/test-world";
import { isReason } from "../errors.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import { deleteNode } from "./delete.ts";

test("a node without children is deleted, if it has the version", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  assert.ok(isReason(await errorOf(deleteNode(caller, "/a", { version: 3 })), "BADVERSION"));
  await deleteNode(caller, "/a", { version: 0 });
  assert.equal(tree.nodes.has("/a"), false);
});

test("a node that is not there is an error, or as good", async () => {
  const { caller } = testCaller();
  assert.ok(isReason(await errorOf(deleteNode(caller, "/a", {})), "NONODE"));
  await deleteNode(caller, "/a", { ifExists: true });
});

test("a node with children is deleted with all below it only when asked for", async () => {
  const { caller, tree } = testCaller();
  for (const path of ["/a", "/a/b", "/a/b/c", "/a/d", "/ab"]) tree.create(path);
  assert.ok(isReason(await errorOf(deleteNode(caller, "/a", {})), "NOTEMPTY"));
  await deleteNode(caller, "/a", { children: true });
  assert.deepEqual([...tree.nodes.keys()], ["/", "/ab"]);
});

test("a wide tree goes too", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  for (let index = 0; index < 250; index += 1) tree.create(`/a/${index}`);
  await deleteNode(caller, "/a", { children: true });
  assert.deepEqual([...tree.nodes.keys()], ["/"]);
});

test("children that come or go meanwhile don't stop it", async () => {
  const { caller, tree } = testCaller();
  for (const path of ["/a", "/a/b", "/a/c", "/a/c/d"]) tree.create(path);
  tree.meanwhile = () => {
    if (tree.seen.length === 5) tree.delete("/a/b");
    if (tree.seen.length === 7) tree.create("/a/e");
  };
  await deleteNode(caller, "/a", { children: true });
  assert.deepEqual([...tree.nodes.keys()], ["/"]);
});

test("children that always come again end it", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  tree.meanwhile = () => {
    if (!tree.nodes.has("/a/b")) tree.create("/a/b");
  };
  const error = await errorOf(deleteNode(caller, "/a", { children: true }));
  assert.ok(isReason(error, "NOTEMPTY"));
});

test("the root of all nodes stays, and that of a namespace goes", async () => {
  const { caller, tree } = testCaller();
  const error = await errorOf(deleteNode(caller, "/", { children: true }));
  assert.equal(error.code, "EVH_PATH");
  assert.equal(tree.seen.length, 0);
  const inner = testCaller({ prefix: "/app" });
  inner.tree.create("/app");
  await deleteNode(inner.caller, "/", {});
  assert.deepEqual([...inner.tree.nodes.keys()], ["/"]);
});

test("a version that contradicts what is expected is refused", async () => {
  const { caller } = testCaller();
  const options = { version: 1, expected: { version: 2, czxid: 5n } };
  const error = await errorOf(deleteNode(caller, "/a", options));
  assert.equal(error.code, "EVH_CONFIG");
  const big = await errorOf(deleteNode(caller, "/a", { version: 2 ** 31 }));
  assert.equal(big.code, "EVH_CONFIG");
});

const never = { deadlineMs: Infinity };

test("a delete that is guaranteed goes on afterwards, for that node and no other", async () => {
  for (const fate of ["unsent", "lost", "unanswered"] as const) {
    for (const later of ["nothing", "write", "again"] as const) {
      const { caller, tree, afterwards } = testCaller();
      const expected = tree.create("/a");
      tree.fate = ({ name }) => (name === "delete" ? fate : "unsent");
      const error = await errorOf(deleteNode(caller, "/a", { expected, guaranteed: true }));
      assert.equal(error.outcome, fate === "unsent" ? "none" : "unknown");
      assert.equal(afterwards.length, 1);
      if (later === "write" && tree.nodes.has("/a")) tree.write("/a", null);
      if (later === "again") {
        if (tree.nodes.has("/a")) tree.delete("/a");
        tree.create("/a");
      }
      tree.fate = () => "answered";
      for (const task of afterwards) await task(never);
      assert.equal(tree.nodes.has("/a"), later === "again");
    }
  }
});

test("a delete that was refused is not done afterwards, and one without `expected` can't be guaranteed", async () => {
  const { caller, tree, afterwards } = testCaller();
  const expected = tree.create("/a");
  tree.write("/a", null);
  const refused = await errorOf(deleteNode(caller, "/a", { expected, guaranteed: true }));
  assert.ok(isReason(refused, "BADVERSION"));
  const error = await errorOf(deleteNode(caller, "/a", { guaranteed: true }));
  assert.equal(error.code, "EVH_CONFIG");
  assert.equal(afterwards.length, 0);
});
