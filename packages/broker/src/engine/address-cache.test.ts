import assert from "node:assert/strict";
import { test } from "node:test";

import { limits } from "../limits.ts";
import { AddressCache, type RouteTarget } from "./address-cache.ts";

const encoder = new TextEncoder();

/** A target that is told from others by what it says to be. */
function targetOf(isDeleted = false): RouteTarget {
  return { address: { isDeleted }, queue: undefined } as unknown as RouteTarget;
}

function find(cache: AddressCache, name: string): RouteTarget | undefined {
  const bytes = encoder.encode(`[${name}]`);
  return cache.find(bytes, 1, bytes.length - 1);
}

function add(cache: AddressCache, name: string, target: RouteTarget): void {
  const bytes = encoder.encode(name);
  cache.add(bytes, 0, bytes.length, target);
}

test("every name is found again as long as the table is not full, and no other name is", () => {
  const cache = new AddressCache();
  const targets = Array.from({ length: limits.addressCacheMax }, () => targetOf());
  assert.equal(find(cache, "address 0"), undefined);
  for (const [index, target] of targets.entries()) {
    add(cache, `address ${index}`, target);
    assert.equal(find(cache, `address ${index}`), target);
    assert.equal(find(cache, `address ${index + 1}`), undefined);
  }
  for (const [index, target] of targets.entries()) {
    assert.equal(find(cache, `address ${index}`), target);
  }
});

test("a full table starts anew with the name that was too much", () => {
  const cache = new AddressCache();
  const target = targetOf();
  for (let index = 0; index <= limits.addressCacheMax; index += 1) {
    add(cache, `address ${index}`, target);
  }
  assert.equal(find(cache, "address 0"), undefined);
  assert.equal(find(cache, `address ${limits.addressCacheMax}`), target);
});

test("a name whose target is gone is not found, until it is added with another target", () => {
  const cache = new AddressCache();
  add(cache, "first", targetOf(true));
  add(cache, "second", targetOf());
  assert.equal(find(cache, "first"), undefined);
  const target = targetOf();
  add(cache, "first", target);
  assert.equal(find(cache, "first"), target);
});
