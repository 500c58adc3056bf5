import assert from "node:assert/strict";
import { test } from "node:test";

import { expirationOf, type ExpirySettings } from "./expiry-rule.ts";

const unsaid: ExpirySettings = {
  noExpiry: false,
  expiryDelay: -1,
  minExpiryDelay: -1,
  maxExpiryDelay: -1,
};
const now = 1000;

/** What is set, what the message asks for, and what it gets; from `now` on, 0 never. */
const table: readonly (readonly [Partial<ExpirySettings>, number, number])[] = [
  [{}, 0, 0],
  [{}, 50, 50],
  [{ noExpiry: true }, 50, 0],
  [{ noExpiry: true, expiryDelay: 10, maxExpiryDelay: 20 }, 0, 0],
  [{ expiryDelay: 10 }, 0, 10],
  [{ expiryDelay: 10 }, 50, 50],
  [{ expiryDelay: 10, minExpiryDelay: 60, maxExpiryDelay: 70 }, 50, 50],
  [{ expiryDelay: 10, minExpiryDelay: 60, maxExpiryDelay: 70 }, 0, 10],
  [{ minExpiryDelay: 60 }, 50, 60],
  [{ minExpiryDelay: 60 }, 70, 70],
  [{ minExpiryDelay: 60 }, 0, 60],
  [{ maxExpiryDelay: 60 }, 50, 50],
  [{ maxExpiryDelay: 60 }, 70, 60],
  [{ maxExpiryDelay: 60 }, 0, 60],
  [{ minExpiryDelay: 20, maxExpiryDelay: 60 }, 0, 60],
  [{ minExpiryDelay: 20, maxExpiryDelay: 60 }, 10, 20],
  [{ minExpiryDelay: 20, maxExpiryDelay: 60 }, 40, 40],
  [{ minExpiryDelay: 20, maxExpiryDelay: 60 }, 80, 60],
];

for (const [said, asked, gets] of table) {
  const name = `a message that expires ${asked === 0 ? "never" : `in ${asked}`}`;
  test(`${name} gets ${gets} with ${JSON.stringify(said)}`, () => {
    const askedMs = asked === 0 ? 0 : now + asked;
    const expected = gets === 0 ? 0 : now + gets;
    assert.equal(expirationOf({ ...unsaid, ...said }, askedMs, now), expected);
  });
}
