import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EpochStart } from "./epoch-table.ts";
import type { Frame } from "./frames.ts";
import type { GroupState, Replica } from "./group-state.ts";
import {
  acceptsWrites,
  startMember,
  type Effect,
  type Input,
  type Member,
  type NodeVersion,
} from "./member.ts";
import { step } from "./step.ts";

const a: Replica = { id: "a", incarnation: "a1" };
const b: Replica = { id: "b", incarnation: "b1" };
const chain = "0".repeat(16);

/** The link on which a test has a member called, or call. */
const linkOf: Readonly<Record<string, number>> = { a: 1, b: 2, x: 9 };

/** One member whose journal and neighbours are what a test says. */
class Bench {
  member: Member;
  readonly log = {
    end: 0,
    durable: 0,
    epochs: [] as EpochStart[],
    oldestPosition: 0,
    chainAt: () => chain,
  };

  constructor(self: Replica, log: { end: number; epochs: EpochStart[] } = { end: 0, epochs: [] }) {
    this.member = newMember(self, 0);
    Object.assign(this.log, log, { durable: log.end });
  }

  take(input: Input): readonly Effect[] {
    const next = step(this.member, input, this.log);
    this.member = next.member;
    return next.effects;
  }

  /** The node was read. */
  read(version: number, change: Partial<GroupState> = {}, created = "1f"): readonly Effect[] {
    return this.take({
      kind: "state",
      known: { created, version, state: { ...sound, ...change } },
    });
  }

  connect(id: string, outgoing = false, link = linkOf[id] ?? 0): readonly Effect[] {
    return this.take({ kind: "connected", link, id, outgoing });
  }

  frame(from: string, frame: Frame): readonly Effect[] {
    return this.take({ kind: "frame", link: linkOf[from] ?? 0, frame });
  }

  /** Everything up to `end` is written and durable. */
  sync(end: number): readonly Effect[] {
    this.log.end = end;
    this.log.durable = end;
    return this.take({ kind: "durable" });
  }

  /** It is told to stand, and reads the node, which has not changed since. */
  promote(unclean: NodeVersion | null = null): readonly Effect[] {
    const effects = this.take({ kind: "promote", without: [], unclean });
    const { known } = this.member;
    return known === null ? effects : this.take({ kind: "state", known });
  }

  /** What became of the request that is under way. */
  answer(result: "done" | "conflict" | "unknown"): readonly Effect[] {
    const request = this.member.requesting?.request ?? 0;
    return this.take({ kind: "outcome", request, result });
  }

  get role(): string {
    const { role } = this.member;
    return role.kind === "stopped" ? role.reason : role.kind;
  }
}

const sound: GroupState = {
  groupId: "g",
  epoch: 0,
  live: null,
  inSync: [a, b],
  minInSync: 1,
  epochStart: 0,
  features: 1,
  unclean: false,
};

function newMember(self: Replica, fencedEpoch: number): Member {
  return startMember({ self, groupId: "g", features: 1, fencedEpoch, commitPosition: 0 });
}

/** The member a, live in epoch 1 of a group of a and b; its epoch's record is durable here. */
function liveBench(minInSync = 1): Bench {
  const bench = new Bench(a);
  bench.read(0, { minInSync });
  bench.promote();
  bench.take({ kind: "fenced", epoch: 1 });
  bench.answer("done");
  bench.log.epochs.push({ epoch: 1, position: 0 });
  bench.sync(10);
  return bench;
}

const hello = {
  kind: "hello",
  epoch: 1,
  features: 1,
  groupId: "g",
  epochs: [{ epoch: 1, position: 0 }],
  end: 10,
} as const;

/** The backup greets, and says that its journal is durable up to here. */
function join(bench: Bench, replica: Replica, position: number): readonly Effect[] {
  bench.connect(replica.id);
  const effects = bench.frame(replica.id, { ...hello, ...replica });
  return [...effects, ...bench.frame(replica.id, { kind: "acknowledge", epoch: 1, position })];
}

function kindsOf(effects: readonly Effect[]): readonly string[] {
  return effects.map((effect) => (effect.kind === "send" ? effect.frame.kind : effect.kind));
}

function requestsIn(effects: readonly Effect[]): readonly string[] {
  return effects.flatMap((effect) =>
    effect.kind === "request" ? [effect.next.state.inSync.map(({ id }) => id).join("")] : [],
  );
}

function commitsIn(effects: readonly Effect[]): readonly number[] {
  return effects.flatMap((effect) => (effect.kind === "commit" ? [effect.position] : []));
}

describe("a member of a group", () => {
  it("fences itself durably before it asks to be promoted", () => {
    const bench = new Bench(a);
    bench.read(0);
    assert.deepEqual(bench.promote(), [{ kind: "fence", epoch: 1 }]);
    const effects = bench.take({ kind: "fenced", epoch: 1 });
    assert.deepEqual(requestsIn(effects), ["ab"]);
    assert.equal(bench.role, "candidate");
  });

  it("gives nothing up for a hint before it has read the node behind it", () => {
    const bench = alignedBench();
    bench.take({ kind: "changed" });
    bench.take({ kind: "promote", without: ["a"], unclean: null });
    // This read was under way before the hint.
    assert.deepEqual(kindsOf(bench.read(0, { epoch: 1, live: a })), ["read"]);
    assert.equal(bench.role, "backup");
    const effects = bench.read(0, { epoch: 1, live: a });
    assert.deepEqual(kindsOf(effects), ["disconnect", "fence", "follow"]);
    assert.equal(bench.role, "candidate");
  });

  it("goes on as before when a hint is withdrawn while ZooKeeper does not answer", () => {
    const bench = alignedBench();
    bench.take({ kind: "promote", without: ["a"], unclean: null });
    bench.take({ kind: "withdraw" });
    assert.deepEqual(kindsOf(bench.read(0, { epoch: 1, live: a })), []);
    assert.deepEqual(kindsOf(bench.sync(20)), ["acknowledge"]);
  });

  it("gives up when told so, and then follows only who rises above what it promised", () => {
    const bench = alignedBench();
    bench.promote();
    bench.take({ kind: "fenced", epoch: 2 });
    assert.deepEqual(bench.take({ kind: "withdraw" }), [{ kind: "follow", id: "a" }]);
    const effects = bench.connect("a", true, 3);
    assert.deepEqual(kindsOf(effects), ["hello"]);
    assert.equal(effects[0]?.kind === "send" ? effects[0].frame.epoch : 0, 2);
  });

  it("stands for a higher epoch than any that it promised, also before it was started", () => {
    const bench = new Bench(a);
    bench.member = newMember(a, 7);
    bench.read(0);
    assert.deepEqual(bench.promote(), [{ kind: "fence", epoch: 8 }]);
  });

  it("stands again when the node names it and it does not lead", () => {
    const bench = new Bench(a, { end: 10, epochs: [{ epoch: 1, position: 0 }] });
    bench.member = newMember(a, 1);
    assert.deepEqual(bench.read(1, { epoch: 1, live: a }), [{ kind: "fence", epoch: 2 }]);
  });

  it("W4 is not promoted with another disk than the one that is in sync", () => {
    const bench = new Bench({ id: "a", incarnation: "a2" });
    bench.read(0);
    assert.deepEqual(bench.promote(), []);
    assert.equal(bench.role, "backup");
  });

  it("is promoted all the same when an operator takes the loss, alone, and its epoch says so", () => {
    const bench = new Bench({ id: "a", incarnation: "a2" });
    bench.read(4);
    bench.promote({ created: "1f", version: 4 });
    assert.deepEqual(requestsIn(bench.take({ kind: "fenced", epoch: 1 })), ["a"]);
    const effects = bench.answer("done");
    assert.deepEqual(effects, [{ kind: "begin-epoch", epoch: 1, unclean: true }]);
  });

  it("is not promoted for an operator who saw another version of the node", () => {
    const bench = new Bench({ id: "a", incarnation: "a2" });
    bench.read(4);
    bench.promote({ created: "1f", version: 3 });
    assert.equal(bench.role, "backup");
    bench.promote({ created: "1f", version: 4 });
    bench.take({ kind: "fenced", epoch: 1 });
    bench.answer("conflict");
    bench.read(5);
    assert.equal(bench.role, "backup");
  });

  it("says that an epoch was unclean in the next one, if it died before it could write it down", () => {
    const self: Replica = { id: "a", incarnation: "a2" };
    const unclean = { epoch: 3, live: self, inSync: [self], unclean: true };
    const untold = new Bench(self, { end: 10, epochs: [{ epoch: 1, position: 0 }] });
    untold.read(5, unclean);
    untold.take({ kind: "fenced", epoch: 4 });
    assert.deepEqual(untold.answer("done")[0], { kind: "begin-epoch", epoch: 4, unclean: true });
    const told = new Bench(self, { end: 10, epochs: [{ epoch: 3, position: 5 }] });
    told.read(5, unclean);
    told.take({ kind: "fenced", epoch: 4 });
    assert.deepEqual(told.answer("done")[0], { kind: "begin-epoch", epoch: 4, unclean: false });
  });

  it("takes writes only when its epoch's first record is committed", () => {
    const bench = liveBench();
    assert.equal(acceptsWrites(bench.member), false);
    assert.deepEqual(commitsIn(join(bench, b, 10)), [10]);
    assert.equal(acceptsWrites(bench.member), true);
  });

  it("commits nothing while fewer are in sync than there must be", () => {
    const bench = liveBench(2);
    join(bench, b, 10);
    bench.take({ kind: "drop", id: "b" });
    bench.answer("done");
    assert.deepEqual(commitsIn(bench.sync(20)), []);
    assert.equal(acceptsWrites(bench.member), false);
  });

  it("W3 waits for a member until the set without it is known to be in force", () => {
    const bench = liveBench();
    join(bench, b, 10);
    assert.deepEqual(requestsIn(bench.take({ kind: "drop", id: "b" })), ["a"]);
    assert.deepEqual(commitsIn(bench.sync(20)), []);
    assert.deepEqual(bench.answer("unknown"), [{ kind: "read" }]);
    assert.deepEqual(commitsIn(bench.sync(30)), []);
    const effects = bench.read(2, { epoch: 1, live: a, inSync: [a] });
    assert.deepEqual(commitsIn(effects), [30]);
  });

  it("waits for a joining member from the moment when it asks for it to be in sync", () => {
    const bench = liveBench();
    bench.take({ kind: "drop", id: "b" });
    bench.answer("done");
    assert.equal(bench.member.commitPosition, 10);
    assert.deepEqual(requestsIn(join(bench, b, 10)), ["ab"]);
    bench.answer("unknown");
    // Not done so far, and it may be done yet.
    bench.read(2, { epoch: 1, live: a, inSync: [a] });
    assert.deepEqual(commitsIn(bench.sync(20)), []);
  });

  it("writes the node once more to settle what it asked for and does not want any more", () => {
    const bench = liveBench();
    bench.take({ kind: "drop", id: "b" });
    bench.answer("done");
    join(bench, b, 10);
    bench.answer("unknown");
    bench.read(2, { epoch: 1, live: a, inSync: [a] });
    bench.take({ kind: "disconnected", link: 2 });
    assert.deepEqual(requestsIn(bench.take({ kind: "retry" })), ["a"]);
    bench.sync(20);
    assert.deepEqual(commitsIn(bench.answer("done")), [20]);
  });

  it("W7 counts no acknowledgement of another epoch", () => {
    const bench = liveBench();
    assert.deepEqual(commitsIn(join(bench, b, 10)), [10]);
    bench.sync(20);
    const late = { kind: "acknowledge", epoch: 0, position: 20 } as const;
    assert.deepEqual(bench.frame("b", late), []);
  });

  it("asks again for what failed only when told so, while the node has not changed", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.take({ kind: "drop", id: "b" });
    for (const result of ["conflict", "unknown"] as const) {
      assert.deepEqual(kindsOf(bench.answer(result)), ["read"]);
      assert.deepEqual(bench.read(1, { epoch: 1, live: a }), []);
      assert.deepEqual(requestsIn(bench.take({ kind: "retry" })), ["a"]);
    }
    bench.answer("conflict");
    assert.deepEqual(requestsIn(bench.read(2, { epoch: 1, live: a })), ["a"]);
  });

  it("counts a set once that it asks for again and again", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.take({ kind: "drop", id: "b" });
    for (let index = 0; index < 5; index += 1) {
      bench.answer("unknown");
      bench.read(1, { epoch: 1, live: a });
      assert.deepEqual(requestsIn(bench.take({ kind: "retry" })), ["a"]);
    }
    const { role } = bench.member;
    assert.deepEqual(role.kind === "live" && role.asked, [[a]]);
  });

  it("takes no outcome for that of another request", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.take({ kind: "drop", id: "b" });
    assert.deepEqual(bench.take({ kind: "outcome", request: 1, result: "done" }), []);
    assert.equal(bench.member.known?.state.inSync.length, 2);
  });

  it("does not let a member join that lacks the beginning of the epoch", () => {
    const bench = liveBench();
    bench.take({ kind: "drop", id: "b" });
    bench.answer("done");
    assert.deepEqual(requestsIn(join(bench, b, 0)), []);
  });

  it("does not let a member join that is held, until it is admitted", () => {
    const bench = liveBench();
    bench.take({ kind: "hold", id: "b" });
    bench.take({ kind: "drop", id: "b" });
    bench.answer("done");
    assert.deepEqual(requestsIn(join(bench, b, 10)), []);
    assert.deepEqual(requestsIn(bench.take({ kind: "admit", id: "b" })), ["ab"]);
  });

  it("puts out of the in-sync set who comes back with another disk", () => {
    const bench = liveBench();
    assert.deepEqual(requestsIn(join(bench, { id: "b", incarnation: "b2" }, 10)), ["a"]);
    assert.deepEqual(commitsIn(bench.sync(20)), []);
  });

  it("puts out of the in-sync set who has less than it confirmed", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.take({ kind: "disconnected", link: 2 });
    bench.connect("b");
    const effects = bench.frame("b", { ...hello, ...b, epochs: [], end: 0 });
    assert.deepEqual(requestsIn(effects), ["a"]);
  });

  it("answers one HELLO on a link, and only in its own epoch", () => {
    const kinds = (change: { readonly epoch: number }): readonly string[] => {
      const bench = liveBench();
      bench.connect("b");
      return kindsOf(bench.frame("b", { ...hello, ...b, ...change }));
    };
    assert.deepEqual(kinds({ epoch: 0 }), ["refuse"]);
    assert.deepEqual(kinds({ epoch: 2 }), ["read", "disconnect"]);
    const bench = liveBench();
    join(bench, b, 10);
    assert.deepEqual(kindsOf(bench.frame("b", { ...hello, ...b })), ["disconnect"]);
  });

  it("refuses a backup of which it does not keep any more what that lacks", () => {
    const bench = liveBench();
    bench.connect("b");
    bench.log.oldestPosition = 10;
    const effects = bench.frame("b", { ...hello, ...b, end: 9 });
    const frame = { kind: "refuse", epoch: 1, reason: "too-far-behind" };
    assert.deepEqual(effects, [{ kind: "send", link: 2, frame }]);
    assert.deepEqual(kindsOf(bench.frame("b", { ...hello, ...b, end: 10 })), ["align"]);
  });

  it("ends the link of a backup that has more than there is", () => {
    const bench = liveBench();
    assert.equal(kindsOf(join(bench, b, 11)).at(-1), "disconnect");
  });

  it("takes a member's newer link for the older one, and hears nothing more of that", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.connect("b", false, 5);
    const effects = bench.take({ kind: "frame", link: 5, frame: { ...hello, ...b } });
    assert.deepEqual(kindsOf(effects), ["disconnect", "align"]);
    bench.sync(20);
    const late = { kind: "acknowledge", epoch: 1, position: 20 } as const;
    assert.deepEqual(bench.frame("b", late), []);
    const next = bench.take({ kind: "frame", link: 5, frame: late });
    assert.deepEqual(commitsIn(next), [20]);
  });

  it("steps down when the node names another", () => {
    const bench = liveBench();
    const effects = bench.read(2, { epoch: 2, live: b });
    assert.deepEqual(kindsOf(effects), ["step-down", "fence", "follow"]);
    assert.equal(bench.role, "backup");
  });

  it("steps down when it is not in sync any more", () => {
    const bench = liveBench();
    const effects = bench.read(2, { epoch: 1, live: a, inSync: [b] });
    assert.deepEqual(kindsOf(effects), ["step-down"]);
    assert.equal(bench.role, "backup");
  });

  it("stands again with a higher epoch when somebody stood and lost", () => {
    const bench = liveBench();
    join(bench, b, 10);
    const higher = { kind: "answer", epoch: 5, sentAtMs: 0 } as const;
    assert.deepEqual(bench.frame("b", higher), [{ kind: "read" }]);
    assert.equal(bench.role, "live");
    const effects = bench.read(1, { epoch: 1, live: a });
    assert.deepEqual(kindsOf(effects), ["step-down", "disconnect", "fence"]);
    assert.equal(bench.role, "candidate");
  });

  it("believes no epoch of another group, of a wrong name, or that is much too high", () => {
    const bench = liveBench();
    bench.connect("x");
    const x = { ...hello, id: "x", incarnation: "x1", epoch: 7 };
    assert.deepEqual(kindsOf(bench.frame("x", { ...x, groupId: "other" })), ["refuse"]);
    assert.deepEqual(kindsOf(bench.frame("x", { ...x, features: 0 })), ["refuse"]);
    assert.deepEqual(kindsOf(bench.frame("x", { ...x, id: "b" })), ["disconnect"]);
    bench.connect("x");
    assert.deepEqual(kindsOf(bench.frame("x", { ...x, epoch: 0xffff_ffff })), ["disconnect"]);
    assert.deepEqual(kindsOf(bench.read(1, { epoch: 1, live: a })), []);
    assert.equal(bench.role, "live");
  });

  it("hands over when all is committed, and takes no writes meanwhile", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.log.end = 20;
    assert.deepEqual(bench.take({ kind: "hand-over", to: "b" }), []);
    assert.equal(acceptsWrites(bench.member), false);
    bench.sync(20);
    const effects = bench.frame("b", { kind: "acknowledge", epoch: 1, position: 20 });
    const invitation = { kind: "send", link: 2, frame: { kind: "handOver", epoch: 1 } };
    assert.deepEqual(effects.at(-1), invitation);
  });

  it("invites again who was to take over, when told so or on a new link", () => {
    const bench = liveBench();
    join(bench, b, 10);
    assert.deepEqual(kindsOf(bench.take({ kind: "hand-over", to: "b" })), ["handOver"]);
    assert.deepEqual(kindsOf(bench.take({ kind: "retry" })), ["handOver"]);
    bench.take({ kind: "disconnected", link: 2 });
    assert.equal(kindsOf(join(bench, b, 10)).at(-1), "handOver");
  });

  it("reads the node when it is invited to take over", () => {
    const bench = alignedBench();
    assert.deepEqual(kindsOf(bench.frame("a", { kind: "handOver", epoch: 1 })), ["read"]);
    bench.read(2, { epoch: 1, live: a });
    assert.equal(bench.role, "candidate");
  });

  it("takes writes again when who was to take over is not in sync any more", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.take({ kind: "hand-over", to: "b" });
    bench.read(2, { epoch: 1, live: a, inSync: [a] });
    assert.equal(acceptsWrites(bench.member), true);
  });

  it("stops at the node of another group, and at one that is older than its journal", () => {
    const foreign = new Bench(b);
    foreign.read(0, { groupId: "other" });
    assert.equal(foreign.role, "foreign-group");
    const restored = new Bench(b, { end: 10, epochs: [{ epoch: 3, position: 0 }] });
    restored.read(0, { epoch: 2, live: a });
    assert.equal(restored.role, "older-state");
  });

  it("stops at a node that is older than it was seen to be, in the same epoch, too", () => {
    const known = { created: "1f", version: 4, state: sound };
    const bench = new Bench(b);
    bench.take({ kind: "state", known, since: { created: "1f", version: 4 } });
    assert.equal(bench.role, "backup");
    bench.take({ kind: "state", known, since: { created: "1f", version: 5 } });
    assert.equal(bench.role, "older-state");
    const other = new Bench(b);
    other.take({ kind: "state", known, since: { created: "2a", version: 3 } });
    assert.equal(other.role, "state-gone");
  });

  it("stops at a node of features that it does not know, and when a live tells of such", () => {
    const bench = new Bench(b);
    bench.read(0, { features: 2 });
    assert.equal(bench.role, "lacks-features");
    const other = backupBench();
    other.frame("a", { ...align, features: 2 });
    assert.equal(other.role, "lacks-features");
  });

  it("stops when the node is deleted, or deleted and made again, and not when none was there yet", () => {
    const bench = liveBench();
    bench.take({ kind: "absent" });
    assert.equal(bench.role, "state-gone");
    const other = liveBench();
    other.read(7, { epoch: 9, live: b }, "2a");
    assert.equal(other.role, "state-gone");
    const early = new Bench(a);
    early.take({ kind: "absent" });
    early.read(0);
    assert.equal(early.role, "backup");
  });

  it("decides nothing by a node that cannot be read", () => {
    const bench = liveBench();
    join(bench, b, 10);
    assert.deepEqual(bench.take({ kind: "unreadable" }), []);
    assert.deepEqual(bench.take({ kind: "drop", id: "b" }), []);
    assert.deepEqual(
      commitsIn(bench.frame("b", { kind: "acknowledge", epoch: 1, position: 10 })),
      [],
    );
    assert.equal(bench.role, "live");
    const hinted = alignedBench();
    hinted.take({ kind: "promote", without: ["a"], unclean: null });
    hinted.take({ kind: "unreadable" });
    hinted.read(2, { epoch: 1, live: a });
    assert.equal(hinted.role, "backup");
  });

  it("does not depose who was quicker to take the same live's place", () => {
    const late = alignedBench();
    late.take({ kind: "promote", without: ["a"], unclean: null });
    const quicker: Replica = { id: "x", incarnation: "x1" };
    late.read(2, { epoch: 2, live: quicker, inSync: [quicker, b] });
    assert.equal(late.role, "backup");
    assert.equal(late.member.wish, null);
    const asked = alignedBench();
    asked.promote();
    assert.equal(asked.role, "candidate");
  });

  it("stops when it would have to cut what is committed, or differs from its live", () => {
    const behind = backupBench();
    behind.member = { ...behind.member, commitPosition: 5 };
    behind.frame("a", align);
    assert.equal(behind.role, "below-commit");
    const other = backupBench();
    other.frame("a", { ...align, chain: "1".repeat(16) });
    assert.equal(other.role, "diverged");
  });

  it("stops when the live that it greeted will not have it, and not when another says so", () => {
    const bench = backupBench();
    bench.connect("x");
    const refusal = { kind: "refuse", epoch: 1, reason: "foreign-group" } as const;
    bench.frame("x", refusal);
    assert.equal(bench.role, "backup");
    bench.frame("a", refusal);
    assert.equal(bench.role, "foreign-group");
  });

  it("stops when it is too far behind, and where it counts itself in sync reads the node first", () => {
    const refusal = { kind: "refuse", epoch: 1, reason: "too-far-behind" } as const;
    const inSync = backupBench();
    assert.deepEqual(kindsOf(inSync.frame("a", refusal)), ["read", "disconnect"]);
    assert.equal(inSync.role, "backup");
    const behind = new Bench(b);
    behind.connect("a", true);
    behind.read(0, { epoch: 1, live: a, inSync: [a] });
    behind.take({ kind: "fenced", epoch: 1 });
    behind.frame("a", refusal);
    assert.equal(behind.role, "too-far-behind");
  });

  it("reads the node when its live is of a higher epoch", () => {
    const bench = backupBench();
    const refusal = { kind: "refuse", epoch: 3, reason: "older-epoch" } as const;
    assert.deepEqual(kindsOf(bench.frame("a", refusal)), ["read"]);
  });

  it("greets with its newest epochs when they are more than a frame holds", () => {
    const epochs = Array.from({ length: 5000 }, (_, index) => ({
      epoch: index + 1,
      position: index,
    }));
    const bench = new Bench(b, { end: 5000, epochs });
    bench.connect("a", true);
    bench.read(0, { epoch: 5000, live: a });
    const [effect] = bench.take({ kind: "fenced", epoch: 5000 });
    const frame = effect?.kind === "send" ? effect.frame : null;
    const sent = frame?.kind === "hello" ? frame.epochs : [];
    assert.deepEqual([sent.length, sent[0]?.epoch, sent.at(-1)?.epoch], [4096, 905, 5000]);
  });

  it("calls the live that the node names, and nobody while it stands or leads", () => {
    const bench = new Bench(b);
    const effects = bench.read(0, { epoch: 1, live: a });
    assert.deepEqual(effects.at(-1), { kind: "follow", id: "a" });
    bench.take({ kind: "fenced", epoch: 1 });
    assert.deepEqual(bench.promote().at(-1), { kind: "follow", id: null });
  });

  it("appends only what follows its end, from the live of the epoch that it promised", () => {
    const bench = alignedBench();
    const piece = new Uint8Array(5);
    const append = {
      kind: "append",
      epoch: 1,
      position: 10,
      end: 13,
      chain,
      commitPosition: 0,
      piece,
    } as const;
    const wanted = { kind: "append", position: 10, end: 13, piece };
    assert.deepEqual(bench.frame("a", append), [wanted]);
    assert.deepEqual(kindsOf(bench.frame("a", { ...append, position: 12 })), ["disconnect"]);
    for (const change of [{ epoch: 0 }, { chain: "1".repeat(16) }, { end: 10 }]) {
      const other = alignedBench();
      assert.deepEqual(kindsOf(other.frame("a", { ...append, ...change })), ["disconnect"]);
    }
  });

  it("does not hear who speaks out of turn", () => {
    const invitation = { kind: "handOver", epoch: 1 } as const;
    const aligned = { ...align, position: 10 };
    const repeated = alignedBench();
    assert.deepEqual(kindsOf(repeated.frame("a", aligned)), ["disconnect"]);
    const early = backupBench();
    assert.deepEqual(kindsOf(early.frame("a", invitation)), ["disconnect"]);
    const stranger = alignedBench();
    stranger.connect("x");
    assert.deepEqual(kindsOf(stranger.frame("x", aligned)), ["disconnect"]);
    stranger.connect("x");
    assert.deepEqual(stranger.frame("x", beat), []);
    assert.deepEqual(kindsOf(stranger.frame("x", invitation)), ["disconnect"]);
    assert.equal(stranger.member.wish, null);
  });

  it("W2 says what is durable, and not what it has merely got", () => {
    const bench = backupBench();
    bench.log.durable = 4;
    const effects = bench.frame("a", { ...align, position: 10 });
    const acknowledge = { kind: "acknowledge", epoch: 1, position: 4 };
    assert.deepEqual(effects, [{ kind: "send", link: 1, frame: acknowledge }]);
  });

  it("takes the commit position from a beat, as far as its journal goes", () => {
    const bench = alignedBench();
    assert.deepEqual(bench.frame("a", { ...beat, commitPosition: 30 }), [
      { kind: "commit", position: 10 },
    ]);
  });

  it("greets anew when its link or the epoch has changed while it was cutting", () => {
    const lost = backupBench();
    lost.frame("a", { ...align, position: 5 });
    lost.take({ kind: "disconnected", link: 1 });
    assert.deepEqual(lost.connect("a", true, 3), []);
    lost.log.end = 5;
    const effects = lost.take({ kind: "truncated" });
    assert.deepEqual(kindsOf(effects), ["hello"]);
    const raised = backupBench();
    raised.frame("a", { ...align, position: 5 });
    raised.read(1, { epoch: 2, live: a });
    raised.take({ kind: "fenced", epoch: 2 });
    assert.deepEqual(kindsOf(raised.take({ kind: "truncated" })), ["disconnect"]);
    const same = backupBench();
    same.frame("a", { ...align, position: 5 });
    assert.deepEqual(kindsOf(same.take({ kind: "truncated" })), ["acknowledge"]);
  });
});

const align = {
  kind: "align",
  epoch: 1,
  features: 1,
  position: 0,
  chain,
  commitPosition: 0,
} as const;

const beat = {
  kind: "beat",
  epoch: 1,
  sentAtMs: 5,
  leaseMs: 400,
  commitPosition: 10,
  oldestPosition: 0,
} as const;

/** The backup b with a journal of 10, which has greeted its live a in epoch 1. */
function backupBench(): Bench {
  const bench = new Bench(b, { end: 10, epochs: [{ epoch: 1, position: 0 }] });
  bench.connect("a", true);
  bench.read(0, { epoch: 1, live: a });
  bench.take({ kind: "fenced", epoch: 1 });
  return bench;
}

/** The same, aligned. */
function alignedBench(): Bench {
  const bench = backupBench();
  bench.frame("a", { ...align, position: 10 });
  return bench;
}
