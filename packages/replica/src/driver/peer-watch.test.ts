import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newGroupState, startMember, type Member, type Peer } from "@everhold/group";

import { PeerWatch } from "./peer-watch.ts";
import { groupTiming } from "./timing.ts";

const anna = { id: "anna", incarnation: "a" };
const bert = { id: "bert", incarnation: "b" };
const timing = groupTiming({ missingMs: 200, graceMs: 1_500 });

/** The live, anna, with bert in sync or not, linked or not, and maybe about to lead. */
function live(bertIs: { inSync: boolean; isLinked: boolean; isToLead?: boolean }): Member {
  const groupId = "0".repeat(32);
  const start = { self: anna, groupId, features: 1, fencedEpoch: 1, commitPosition: 100 };
  const peer: Peer = { ...bert, link: 1, alignedAt: 0, acknowledged: 100 };
  const state = { ...newGroupState(groupId, anna, 1), epoch: 1, live: anna };
  const inSync = bertIs.inSync ? [anna, bert] : [anna];
  return {
    ...startMember(start),
    known: { created: "1", version: 1, state: { ...state, inSync } },
    role: {
      ...{ kind: "live", epoch: 1, epochStart: 0, asked: [], dropping: [], held: [] },
      peers: bertIs.isLinked ? [peer] : [],
      handOver: bertIs.isToLead === true ? { to: "bert", invited: null } : null,
    },
  };
}

describe("who looks after the backups of a live", () => {
  it("leaves out who is without a link for a while, and not at once", () => {
    const watch = new PeerWatch(timing);
    const look = (member: Member, awakeMs: number) =>
      watch.look(member, 100, awakeMs, () => awakeMs);
    const gone = live({ inSync: true, isLinked: false });
    assert.deepEqual(look(gone, 1_000), []);
    assert.deepEqual(look(gone, 1_199), []);
    assert.deepEqual(look(gone, 1_200), [{ kind: "drop", id: "bert" }]);
  });

  it("has who is to lead leave its link, also where it was missing before it was in sync again", () => {
    const watch = new PeerWatch(timing);
    const look = (member: Member, awakeMs: number) =>
      watch.look(member, 100, awakeMs, () => awakeMs);
    const gone = live({ inSync: true, isLinked: false });
    look(gone, 1_000);
    assert.deepEqual(look(gone, 1_300), [{ kind: "drop", id: "bert" }]);
    assert.deepEqual(look(live({ inSync: false, isLinked: true }), 3_000), []);
    // It came, was taken in, was invited and left its link, all between two looks.
    const leaving = live({ inSync: true, isLinked: false, isToLead: true });
    assert.deepEqual(look(leaving, 3_100), []);
    assert.deepEqual(look(leaving, 4_599), []);
    assert.deepEqual(look(leaving, 4_600), [{ kind: "drop", id: "bert" }]);
  });
});
