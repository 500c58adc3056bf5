import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { BrowserTimers } from "./timers.ts";

describe("timers of a page", () => {
  let nowMs = 0;
  let ran: string[] = [];

  beforeEach(() => {
    nowMs = 1000;
    ran = [];
    mock.method(performance, "now", () => nowMs);
    mock.timers.enable({ apis: ["setTimeout"] });
  });

  afterEach(() => {
    mock.timers.reset();
    mock.restoreAll();
  });

  function pass(ms: number): void {
    nowMs += ms;
    mock.timers.tick(ms);
  }

  it("run once when they are due, and not when they were cancelled", () => {
    const timers = new BrowserTimers();
    timers.after(50, () => ran.push("fifty"));
    timers.after(20, () => ran.push("twenty"));
    timers.after(30, () => ran.push("never")).cancel();
    pass(19);
    assert.deepEqual(ran, []);
    pass(1);
    assert.deepEqual(ran, ["twenty"]);
    pass(100);
    assert.deepEqual(ran, ["twenty", "fifty"]);
    timers.catchUp();
    assert.equal(ran.length, 2);
  });

  it("are not early when the browser is, and go on in steps beyond its longest delay", () => {
    const timers = new BrowserTimers();
    timers.after(2 ** 31 + 5, () => ran.push("late"));
    pass(2 ** 31 - 1);
    assert.deepEqual(ran, []);
    pass(6);
    assert.deepEqual(ran, ["late"]);
  });

  it("can be caught up with, in their order, where the browser holds them back", () => {
    const timers = new BrowserTimers();
    timers.after(300, () => ran.push("three"));
    const cancelled = timers.after(200, () => ran.push("cancelled"));
    timers.after(100, () => {
      ran.push("one");
      cancelled.cancel();
      timers.after(0, () => ran.push("next time"));
    });
    timers.after(5000, () => ran.push("not yet"));
    nowMs += 1000;
    timers.catchUp();
    assert.deepEqual(ran, ["one", "three"]);
    nowMs += 1;
    timers.catchUp();
    assert.deepEqual(ran, ["one", "three", "next time"]);
  });
});

describe("the end of a turn", () => {
  it("comes later, runs what was asked for in order, and what is asked for then at the next", async () => {
    const timers = new BrowserTimers();
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      timers.atTurnEnd(() => {
        ran.push("first");
        timers.atTurnEnd(() => {
          ran.push("third");
          resolve();
        });
      });
      timers.atTurnEnd(() => ran.push("second"));
      assert.deepEqual(ran, []);
    });
    assert.deepEqual(ran, ["first", "second", "third"]);
  });
});
