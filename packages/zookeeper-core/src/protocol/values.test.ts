import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Digests } from "@everhold/env";
import { digestId } from "./acl.ts";
import { compareSequences, sequenceOf } from "./create-mode.ts";
import { reasonOf, zooKeeperErrors } from "./error-codes.ts";

const digests: Digests = {
  digest: (algorithm, bytes) => new Uint8Array(createHash(algorithm).update(bytes).digest()),
};

test("the id of a digest is the one that ZooKeeper computes", () => {
  assert.equal(digestId(digests, { user: "u", password: "p" }), "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=");
});

test("the number of a sequential node is read behind its prefix", () => {
  assert.equal(sequenceOf("lock-0000000001", "lock-"), 1);
  assert.equal(sequenceOf("lock-2147483647", "lock-"), 2_147_483_647);
  assert.equal(sequenceOf("lock--2147483648", "lock-"), -2_147_483_648);
  assert.equal(sequenceOf("lock--000000001", "lock-"), -1);
  assert.equal(sequenceOf("0000000007", ""), 7);
  assert.equal(sequenceOf("lock-1", "lock-"), undefined);
  assert.equal(sequenceOf("other-0000000001", "lock-"), undefined);
});

test("numbers that follow the largest are later, not earlier", () => {
  assert.ok(compareSequences(1, 2) < 0);
  assert.ok(compareSequences(2_147_483_647, -2_147_483_648) < 0);
  assert.ok(compareSequences(-2_147_483_648, 2_147_483_647) > 0);
  assert.equal(compareSequences(5, 5), 0);
});

test("each error number has one name", () => {
  const numbers = Object.values(zooKeeperErrors).map(({ number }) => number);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.equal(reasonOf(-101), "NONODE");
  assert.equal(reasonOf(-9999), "UNKNOWN");
});
