import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { newGroupState, startMember, type Member, type Replica } from "@everhold/group";
import { Lease } from "./lease.ts";
import { Patience } from "./patience.ts";
import { groupTiming } from "./timing.ts";

const a: Replica = { id: "a", incarnation: "a1" };
const b: Replica = { id: "b", incarnation: "b1" };

/** The live a, which knows that these are in sync, and has asked for other sets; b is on link 2. */
function liveOf(inSync: readonly Replica[], asked: readonly (readonly Replica[])[]): Member {
  const state = { ...newGroupState("g", a, 1, 3), live: a, inSync };
  const peer = { ...b, link: 2, alignedAt: 0, acknowledged: 10 };
  return {
    ...startMember({ self: a, groupId: "g", features: 1, fencedEpoch: 3, commitPosition: 0 }),
    known: { created: "1", version: 0, state },
    role: {
      ...{ kind: "live", epoch: 3, epochStart: 0, peers: [peer], asked },
      ...{ dropping: [], held: [], handOver: null },
    },
  };
}

describe("the lease of a live", () => {
  it("needs an answer of every other member in sync, and lasts from when the beat was sent", () => {
    const lease = new Lease(400);
    lease.update(liveOf([a, b], []));
    assert.equal(lease.holds(0), false);
    lease.noteAnswer(2, 1000);
    lease.update(liveOf([a, b], []));
    assert.deepEqual([lease.holds(1399), lease.holds(1400)], [true, false]);
  });

  it("needs one of who was asked to be in sync, too: it may be in sync already, and be promoted", () => {
    const lease = new Lease(400);
    lease.update(liveOf([a], [[a, b]]));
    assert.equal(lease.holds(0), false);
    lease.noteAnswer(2, 1000);
    lease.update(liveOf([a], [[a, b]]));
    assert.deepEqual([lease.holds(1399), lease.holds(1400)], [true, false]);
  });
});

describe("a member that is promoted", () => {
  const timing = groupTiming({ leaseMs: 400 });

  it("hands out nothing before the lease has ended that its last answer gave", () => {
    const patience = new Patience(timing, 0, 0);
    patience.answered(5000, 400);
    assert.equal(patience.quietFromMs, 5400);
  });

  it("goes by the lease of the live that it answered, where that is another one than its own", () => {
    const patience = new Patience(timing, 0, 0);
    patience.answered(5000, 2000);
    patience.answered(5100, 400);
    assert.equal(patience.quietFromMs, 7000);
  });

  it("hands out nothing for a lease after it was started: it may have answered just before", () => {
    assert.equal(new Patience(timing, 0, 7000).quietFromMs, 7400);
  });

  it("hands out nothing for a lease after it has heard of another promotion", () => {
    const patience = new Patience(timing, 0, 0);
    patience.otherPromoted(9000);
    assert.equal(patience.quietFromMs, 9400);
  });
});
