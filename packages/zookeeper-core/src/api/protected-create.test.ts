import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EverholdError, Prng } from "@everhold/base";
import { errorOf } from "@everhold/test-world";
import { testCaller } from "../testing/test-caller.test-support.ts";
import type { Fate } from "../testing/tree-requests.test-support.ts";
import { createNode } from "./create.ts";
import { protectedNode } from "./protected-create.ts";

const form = /^_c_[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}-/;
const never = { deadlineMs: Infinity };

test("the name is Curator's, wherever the node is", () => {
  for (const [path, parent, rest] of [
    ["/a", "/", "a"],
    ["/locks/lock-", "/locks", "lock-"],
    ["/locks/", "/locks", ""],
    ["/", "/", ""],
  ] as const) {
    const node = protectedNode(new Prng(1), path);
    assert.equal(node.parent, parent);
    assert.match(node.prefix, form);
    assert.equal(node.path, `${parent === "/" ? "" : parent}/${node.prefix}${rest}`);
  }
});

test("a node is created under a name of its own, below parents that are made", async () => {
  const { caller, tree } = testCaller({ prefix: "/app" });
  tree.create("/app");
  const options = { protected: true, parents: true, mode: "ephemeralSequential" } as const;
  const { path, stat } = await createNode(caller, "/locks/lock-", "x", options);
  assert.match(path, /^\/locks\/_c_[\da-f-]{36}-lock-0000000000$/);
  assert.equal(tree.textAt(`/app${path}`), "x");
  assert.equal(stat.ephemeralOwner, 1n);
});

test("a node whose answer was lost is found again, not created twice", async () => {
  const { caller, tree } = testCaller();
  tree.create("/locks");
  tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
  const options = { protected: true, mode: "ephemeralSequential" } as const;
  const { path } = await createNode(caller, "/locks/lock-", "x", options);
  assert.deepEqual(tree.childrenOf("/locks"), [path.slice("/locks/".length)]);
  assert.match(path, /lock-0000000000$/);
});

test("a create that never arrived is sent again", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => (tree.seen.length === 1 ? "lost" : "answered");
  const { path } = await createNode(caller, "/a", "x", { protected: true });
  assert.equal(tree.textAt(path), "x");
  assert.deepEqual(
    tree.seen.map(({ name }) => name),
    ["create", "sync", "list", "create"],
  );
});

test("where the answer that there is no parent was lost, the parent is made all the same", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
  const { path } = await createNode(caller, "/locks/a", "x", { protected: true, parents: true });
  assert.deepEqual(tree.childrenOf("/locks"), [path.slice("/locks/".length)]);
});

test("an ephemeral node of a session that is over is deleted, and another one created", async () => {
  const { caller, tree, session } = testCaller();
  tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
  tree.meanwhile = ({ name }) => {
    if (name !== "sync") return;
    session.id = 2n;
    tree.sessionId = 2n;
  };
  const { stat } = await createNode(caller, "/a", "x", { protected: true, mode: "ephemeral" });
  assert.equal(stat.ephemeralOwner, 2n);
  assert.equal(tree.childrenOf("/").length, 1);
});

test("where nobody finds out in time, the node is deleted afterwards", async () => {
  const { caller, tree, afterwards } = testCaller();
  tree.fate = ({ name }) => (name === "create" ? "unanswered" : "unsent");
  const error = await errorOf(createNode(caller, "/a", "x", { protected: true }));
  assert.equal(error.outcome, "unknown");
  assert.match(error.message, /^Cannot create \/_c_.*: nobody knows whether it took effect/);
  assert.equal(tree.childrenOf("/").length, 1);
  tree.fate = () => "answered";
  for (const task of afterwards) await task(never);
  assert.equal(tree.childrenOf("/").length, 0);
  assert.equal(afterwards.length, 1);
});

test("what was refused leaves nothing to do afterwards", async () => {
  const { caller, afterwards } = testCaller();
  await errorOf(createNode(caller, "/none/a", "x", { protected: true }));
  assert.equal(afterwards.length, 0);
});

test("whatever is lost: there is one node when it says so, and none when it says so", async () => {
  const fates: readonly Fate[] = ["answered", "unsent", "lost", "unanswered", "THROTTLEDOP"];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...fates), { maxLength: 14 }),
      fc.constantFrom("persistent", "ephemeralSequential"),
      async (plan, mode) => {
        const { caller, tree, afterwards } = testCaller();
        tree.create("/locks");
        tree.fate = () => plan[tree.seen.length - 1] ?? "answered";
        const error = await createNode(caller, "/locks/lock-", "x", { protected: true, mode }).then(
          ({ path }) => {
            assert.equal(tree.textAt(path), "x");
          },
          (thrown: unknown) => thrown,
        );
        const count = tree.childrenOf("/locks").length;
        if (error === undefined) {
          assert.equal(count, 1);
          return;
        }
        assert.ok(EverholdError.is(error));
        if (error.outcome === "none") assert.equal(count, 0);
        tree.fate = () => "answered";
        for (const task of afterwards) await task(never);
        assert.equal(tree.childrenOf("/locks").length, 0);
      },
    ),
    { numRuns: 500 },
  );
});
