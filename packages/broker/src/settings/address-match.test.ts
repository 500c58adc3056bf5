import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { EverholdError } from "@everhold/base";
import fc from "fast-check";

import { AddressMatch, isMatch, isWild, settingsMatch } from "./address-match.ts";

function matches(pattern: string, name: string): boolean {
  return new AddressMatch(pattern).matches(name.split("."));
}

describe("a match of addresses", () => {
  it("matches word by word", () => {
    for (const [pattern, name] of [
      ["#", "anything"],
      ["#", "any.thing"],
      ["news.#", "news"],
      ["news.#", "news.europe"],
      ["news.#", "news.europe.sport"],
      ["news.*", "news.europe"],
      ["news.*.sport", "news.europe.sport"],
      ["*", "news"],
      ["#.sport", "news.europe.sport"],
      ["#.sport", "sport"],
      ["a.#.b.#.c", "a.b.b.x.c"],
      ["a.*.#", "a.b"],
      ["exact.name", "exact.name"],
    ] as const) {
      assert.ok(matches(pattern, name), `${pattern} matches ${name}`);
    }
    for (const [pattern, name] of [
      ["news.#", "newspaper"],
      ["news.*", "news"],
      ["news.*", "news."],
      ["news.*", "news.europe.sport"],
      ["*", "news.europe"],
      ["#.sport", "news.sports"],
      ["a.#.b.#.c", "a.c.b"],
      ["a.*.#", "a"],
      ["exact.name", "exact"],
    ] as const) {
      assert.ok(!matches(pattern, name), `${pattern} does not match ${name}`);
    }
  });

  it("says the same as a naive search", () => {
    const word = fc.constantFrom("a", "b", "*", "#");
    const plain = fc.constantFrom("a", "b", "");
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 6 }),
        fc.array(plain, { minLength: 1, maxLength: 7 }),
        (pattern, words) => {
          assert.equal(
            new AddressMatch(pattern.join(".")).matches(words),
            naiveMatch(pattern, words),
          );
        },
      ),
    );
  });

  it("takes time in proportion to both lengths, whatever they say", () => {
    const pattern = new AddressMatch(`${"#.a.".repeat(200)}b`);
    assert.ok(!pattern.matches(new Array<string>(500).fill("a")));
  });

  it("knows what stands for others", () => {
    for (const name of ["#", "*", "a.#", "a.*.b"]) assert.ok(isWild(name), name);
    for (const name of ["a", "a#", "a.b*", "", "."]) assert.ok(!isWild(name), name);
  });
});

describe("a match of settings", () => {
  it("has # as its last word only", () => {
    for (const text of ["#.a", "a.#.b", "a*", "a.b#c", "", "a::b", "x".repeat(1_001)]) {
      assert.ok(!isMatch(text));
      assert.throws(
        () => settingsMatch(text),
        (error) => EverholdError.is(error, "EVH_CONFIG"),
      );
    }
  });

  it("may lack the dot before the #", () => {
    assert.equal(settingsMatch("activemq.management#").text, "activemq.management.#");
  });

  it("is the more specific one by the rules of Artemis", () => {
    const texts = ["#", "a.#", "*.b.#", "a.b.#", "*.*", "*.b", "a.*"];
    const sorted = texts
      .map((text) => settingsMatch(text))
      .toSorted((one, other) => AddressMatch.compare(one, other))
      .map(({ text }) => text);
    assert.deepEqual(sorted, ["a.*", "*.b", "*.*", "a.b.#", "*.b.#", "a.#", "#"]);
  });
});

function naiveMatch(pattern: readonly string[], words: readonly string[]): boolean {
  const [wanted, ...rest] = pattern;
  if (wanted === undefined) return words.length === 0;
  if (wanted === "#") {
    return words.some((_, index) => naiveMatch(rest, words.slice(index))) || naiveMatch(rest, []);
  }
  const word = words[0];
  if (word === undefined) return false;
  const isMatching = wanted === "*" ? word !== "" : wanted === word;
  return isMatching && naiveMatch(rest, words.slice(1));
}
