import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { LogFields } from "@everhold/env";

import { Absence } from "./absence.ts";

describe("ZooKeeper that cannot be reached", () => {
  it("is told of at once, with growing distance, and how long it was away", () => {
    let nowMs = 5_000;
    const told: string[] = [];
    const line = (message: string, fields?: LogFields): void => {
      told.push(`${message} ${fields?.["awayMs"]}`);
    };
    const log = { debug: line, info: line, warn: line, error: line };
    const absence = new Absence({ log, monotonicClock: { nowMs: () => nowMs } }, "zk-1,zk-2");
    absence.isOver();
    for (; nowMs < 105_000; nowMs += 1_000) absence.goesOn("refused");
    absence.isOver();
    absence.isOver();
    const waits = "ZooKeeper cannot be reached: this member waits for it";
    const expected = [0, 10_000, 20_000, 40_000, 80_000].map((ms) => `${waits} ${ms}`);
    assert.deepEqual(told, [...expected, "ZooKeeper is reached again 100000"]);
    absence.goesOn("refused");
    assert.equal(told.at(-1), `${waits} 0`);
  });
});
