import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EverholdError } from "@everhold/base";
import { assertNothingRuns, errorOf } from "@everhold/test-world";
import type { RetryPolicy } from "../../api/retry-policy.ts";
import { operations } from "../../protocol/operations.ts";
import { clientOver } from "../../testing/client-over.test-support.ts";
import { type TestCaller, testCaller } from "../../testing/test-caller.test-support.ts";
import { TreeServers } from "../../testing/tree-servers.test-support.ts";
import type { Fate } from "../../testing/tree-requests.test-support.ts";
import { counterBytes, judgeCounter, nextCounter, readCounter } from "./counter-data.ts";
import { counterLimits } from "./counter-limits.ts";
import { Counter } from "./counter.ts";

interface CounterSetup extends TestCaller {
  readonly counter: Counter;
  /** Another process on the same servers. */
  readonly other: Counter;
}

function setUp(options: { retry?: RetryPolicy | false } = {}): CounterSetup {
  const setup = testCaller(options);
  const client = clientOver(setup.caller);
  return {
    ...setup,
    counter: new Counter(client, "/counters/a"),
    other: new Counter(client, "/counters/a"),
  };
}

/** In this world every timer fires at once. */
const patient = { timeout: Infinity };

/** The number as Curator writes it. */
function curatorBytes(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, value);
  return bytes;
}

test("a counter begins with what it is told, and is made when it is first changed", async () => {
  const { caller, tree } = testCaller();
  const counter = new Counter(clientOver(caller), "/counters/a", { initial: 40n });
  assert.equal(await counter.get(), 40n);
  assert.equal(tree.nodes.has("/counters/a"), false);
  assert.equal(await counter.add(2n), 42n);
  assert.equal(await counter.get(), 42n);
  assert.equal(await counter.decrement(), 41n);
  await counter.set(-7n);
  assert.equal(await counter.increment(), -6n);
});

test("the time limit of a change is that of all that it asks for", async () => {
  const { counter, tree, clock } = setUp({ retry: () => 10 });
  tree.meanwhile = ({ name }) => void (clock.nowMs += name === "read" ? 900 : 0);
  tree.fate = ({ name }) => (name === "create" ? "unsent" : "answered");
  const error = await errorOf(counter.increment({ timeout: 1000 }));
  assert.equal(error.code, "EVH_UNSENT");
  assert.ok(clock.nowMs > 900 && clock.nowMs <= 1000, `it took ${clock.nowMs} ms`);
});

test("who is never the first is told at its time limit, or when it gives up, and not later", async () => {
  const servers = new TreeServers();
  const { world } = servers;
  const client = await servers.connect();
  servers.interfere = ({ code }) => (code === operations.setData.code ? -103 : undefined);
  const counter = new Counter(client, "/counters/a");
  const abort = new AbortController();
  for (const [call, code, end] of [
    [{ timeout: 1000 }, "EVH_TIMEOUT", () => world.advance(500)],
    [{ signal: abort.signal }, "EVH_ABORTED", () => Promise.resolve(abort.abort())],
  ] as const) {
    const error = errorOf(counter.increment(call));
    await world.advance(500);
    assert.equal(await world.isPending(error), true);
    await end();
    assert.equal((await world.now(error)).code, code);
  }
  await world.now(client.close());
  assertNothingRuns(world);
});

test("who counts at once is counted", async () => {
  const { counter, other } = setUp();
  const sums = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? counter : other).increment(patient),
    ),
  );
  const expected = Array.from({ length: 40 }, (_, index) => BigInt(index + 1));
  assert.deepEqual(
    sums.toSorted((a, b) => Number(a - b)),
    expected,
  );
});

test("a number is set only where it is the expected one, whatever an old read said", async () => {
  const { counter, other } = setUp();
  assert.equal(await counter.compareAndSet(0n, 5n), true);
  assert.equal(await other.compareAndSet(0n, 6n), false);
  assert.equal(await other.compareAndSet(5n, 6n), true);
  assert.equal(await counter.get(), 6n);
});

test("what has no room in 64 bits is refused, and changes nothing", async () => {
  const { counter } = setUp();
  await counter.set(2n ** 63n - 1n);
  const error = await errorOf(counter.increment());
  assert.deepEqual([error.code, error.outcome], ["EVH_ILLEGAL_STATE", "none"]);
  assert.match(error.message, /9223372036854775807/);
  assert.equal(await counter.get(), 2n ** 63n - 1n);
  assert.throws(() => counter.add(2n ** 63n), RangeError);
  assert.throws(() => counter.add(1 as never), TypeError);
});

test("a number that Curator wrote is read and counted on, and Curator finds the sum where it looks", async () => {
  const { counter, tree } = setUp();
  tree.create("/counters");
  tree.create("/counters/a", curatorBytes(-3n));
  assert.equal(await counter.get(), -3n);
  assert.equal(await counter.increment(), -2n);
  assert.deepEqual(tree.nodes.get("/counters/a")?.data?.slice(0, 8), curatorBytes(-2n));
  tree.write("/counters/a", new Uint8Array(0));
  assert.equal(await counter.increment(), 1n);
});

test("a node that holds something else is let be", async () => {
  const { counter, tree } = setUp();
  tree.create("/counters");
  tree.create("/counters/a");
  for (const text of ["7", "twelve bytes", "a text that is longer, of 36 letters"]) {
    tree.write("/counters/a", new TextEncoder().encode(text));
    const error = await errorOf(counter.increment());
    assert.equal(error.code, "EVH_NODE_FORMAT");
    assert.equal(tree.textAt("/counters/a"), text);
  }
});

test("options and paths that can't be are refused at once", () => {
  const client = clientOver(testCaller().caller);
  assert.throws(() => new Counter(client, "counters"), { code: "EVH_PATH" });
  const options = { initial: 2n ** 63n };
  assert.throws(() => new Counter(client, "/a", options), { code: "EVH_CONFIG" });
});

test("a change whose answer is lost is found again, however many others have counted since", async () => {
  const { counter, other, tree } = setUp();
  await counter.increment();
  let isLost = false;
  tree.fate = ({ name }) => {
    if (name !== "write" || isLost) return "answered";
    isLost = true;
    return "unanswered";
  };
  tree.meanwhile = ({ name }) => {
    // Between the loss and the look at what became of it.
    if (name !== "sync" || !isLost) return;
    tree.meanwhile = () => undefined;
    const node = tree.nodes.get("/counters/a");
    assert.ok(node !== undefined);
    for (let count = 0; count < 100; count += 1) {
      const before = readCounter("/counters/a", node);
      const writerId = BigInt(count % 40);
      const next = { value: before.value + 1n, writerId };
      tree.write("/counters/a", counterBytes(nextCounter(before, node.stat.version, next)));
    }
  };
  assert.equal(await counter.increment(), 2n);
  assert.equal(await other.get(), 102n);
});

test("a change of which nobody can find out any more is said to be unknown, and not made again", async () => {
  const { counter, tree } = setUp();
  await counter.increment();
  let isLost = false;
  tree.fate = ({ name }) => {
    if (name !== "write" || isLost) return "answered";
    isLost = true;
    return "unanswered";
  };
  tree.meanwhile = ({ name }) => {
    if (name === "sync" && isLost) tree.write("/counters/a", curatorBytes(50n));
  };
  const error = await errorOf(counter.increment());
  assert.equal(error.outcome, "unknown");
  tree.meanwhile = () => undefined;
  assert.equal(await counter.increment(), 51n);
});

test("what a node says about a change is the same in every case", () => {
  const expected = { version: 4, czxid: 9n };
  const judge = (version: number, written: readonly [bigint, number][], completeFrom = 0) =>
    judgeCounter(expected, 1n, {
      stat: { version, czxid: 9n },
      counter: {
        value: 0n,
        written: written.map(([writerId, at]) => ({ writerId, version: at })),
        completeFrom,
      },
    });
  assert.equal(judgeCounter(expected, 1n, undefined), "unknowable");
  const moved = { version: 5, czxid: 10n };
  const counter = { value: 0n, written: [{ writerId: 1n, version: 5 }], completeFrom: 0 };
  assert.equal(judgeCounter(expected, 1n, { stat: moved, counter }), "unknowable");
  assert.equal(judge(4, []), "untouched");
  assert.equal(judge(5, [[1n, 5]]), "applied");
  assert.equal(judge(9, [[2n, 9], [1n, 5]]), "applied"); // prettier-ignore
  assert.equal(judge(9, [[2n, 9], [1n, 3]]), "refused"); // prettier-ignore
  assert.equal(judge(9, [[2n, 9]], 5), "refused");
  assert.equal(judge(9, [[2n, 9]], 6), "unknowable");
});

test("of more writers than a node remembers the oldest are forgotten, and this is known", () => {
  let counter = readCounter("/a", { data: null, stat: statOf(0) });
  for (let version = 0; version < 100; version += 1) {
    counter = nextCounter(counter, version, { value: 1n, writerId: BigInt(version % 80) });
  }
  assert.equal(counter.written.length, counterLimits.writerCountMax);
  assert.equal(counter.completeFrom, 100 - counterLimits.writerCountMax + 1);
  const again = readCounter("/a", { data: counterBytes(counter), stat: statOf(100) });
  assert.deepEqual(again, counter);
  const copied = readCounter("/a", { data: counterBytes(counter), stat: statOf(101) });
  assert.deepEqual(copied, { value: 1n, written: [], completeFrom: 101 });
});

function statOf(version: number): Parameters<typeof readCounter>[1]["stat"] {
  const { tree } = testCaller();
  return { ...tree.create("/a"), version };
}

const fates: readonly Fate[] = ["answered", "unsent", "lost", "unanswered", "late"];

test("whatever gets lost or comes late, nothing is counted twice, and what was answered is counted", async () => {
  let settledCount = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...fates), { minLength: 1, maxLength: 60 }),
      async (plan) => {
        const { counter, other, tree } = setUp();
        await counter.set(0n);
        let index = 0;
        tree.fate = () => plan[index++] ?? "answered";
        let sureCount = 0;
        let unsureCount = 0;
        const count = async (one: Counter): Promise<void> => {
          for (let times = 0; times < 5; times += 1) {
            try {
              await one.increment(patient);
              sureCount += 1;
              settledCount += 1;
            } catch (error) {
              if (!EverholdError.is(error)) throw error;
              if (error.outcome === "unknown") unsureCount += 1;
            }
          }
        };
        await Promise.all([count(counter), count(other)]);
        const total = Number(await counter.get());
        assert.ok(total >= sureCount, `${sureCount} are counted for sure, and there are ${total}`);
        assert.ok(total <= sureCount + unsureCount, `at most ${sureCount + unsureCount}: ${total}`);
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(settledCount > 1500, `${settledCount} were settled`);
});
