import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { broken } from "./judge-story.ts";
import type { Outcome, Told } from "./story.ts";

const sent = (text: string, outcome: Outcome, transaction?: string): Told => ({
  kind: "send",
  text,
  isDurable: true,
  transaction,
  outcome,
});
const fleeting = (text: string): Told => ({
  kind: "send",
  text,
  isDurable: false,
  transaction: undefined,
  outcome: "applied",
});
const came = (text: string, isRedelivered = false): Told => ({
  kind: "delivery",
  text,
  isRedelivered,
});
const settled = (text: string, outcome: Outcome, transaction?: string): Told => ({
  kind: "settlement",
  text,
  transaction,
  outcome,
});
const ended = (transaction: string, outcome: Outcome): Told => ({
  kind: "end",
  transaction,
  outcome,
  code: "",
});

/** Stories that keep the promises. */
const good: Record<string, readonly [lines: Told[], left: Told[]]> = {
  "what was sent is left": [[sent("a", "applied")], [came("a")]],
  "what was settled is gone": [[sent("a", "applied"), came("a"), settled("a", "applied")], []],
  "what is in doubt is there": [[sent("a", "unknown")], [came("a")]],
  "what is in doubt is not there": [[sent("a", "unknown")], []],
  "what was not sent is not there": [[sent("a", "none")], []],
  "what is not durable is gone": [[fleeting("a")], []],
  "a repeat says so": [[sent("a", "applied"), came("a"), came("a", true)], [came("a", true)]],
  "a settlement in doubt took effect": [
    [sent("a", "applied"), came("a"), settled("a", "unknown")],
    [],
  ],
  "a settlement in doubt did not take effect": [
    [sent("a", "applied"), came("a"), settled("a", "unknown")],
    [came("a", true)],
  ],
  "a transaction in doubt took effect": [
    [
      sent("a", "applied"),
      came("a"),
      settled("a", "applied", "t"),
      sent("b", "applied", "t"),
    ].concat(ended("t", "unknown")),
    [came("b")],
  ],
  "a transaction in doubt did not, and what it took was settled later": [
    [
      ...[sent("a", "applied"), came("a"), settled("a", "applied", "t")],
      ...[sent("b", "applied", "t"), ended("t", "unknown"), came("a", true)],
      settled("a", "applied"),
    ],
    [],
  ],
};

/** Stories that break one, and which. */
const bad: Record<string, readonly [lines: Told[], left: Told[], found: string]> = {
  "a message is gone": [[sent("a", "applied")], [], "lost"],
  "a message that was only shown is gone": [[sent("a", "applied"), came("a")], [], "lost"],
  "a message is there twice": [[sent("a", "applied")], [came("a"), came("a", true)], "doubled"],
  "a message comes after its end": [
    [sent("a", "applied"), came("a"), settled("a", "applied"), came("a", true)],
    [],
    "doubled",
  ],
  "a repeat does not say so": [[sent("a", "applied"), came("a")], [came("a")], "not marked"],
  "what was not sent is there": [[sent("a", "none")], [came("a")], "phantom"],
  "what nobody sent is there": [[], [came("a")], "phantom"],
  "what was rolled back is there": [
    [sent("a", "applied", "t"), ended("t", "none")],
    [came("a")],
    "phantom",
  ],
  "a transaction without an end has an effect": [
    [sent("a", "applied", "t")],
    [came("a")],
    "phantom",
  ],
  "a body is damaged": [
    [sent("a", "applied"), came("a"), { kind: "damage", text: "a" }, settled("a", "applied")],
    [],
    "damaged",
  ],
  "one of two messages of a transaction in doubt is there": [
    [sent("a", "applied", "t"), sent("b", "applied", "t"), ended("t", "unknown")],
    [came("a")],
    "half",
  ],
  "a transaction in doubt kept what it took and dropped what it sent": [
    [
      ...[sent("a", "applied"), came("a"), settled("a", "applied", "t")],
      ...[sent("b", "applied", "t"), ended("t", "unknown")],
    ],
    [],
    "half",
  ],
};

describe("the judge of exchanges", () => {
  for (const [name, [lines, left]] of Object.entries(good)) {
    it(`has nothing to say when ${name}`, () => {
      assert.deepEqual(broken(lines, left), []);
    });
  }

  for (const [name, [lines, left, expected]] of Object.entries(bad)) {
    it(`finds it when ${name}`, () => {
      const found = broken(lines, left);
      assert.ok(
        found.some((text) => text.startsWith(expected)),
        found.join("; "),
      );
    });
  }

  it("leaves marks aside where a broker cannot know", () => {
    const lines = [sent("a", "applied"), came("a")];
    assert.deepEqual(broken(lines, [came("a")], { marks: false }), []);
  });
});
