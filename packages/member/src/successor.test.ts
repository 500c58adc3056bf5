import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { MemberStatus } from "./member-status.ts";
import { Successor } from "./successor.ts";

function status(inSync: readonly string[], linked: readonly string[]): MemberStatus {
  return {
    ...{ id: "anna", role: "live", isServing: true, reason: undefined, epoch: 1, live: "anna" },
    ...{ inSync, endPosition: 0, durablePosition: 0, commitPosition: 0, node: undefined },
    peers: linked.map((id) => ({ id, lagBytes: 0, lagMs: 0 })),
    failoverCount: 0,
    fill: undefined,
  };
}

/** In the order in which they came in sync. */
const all = ["anna", "bert", "cleo"];

describe("to whom a live gives way", () => {
  it("is nobody where nobody in sync is linked", () => {
    const nobody = { to: undefined, isNew: false };
    assert.deepEqual(new Successor(1000).choose(status(all, []), 0), nobody);
    assert.deepEqual(new Successor(1000).choose(status(["anna"], ["bert"]), 0), nobody);
  });

  it("is the one that is linked and has been in sync longest", () => {
    const to = (linked: string[]) => new Successor(1000).choose(status(all, linked), 0).to;
    assert.equal(to(["cleo", "bert"]), "bert");
    assert.equal(to(["cleo"]), "cleo");
  });

  it("stays the same while that one stands for promotion, and is the next one when it stays away", () => {
    const successor = new Successor(1000);
    assert.deepEqual(successor.choose(status(all, ["bert", "cleo"]), 5000), {
      to: "bert",
      isNew: true,
    });
    assert.deepEqual(successor.choose(status(all, ["cleo"]), 5999), { to: "bert", isNew: false });
    assert.deepEqual(successor.choose(status(all, ["cleo"]), 6000), { to: "cleo", isNew: true });
    assert.equal(successor.choose(status(all, ["bert"]), 6999).to, "cleo");
    assert.equal(successor.choose(status(all, ["bert"]), 7000).to, undefined, "bert had its turn");
  });

  it("is the next one at once when that one is not in sync any more", () => {
    const successor = new Successor(1000);
    assert.equal(successor.choose(status(all, ["bert", "cleo"]), 0).to, "bert");
    const { to, isNew } = successor.choose(status(["anna", "cleo"], ["bert", "cleo"]), 1);
    assert.deepEqual([to, isNew], ["cleo", true]);
  });
});
