import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@everhold/base";
import { errorOf } from "@everhold/test-world";
import { ByteReader } from "@everhold/wire";
import { ZooKeeperError } from "../errors.ts";
import { operations } from "../protocol/operations.ts";
import { bytesOf } from "../testing/bytes.test-support.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import { ops } from "./multi-operations.ts";
import { runMulti, runMultiRead } from "./multi.ts";

test("all of a multi happens, and each result is at its place", async () => {
  const { caller, tree } = testCaller({ prefix: "/app" });
  tree.create("/app");
  tree.create("/app/a");
  const results = await runMulti(
    caller,
    [
      ops.create("/b", "x"),
      ops.create("/s-", "x", { mode: "ephemeralSequential" }),
      ops.create("/c", null, { mode: "container" }),
      ops.create("/t", null, { mode: "persistentTtl", ttl: 9 }),
      ops.setData("/a", "y", { version: 0 }),
      ops.check("/a", { version: 1 }),
      ops.delete("/b"),
    ],
    {},
  );
  const shapes = results.map((one) =>
    typeof one === "object" && one !== null ? ("path" in one ? one.path : "stat") : one,
  );
  assert.deepEqual(shapes, ["/b", "/s-0000000002", "/c", "/t", "stat", undefined, undefined]);
  assert.equal(tree.textAt("/app/a"), "y");
  assert.equal(tree.nodes.get("/app/c")?.flags, 4);
});

test("a multi that is refused names the operation and its path, and has done nothing", async () => {
  const { caller, tree } = testCaller({ prefix: "/app" });
  tree.create("/app");
  const list = [ops.create("/a"), ops.setData("/b", "x"), ops.delete("/a")];
  const error = await errorOf(runMulti(caller, list, {}));
  assert.ok(error instanceof ZooKeeperError);
  assert.deepEqual(
    [error.code, error.reason, error.path, error.opIndex, error.outcome],
    ["EVH_ZOOKEEPER", "NONODE", "/b", 1, "none"],
  );
  assert.equal(
    error.message,
    "Cannot write /b: there is no such node (NONODE, operation 1 of its multi)",
  );
  assert.deepEqual([...tree.nodes.keys()], ["/", "/app"]);
});

test("an empty multi is sent too", async () => {
  const { caller, tree } = testCaller();
  assert.deepEqual(await runMulti(caller, [], {}), []);
  assert.equal(tree.seen.length, 1);
});

test("a multi of which nobody knows is not sent again, one that never left is", async () => {
  const { caller, tree } = testCaller();
  tree.fate = () => (tree.seen.length === 1 ? "unsent" : "unanswered");
  const error = await errorOf(runMulti(caller, [ops.create("/a")], {}));
  assert.equal(error.outcome, "unknown");
  assert.equal(tree.seen.length, 2);
});

test("each read of a multiRead succeeds or fails by itself", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a", new TextEncoder().encode("x"));
  tree.create("/a/b");
  const list = [ops.getData("/a"), ops.getData("/c"), ops.getChildren("/a")];
  const outcomes = await runMultiRead(caller, list, { fresh: true });
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  const [data, missing, children] = outcomes;
  assert.ok(data?.status === "fulfilled" && missing?.status === "rejected");
  assert.ok(children?.status === "fulfilled");
  assert.deepEqual(children.value, { children: ["b"] });
  assert.deepEqual([missing.reason.reason, missing.reason.opIndex], ["NONODE", 1]);
});

test("reads and changes don't mix, and paths are checked", async () => {
  const { caller, tree } = testCaller();
  const read = ops.getData("/a") as never;
  assert.equal((await errorOf(runMulti(caller, [read], {}))).code, "EVH_CONFIG");
  const write = ops.delete("/a") as never;
  await assert.rejects(async () => runMultiRead(caller, [write], {}), { code: "EVH_CONFIG" });
  assert.equal((await errorOf(runMulti(caller, [ops.create("a")], {}))).code, "EVH_PATH");
  assert.equal(tree.seen.length, 0);
});

test("an answer of other parts than were asked for is the server's fault", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  const answers = [[], [{ kind: "delete" }], [{ kind: "create", path: "/a" }]] as const;
  for (const answer of answers) {
    tree.request = async (spec) =>
      spec.decode(new ByteReader(bytesOf(operations.multi.reply, answer)), {
        xid: 1,
        zxid: 1n,
        errorCode: 0,
      });
    const promise = runMulti(caller, [ops.setData("/a", "x")], {});
    await assert.rejects(promise, ProtocolError);
  }
});
