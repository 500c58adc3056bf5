import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newGroupState, startMember, type Member, type Replica } from "@everhold/group";

import { limits } from "../limits.ts";
import { Patience } from "./patience.ts";
import { groupTiming } from "./timing.ts";

const replica = (id: string): Replica => ({ id, incarnation: `of ${id}` });

/** A backup of a group of three that anna leads; cleo has been in sync longer than bert. */
function backup(id: string): Member {
  const groupId = "0123456789abcdef0123456789abcdef";
  const state = {
    ...newGroupState(groupId, replica("anna"), 2, 1),
    live: replica("anna"),
    inSync: ["anna", "cleo", "bert"].map(replica),
  };
  const start = { self: replica(id), groupId, features: 1, fencedEpoch: 1, commitPosition: 0 };
  return { ...startMember(start), known: { created: "1", version: 1, state } };
}

describe("a backup whose live has surely ended", () => {
  it("stands at once where it is the first in line, and waits its turn from then on where it is not", () => {
    const stands = (id: string, awakeMs: number): boolean => {
      const patience = new Patience(groupTiming(), 0, 0);
      const member = backup(id);
      assert.equal(patience.verdict(member, 0), null);
      // The last beat is older than a turn takes.
      patience.liveRefused(limits.rankMs * 2);
      return patience.verdict(member, awakeMs) !== null;
    };
    const goneMs = limits.rankMs * 2;
    assert.ok(stands("cleo", goneMs));
    assert.ok(!stands("bert", goneMs + limits.rankMs - 1));
    assert.ok(stands("bert", goneMs + limits.rankMs));
  });
});

describe("a backup that is not in sync and hears no live", () => {
  it("tells after a while who may lead in its place, until a live is heard", () => {
    const timing = groupTiming();
    const patience = new Patience(timing, 0, 0);
    const member = backup("dora");
    assert.equal(patience.waitsFor(member, timing.graceMs - 1), undefined);
    assert.equal(patience.waitsFor(member, timing.graceMs), "anna cleo bert");
    assert.equal(patience.waitsFor(backup("bert"), timing.graceMs), undefined);
    patience.heard(timing.graceMs);
    assert.equal(patience.waitsFor(member, timing.graceMs), undefined);
  });
});
