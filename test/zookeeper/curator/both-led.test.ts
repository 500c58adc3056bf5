import assert from "node:assert/strict";
import { test } from "node:test";

import { bothLed } from "./both-led.ts";
import type { ContestantEvent } from "./contestant.ts";

const span = { faultMs: 100, endMs: 1_000, stoodStill: false };

test("every stretch in which both said that they led counts, the later ones too", () => {
  const main = leads([0, true], [200, false], [400, true], [600, false]);
  const rival = leads([180, true], [300, false], [550, true]);
  assert.equal(bothLed({ ...span, main, rival }), 20 + 50);
});

test("who leads to the end does so until the end, and what was before the fault is not counted", () => {
  assert.equal(bothLed({ ...span, main: leads([0, true]), rival: leads([0, true]) }), 900);
  assert.equal(bothLed({ ...span, main: leads([0, true]), rival: [] }), 0);
});

test("who stands still says nothing until it wakes", () => {
  const woke = (isLeading: boolean): ContestantEvent[] => [
    ...leads([0, true]),
    { type: "woke", at: 700, leads: isLeading },
    ...leads([750, false]),
  ];
  const rival = leads([300, true]);
  assert.equal(bothLed({ ...span, stoodStill: true, main: woke(true), rival }), 50);
  assert.equal(bothLed({ ...span, stoodStill: true, main: woke(false), rival }), 0);
});

function leads(...changes: readonly (readonly [number, boolean])[]): ContestantEvent[] {
  return changes.map(([at, isLeading]) => ({ type: "leads", at, leads: isLeading }));
}
