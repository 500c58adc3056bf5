import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { AddressMatch, isWild } from "../settings/address-match.ts";
import { WildcardAddresses } from "./wildcard-addresses.ts";

const word = fc.constantFrom("a", "b", "*", "#", "");
const name = fc.array(word, { minLength: 1, maxLength: 5 }).map((words) => words.join("."));

describe("the tree of wildcard addresses", () => {
  it("finds what a look at every address finds, whatever comes and goes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name, isGoing: fc.boolean() }), { maxLength: 40 }),
        fc.array(name, { maxLength: 20 }),
        (changes, names) => {
          const tree = new WildcardAddresses<{ readonly name: string }>();
          const there = new Map<string, { readonly name: string }>();
          for (const change of changes) {
            const address = there.get(change.name) ?? { name: change.name };
            if (change.isGoing) {
              tree.remove(address);
              there.delete(change.name);
            } else {
              tree.add(address);
              there.set(change.name, address);
            }
          }
          const wild = [...there.values()].filter((one) => isWild(one.name));
          assert.equal(tree.count, wild.length);
          for (const sent of names) {
            const expected = isWild(sent)
              ? []
              : wild.filter((one) => new AddressMatch(one.name).matches(sent.split(".")));
            assert.deepEqual(
              tree.matching(sent).map((one) => one.name),
              expected.map((one) => one.name).sort(),
            );
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it("takes no long time for names that are meant to", () => {
    const tree = new WildcardAddresses<{ readonly name: string }>();
    for (let count = 1; count < 100; count += 1) tree.add({ name: `${"#.a.".repeat(count)}b` });
    assert.deepEqual(tree.matching(new Array<string>(400).fill("a").join(".")), []);
  });
});
