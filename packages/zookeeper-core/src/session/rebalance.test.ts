import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@everhold/base";
import type { Endpoint } from "@everhold/env";
import { formatServer } from "../protocol/connect-string.ts";
import { isSameList, rebalanced } from "./rebalance.ts";

const endpoints = (names: string): readonly Endpoint[] =>
  [...names].map((host) => ({ host, port: 2181 }));

/** How many of many clients, spread evenly before, are at each server afterwards. */
function spread(beforeNames: string, afterNames: string): { counts: number[]; movedCount: number } {
  const [before, after] = [endpoints(beforeNames), endpoints(afterNames)];
  const random = new Prng(7);
  const counts = new Map(after.map((one) => [formatServer(one), 0]));
  let movedCount = 0;
  for (let client = 0; client < 6000; client += 1) {
    const at = before[client % before.length];
    assert.ok(at !== undefined);
    const current = formatServer(at);
    const { stays, order } = rebalanced({ before, after, current, random });
    assert.deepEqual(order.map(formatServer).toSorted(), after.map(formatServer).toSorted());
    const [first] = order;
    assert.ok(first !== undefined);
    const to = stays ? current : formatServer(first);
    if (!stays) movedCount += 1;
    counts.set(to, (counts.get(to) ?? 0) + 1);
  }
  return { counts: [...counts.values()], movedCount };
}

const cases: readonly (readonly [string, string, string, number])[] = [
  ["some go to servers that come", "abc", "abcde", 6000 * (2 / 5)],
  ["all go where all servers are others", "abc", "xyz", 6000],
  ["those of servers that go are shared by those that stay", "abcde", "abc", 6000 * (2 / 5)],
  ["one server takes the place of another one", "abc", "abx", 2000],
  ["servers go while more come", "abc", "bcxyz", 2000 + 4000 * (2 / 5)],
  ["servers come while more go", "abcde", "abx", 3600],
  ["nobody moves where nothing changes", "abc", "cab", 0],
];

for (const [name, before, after, moves] of cases) {
  test(`${name}, and every server has as many clients: ${before} to ${after}`, () => {
    const { counts, movedCount } = spread(before, after);
    const share = 6000 / after.length;
    for (const count of counts) {
      assert.ok(Math.abs(count - share) < share * 0.08, `${counts.join(", ")}, not ${share} each`);
    }
    assert.ok(Math.abs(movedCount - moves) <= 6000 * 0.03, `${movedCount} moved, not ${moves}`);
  });
}

test("who is connected to nobody takes the servers in any order", () => {
  const random = new Prng(7);
  const change = { before: endpoints("ab"), after: endpoints("abc"), current: undefined, random };
  const firsts = new Set(Array.from({ length: 50 }, () => rebalanced(change).order[0]?.host));
  assert.equal(firsts.size, 3);
});

test("a server that is being left and is listed again keeps its client", () => {
  const random = new Prng(7);
  const [before, after] = [endpoints("bc"), endpoints("abcdef")];
  const change = { before, after, current: "a:2181", random };
  const answers = new Set(Array.from({ length: 50 }, () => rebalanced(change).stays));
  assert.deepEqual([...answers], [true]);
});

test("lists are the same where they name the same servers as often", () => {
  const same = (one: string, other: string): boolean =>
    isSameList(endpoints(one), endpoints(other));
  assert.deepEqual([same("abc", "cab"), same("aab", "aba")], [true, true]);
  assert.deepEqual([same("ab", "aa"), same("aa", "ab"), same("ab", "abc")], [false, false, false]);
});
