import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoint } from "@everhold/env";
import { endpointOrder, isSameEndpoint, type KnownEndpoints } from "./endpoint-order.ts";

function at(port: number, host = "h"): Endpoint {
  return { host, port };
}

const nothing: KnownEndpoints = {
  redirect: undefined,
  scaleDown: undefined,
  current: undefined,
  backup: undefined,
  previous: undefined,
  list: [],
  former: [],
  members: [],
  isCurrentDoubtful: false,
};

function order(known: Partial<KnownEndpoints>): string[] {
  const candidates = endpointOrder({ ...nothing, ...known });
  return candidates.map(({ endpoint, source }) => `${source} ${endpoint.port}`);
}

describe("the order of endpoints", () => {
  it("is that of the URL at first", () => {
    assert.deepEqual(order({ list: [at(1), at(2)] }), ["list 1", "list 2"]);
  });

  it("is current, backup, previous, the list, where the node was before, other nodes", () => {
    assert.deepEqual(
      order({
        current: at(1),
        backup: at(2),
        previous: at(3),
        list: [at(1), at(4)],
        former: [at(3), at(6)],
        members: [at(2), at(5)],
      }),
      ["current 1", "backup 2", "previous 3", "list 4", "former 6", "member 5"],
    );
  });

  it("begins where the broker sent the client", () => {
    assert.deepEqual(order({ redirect: at(9), scaleDown: at(8), current: at(1), list: [at(1)] }), [
      "redirect 9",
      "scaleDown 8",
      "current 1",
    ]);
  });

  it("asks a broker that has said that it stops, or does not answer, after its backup", () => {
    assert.deepEqual(order({ current: at(1), backup: at(2), isCurrentDoubtful: true }), [
      "backup 2",
      "current 1",
    ]);
  });

  it("walks the list from behind the current one", () => {
    assert.deepEqual(order({ current: at(2), list: [at(1), at(2), at(3)] }), [
      "current 2",
      "list 3",
      "list 1",
    ]);
  });

  it("names nobody twice, whatever the spelling", () => {
    assert.deepEqual(order({ current: at(1, "localhost"), list: [at(1, "127.0.0.1")] }), [
      "current 1",
    ]);
    assert.ok(isSameEndpoint(at(1, "Broker"), at(1, "broker")));
    assert.ok(!isSameEndpoint(at(1, "a"), at(1, "b")));
    assert.ok(!isSameEndpoint(at(1), at(2)));
    const both = [at(1, "127.0.0.1"), at(1, "::1"), at(1, "127.0.0.1")];
    assert.deepEqual(order({ list: both }), ["list 1", "list 1"]);
  });
});
