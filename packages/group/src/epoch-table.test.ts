import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agreedPosition, type LogOutline } from "./epoch-table.ts";

/** A journal whose epochs begin at these positions: `log([[1, 0], [3, 40]], 90)`. */
function log(starts: readonly (readonly [number, number])[], end: number): LogOutline {
  return { epochs: starts.map(([epoch, position]) => ({ epoch, position })), end };
}

describe("up to where two journals agree", () => {
  const cases: readonly (readonly [string, LogOutline, LogOutline, number])[] = [
    ["equal ones agree to their end", log([[1, 0]], 50), log([[1, 0]], 50), 50],
    ["one that is behind agrees to its end", log([[1, 0]], 50), log([[1, 0]], 30), 30],
    ["an empty one agrees on nothing", log([[1, 0]], 50), log([], 0), 0],
    [
      "a tail that the next live never got is left out",
      log(
        [
          [1, 0],
          [2, 30],
        ],
        60,
      ),
      log([[1, 0]], 50),
      30,
    ],
    [
      "a short older epoch ends where its owner's does",
      log(
        [
          [1, 0],
          [2, 30],
        ],
        60,
      ),
      log([[1, 0]], 20),
      20,
    ],
    [
      "an epoch that the live does not know is left out",
      log(
        [
          [1, 0],
          [4, 30],
        ],
        60,
      ),
      log(
        [
          [1, 0],
          [3, 25],
        ],
        90,
      ),
      25,
    ],
    [
      "an epoch that begins elsewhere is not shared",
      log(
        [
          [1, 0],
          [2, 30],
        ],
        60,
      ),
      log(
        [
          [1, 0],
          [2, 20],
        ],
        60,
      ),
      20,
    ],
    ["no epoch in common", log([[1, 0]], 50), log([[2, 0]], 50), 0],
  ];
  for (const [what, one, other, position] of cases) {
    it(what, () => {
      assert.equal(agreedPosition(one, other), position);
      assert.equal(agreedPosition(other, one), position);
    });
  }
});
