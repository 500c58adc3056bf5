import assert from "node:assert/strict";
import { test } from "node:test";
import { Counting } from "./counting.ts";
import { Holdings, type Holding } from "./holdings.ts";

function newHolding(who: string, changed: Partial<Holding> = {}): Holding {
  return {
    ...{ lock: "/lock", who, sessionId: 1n, permits: 1, permitsMax: 1 },
    claim: { token: 1n, isHeld: () => true },
    standsStill: () => false,
    ...changed,
  };
}

function newHoldings(): { holdings: Holdings; problems: string[] } {
  const problems: string[] = [];
  return { holdings: new Holdings((text) => problems.push(text)), problems };
}

test("more than there is can't be held at one moment", () => {
  const { holdings, problems } = newHoldings();
  const permits = { lock: "/permits", permits: 2, permitsMax: 3 };
  holdings.begin(newHolding("anna", permits));
  holdings.begin(newHolding("bert", { ...permits, permits: 1 }));
  assert.deepEqual(problems, []);
  holdings.begin(newHolding("cleo", { ...permits, permits: 1 }));
  assert.deepEqual(problems, ["lock: 4 of /permits held at one moment by anna and bert and cleo"]);
});

test("whoever stands still holds nothing until it goes on", () => {
  const { holdings, problems } = newHoldings();
  let standsStill = true;
  const first = newHolding("anna", { standsStill: () => standsStill });
  standsStill = false;
  holdings.begin(first);
  standsStill = true;
  holdings.begin(newHolding("bert", { claim: { token: 2n, isHeld: () => true } }));
  assert.deepEqual(problems, []);
  standsStill = false;
  holdings.act(first);
  assert.equal(problems.length, 1);
});

test("nothing is held for longer than by its session, unless somebody else ended that", () => {
  const { holdings, problems } = newHoldings();
  const holding = newHolding("anna");
  holdings.begin(holding);
  holdings.sessionEnded(1n, "killed");
  holdings.act(holding);
  assert.deepEqual(problems, []);
  holdings.begin(newHolding("bert", { sessionId: 2n, claim: { token: 2n, isHeld: () => true } }));
  holdings.sessionEnded(2n, "expired");
  assert.deepEqual(problems, ["lease: bert takes /lock for held, and its session is over"]);
});

test("what has ended is never held again, and tokens grow", () => {
  const { holdings, problems } = newHoldings();
  let isHeld = true;
  const holding = newHolding("anna", { claim: { token: 7n, isHeld: () => isHeld } });
  const forget = holdings.begin(holding);
  isHeld = false;
  holdings.act(holding);
  isHeld = true;
  holdings.act(holding);
  forget();
  holdings.begin(newHolding("bert", { claim: { token: 6n, isHeld: () => true } }));
  assert.deepEqual(
    [...new Set(problems)],
    ["lease: anna holds /lock again after its end", "token: bert got 6 for /lock after 7 of anna"],
  );
});

test("a counter says what all who were told, and some who were not, have added", () => {
  const problems: string[] = [];
  const counting = new Counting((text) => problems.push(text));
  for (const value of [1n, 2n]) counting.ended(counting.begin(), { outcome: "applied", value });
  counting.ended(counting.begin(), { outcome: "unknown" });
  counting.ended(counting.begin(), { outcome: "none" });
  counting.addUp(2n);
  counting.addUp(3n);
  assert.deepEqual(problems, []);
  counting.addUp(4n);
  counting.addUp(1n);
  counting.ended(counting.begin(), { outcome: "applied", value: 2n });
  assert.deepEqual(problems, [
    "count: found 4, expected 2 to 3 after all changes",
    "count: found 1, expected 2 to 3 after all changes",
    "count: two were told that they made it 2",
  ]);
});
