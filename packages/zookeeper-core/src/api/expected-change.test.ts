import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EverholdError } from "@everhold/base";
import { errorOf } from "@everhold/test-world";
import { isReason } from "../errors.ts";
import { testCaller } from "../testing/test-caller.test-support.ts";
import type { Fate } from "../testing/tree-requests.test-support.ts";
import { deleteNode } from "./delete.ts";
import { judgeDelete, judgeWrite } from "./expected-change.ts";
import { setData } from "./set-data.ts";

const mine = new TextEncoder().encode("mine");
const theirs = new TextEncoder().encode("theirs");

test("what a node says about a write is the same in every case", () => {
  const { caller: _, tree } = testCaller();
  const stat = tree.create("/a");
  const expected = { version: 4, czxid: 9n };
  const found = (version: number, czxid: bigint, data: Uint8Array | null = mine) => ({
    stat: { ...stat, version, czxid },
    data,
  });
  for (const isUnique of [false, true]) {
    const written = { data: mine, isUnique };
    const judge = (node: ReturnType<typeof found> | undefined) =>
      judgeWrite(expected, written, node);
    assert.equal(judge(undefined), "unknowable");
    assert.equal(judge(found(4, 10n)), "unknowable");
    assert.equal(judge(found(5, 10n)), "unknowable");
    assert.equal(judge(found(4, 9n)), "untouched");
    assert.equal(judge(found(5, 9n, theirs)), "refused");
    assert.equal(judge(found(5, 9n, null)), "refused");
    assert.equal(judge(found(5, 9n)), isUnique ? "applied" : "unknowable");
    assert.equal(judge(found(6, 9n)), "unknowable");
  }
  const last = { version: 0x7fff_ffff, czxid: 9n };
  const wrapped = judgeWrite(last, { data: null, isUnique: true }, found(-0x8000_0000, 9n, null));
  assert.equal(wrapped, "applied");
});

test("what a node says about a delete is the same in every case", () => {
  const { tree } = testCaller();
  const stat = { ...tree.create("/a"), version: 4, czxid: 9n };
  for (const isGoneEnough of [false, true]) {
    const gone = isGoneEnough ? "applied" : "unknowable";
    assert.equal(judgeDelete(stat, isGoneEnough, null), gone);
    assert.equal(judgeDelete(stat, isGoneEnough, { ...stat, czxid: 10n }), gone);
    assert.equal(judgeDelete(stat, isGoneEnough, stat), "untouched");
    assert.equal(judgeDelete(stat, isGoneEnough, { ...stat, version: 5 }), "refused");
  }
});

test("a write that was lost is sent again, behind a read that proves that it was", async () => {
  const { caller, tree } = testCaller();
  const expected = tree.create("/a");
  tree.fate = () => (tree.seen.length === 1 ? "lost" : "answered");
  const stat = await setData(caller, "/a", "mine", { expected });
  assert.equal(stat.version, 1);
  assert.deepEqual(tree.takeNames(), ["write /a", "sync /a", "read /a", "write /a"]);
});

test("a write whose answer was lost is found out by bytes that are nobody else's", async () => {
  const { caller, tree } = testCaller();
  const expected = tree.create("/a");
  tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
  const stat = await setData(caller, "/a", "mine", { expected, uniqueData: true });
  assert.equal(stat.version, 1);
  assert.deepEqual(tree.takeNames(), ["write /a", "sync /a", "read /a"]);
});

test("without that the same bytes prove nothing", async () => {
  const { caller, tree } = testCaller();
  const expected = tree.create("/a");
  tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
  const error = await errorOf(setData(caller, "/a", "mine", { expected }));
  assert.equal(error.outcome, "unknown");
  assert.equal(tree.seen.filter(({ name }) => name === "write").length, 1);
});

test("a write that somebody else was quicker than is refused with certainty", async () => {
  const { caller, tree } = testCaller();
  const expected = tree.create("/a");
  tree.meanwhile = () => {
    if (tree.seen.length === 1) tree.write("/a", theirs);
  };
  tree.fate = () => (tree.seen.length === 1 ? "lost" : "answered");
  const error = await errorOf(setData(caller, "/a", "mine", { expected }));
  assert.ok(isReason(error, "BADVERSION"));
  assert.deepEqual([error.outcome, error.path], ["none", "/a"]);
});

test("without `expected` a write with a version is left to the caller", async () => {
  const { caller, tree } = testCaller();
  tree.create("/a");
  tree.fate = () => "lost";
  const error = await errorOf(setData(caller, "/a", "mine", { version: 0 }));
  assert.equal(error.outcome, "unknown");
  assert.equal(tree.seen.length, 1);
});

test("a doubt that nobody could settle in time says so", async () => {
  const { caller, tree } = testCaller();
  const expected = tree.create("/a");
  tree.fate = ({ name }) => (name === "write" ? "unanswered" : "unsent");
  const error = await errorOf(setData(caller, "/a", "mine", { expected }));
  assert.equal(error.outcome, "unknown");
  assert.match(error.message, /nobody knows whether it took effect/);
  assert.ok(EverholdError.is(error.cause, "EVH_DISCONNECTED"));
});

test("a delete whose answer was lost is done when it does not matter who did it", async () => {
  for (const ifExists of [false, true]) {
    const { caller, tree } = testCaller();
    const expected = tree.create("/a");
    tree.fate = () => (tree.seen.length === 1 ? "unanswered" : "answered");
    const promise = deleteNode(caller, "/a", { expected, ifExists });
    if (ifExists) await promise;
    else assert.equal((await errorOf(promise)).outcome, "unknown");
    assert.deepEqual(tree.takeNames(), ["delete /a", "sync /a", "ask for /a"]);
  }
});

/** What may happen around one request. */
const fates: readonly Fate[] = ["answered", "unsent", "lost", "unanswered", "late", "THROTTLEDOP"];
const others = ["nothing", "write", "write mine", "delete", "again"] as const;

test("whatever is lost and whatever others do: what is said of a change is true", async () => {
  const step = fc.record({ fate: fc.constantFrom(...fates), other: fc.constantFrom(...others) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.boolean(),
      fc.constantFrom("setData", "delete"),
      async (steps, isUnique, kind) => {
        const { caller, tree } = testCaller();
        const expected = tree.create("/a", theirs);
        // What the tree does for the caller is told from what it does for others by who asks.
        let isOther = false;
        let appliedCount = 0;
        // A version says nothing of which node it is: one that is made anew begins at 0 again, as ZooKeeper has it.
        const appliedNodes = new Set<bigint | undefined>();
        const write = tree.write.bind(tree);
        const remove = tree.delete.bind(tree);
        tree.write = (...given) => counted(() => write(...given));
        tree.delete = (...given) => counted(() => remove(...given));
        const counted = <T>(change: () => T): T => {
          const czxid = tree.nodes.get("/a")?.stat.czxid;
          const result = change();
          if (isOther) return result;
          appliedCount += 1;
          assert.ok(!appliedNodes.has(czxid), "it took effect twice");
          appliedNodes.add(czxid);
          return result;
        };
        tree.fate = () => steps[tree.seen.length - 1]?.fate ?? "answered";
        tree.meanwhile = () => {
          isOther = true;
          const other = steps[tree.seen.length - 1]?.other;
          const exists = tree.nodes.has("/a");
          if (other === "write" && exists) tree.write("/a", theirs);
          // Only where bytes are said to be unique nobody else writes them.
          if (other === "write mine" && exists) tree.write("/a", isUnique ? theirs : mine);
          if ((other === "delete" || other === "again") && exists) tree.delete("/a");
          if (other === "again") tree.create("/a", theirs);
          isOther = false;
        };
        const change =
          kind === "setData"
            ? setData(caller, "/a", mine, { expected, uniqueData: isUnique })
            : deleteNode(caller, "/a", { expected });
        const error = await change.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        if (error === undefined) {
          assert.ok(appliedCount > 0, "it is said to be done, and is not");
        } else {
          assert.ok(EverholdError.is(error));
          if (error.outcome === "none") assert.equal(appliedCount, 0, "it is said not to be done");
        }
      },
    ),
    { numRuns: 600 },
  );
});
