import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EpochStart } from "./epoch-table.ts";
import type { Frame } from "./frames.ts";
import type { GroupState, Replica } from "./group-state.ts";
import { acceptsWrites, startMember, type Effect, type Input, type Member } from "./member.ts";
import { step } from "./step.ts";

const a: Replica = { id: "a", incarnation: "a1" };
const b: Replica = { id: "b", incarnation: "b1" };
const chain = "0".repeat(16);

/** One member whose journal and neighbours are what a test says. */
class Bench {
  member: Member;
  readonly log = { end: 0, durable: 0, epochs: [] as EpochStart[], chainAt: () => chain };

  constructor(self: Replica, log: { end: number; epochs: EpochStart[] } = { end: 0, epochs: [] }) {
    this.member = startMember({ self, groupId: "g", fencedEpoch: 0, commitPosition: 0 });
    Object.assign(this.log, log, { durable: log.end });
  }

  take(input: Input): readonly Effect[] {
    const next = step(this.member, input, this.log);
    this.member = next.member;
    return next.effects;
  }

  read(version: number, change: Partial<GroupState>): readonly Effect[] {
    const sound = {
      groupId: "g",
      epoch: 0,
      live: null,
      inSync: [a, b],
      minInSync: 1,
      epochStart: 0,
    };
    return this.take({ kind: "state", known: { version, state: { ...sound, ...change } } });
  }

  frame(from: string, frame: Frame): readonly Effect[] {
    return this.take({ kind: "frame", from, frame });
  }

  /** Everything up to `end` is written and durable. */
  sync(end: number): readonly Effect[] {
    this.log.end = end;
    this.log.durable = end;
    return this.take({ kind: "durable" });
  }

  promote(unclean = false): readonly Effect[] {
    return this.take({ kind: "promote", without: [], unclean });
  }

  get role(): string {
    const { role } = this.member;
    return role.kind === "stopped" ? role.reason : role.kind;
  }
}

/** The member a, live in epoch 1 of a group of a and b; its epoch's record is durable here. */
function liveBench(minInSync = 1): Bench {
  const bench = new Bench(a);
  bench.read(0, { minInSync });
  bench.promote();
  bench.take({ kind: "fenced", epoch: 1 });
  bench.take({ kind: "outcome", result: "done" });
  bench.sync(10);
  return bench;
}

/** The backup b has greeted and said that its journal is durable up to here. */
function join(bench: Bench, replica: Replica, position: number): readonly Effect[] {
  bench.take({ kind: "connected", id: replica.id });
  const { id, incarnation } = replica;
  const hello = {
    kind: "hello",
    epoch: 1,
    groupId: "g",
    id,
    incarnation,
    epochs: [],
    end: 0,
  } as const;
  const effects = bench.frame(id, hello);
  return [...effects, ...bench.frame(id, { kind: "acknowledge", epoch: 1, position })];
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
    bench.read(0, {});
    assert.deepEqual(bench.promote(), [{ kind: "fence", epoch: 1 }]);
    const effects = bench.take({ kind: "fenced", epoch: 1 });
    assert.deepEqual(requestsIn(effects), ["ab"]);
    assert.equal(bench.role, "candidate");
  });

  it("stands for a higher epoch than any that it promised, also before it was started", () => {
    const bench = new Bench(a);
    bench.member = startMember({ self: a, groupId: "g", fencedEpoch: 7, commitPosition: 0 });
    bench.read(0, {});
    assert.deepEqual(bench.promote(), [{ kind: "fence", epoch: 8 }]);
  });

  it("is not promoted with another disk than the one that is in sync", () => {
    const bench = new Bench({ id: "a", incarnation: "a2" });
    bench.read(0, {});
    assert.deepEqual(bench.promote(), []);
    assert.equal(bench.role, "backup");
  });

  it("is promoted all the same when an operator takes the loss, alone, and its epoch says so", () => {
    const bench = new Bench({ id: "a", incarnation: "a2" });
    bench.read(0, {});
    bench.promote(true);
    assert.deepEqual(requestsIn(bench.take({ kind: "fenced", epoch: 1 })), ["a"]);
    const effects = bench.take({ kind: "outcome", result: "done" });
    assert.deepEqual(effects, [{ kind: "begin-epoch", epoch: 1, unclean: true }]);
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
    bench.take({ kind: "outcome", result: "done" });
    assert.deepEqual(commitsIn(bench.sync(20)), []);
    assert.equal(acceptsWrites(bench.member), false);
  });

  it("waits for a member until the set without it is known to be in force", () => {
    const bench = liveBench();
    join(bench, b, 10);
    assert.deepEqual(requestsIn(bench.take({ kind: "drop", id: "b" })), ["a"]);
    assert.deepEqual(commitsIn(bench.sync(20)), []);
    assert.deepEqual(bench.take({ kind: "outcome", result: "unknown" }), [{ kind: "read" }]);
    assert.deepEqual(commitsIn(bench.sync(30)), []);
    const effects = bench.read(2, { epoch: 1, live: a, inSync: [a] });
    assert.deepEqual(commitsIn(effects), [30]);
  });

  it("waits for a joining member from the moment when it asks for it to be in sync", () => {
    const bench = liveBench();
    bench.take({ kind: "drop", id: "b" });
    bench.take({ kind: "outcome", result: "done" });
    assert.equal(bench.member.commitPosition, 10);
    assert.deepEqual(requestsIn(join(bench, b, 10)), ["ab"]);
    bench.take({ kind: "outcome", result: "unknown" });
    // Not done so far, and it may be done yet.
    bench.read(2, { epoch: 1, live: a, inSync: [a] });
    assert.deepEqual(commitsIn(bench.sync(20)), []);
  });

  it("does not let a member join that lacks the beginning of the epoch", () => {
    const bench = liveBench();
    bench.take({ kind: "drop", id: "b" });
    bench.take({ kind: "outcome", result: "done" });
    assert.deepEqual(requestsIn(join(bench, b, 0)), []);
  });

  it("puts out of the in-sync set who comes back with another disk", () => {
    const bench = liveBench();
    assert.deepEqual(requestsIn(join(bench, { id: "b", incarnation: "b2" }, 10)), ["a"]);
    assert.deepEqual(commitsIn(bench.sync(20)), []);
  });

  it("steps down when the node names another", () => {
    const bench = liveBench();
    const effects = bench.read(2, { epoch: 2, live: b });
    assert.deepEqual(effects, [{ kind: "step-down" }, { kind: "fence", epoch: 2 }]);
    assert.equal(bench.role, "backup");
  });

  it("takes a claim to a higher epoch for a reason to read, not for the truth", () => {
    const bench = liveBench();
    join(bench, b, 10);
    const refusal = { kind: "refuse", epoch: 5, reason: "older-epoch" } as const;
    assert.deepEqual(bench.frame("b", refusal), [{ kind: "read" }]);
    assert.equal(bench.role, "live");
    const effects = bench.read(1, { epoch: 1, live: a });
    assert.deepEqual(effects, [{ kind: "step-down" }, { kind: "fence", epoch: 6 }]);
  });

  it("hands over when all is committed, and takes no writes meanwhile", () => {
    const bench = liveBench();
    join(bench, b, 10);
    bench.log.end = 20;
    assert.deepEqual(bench.take({ kind: "hand-over", to: "b" }), []);
    assert.equal(acceptsWrites(bench.member), false);
    bench.sync(20);
    const effects = bench.frame("b", { kind: "acknowledge", epoch: 1, position: 20 });
    assert.deepEqual(effects.at(-1), {
      kind: "send",
      to: "b",
      frame: { kind: "handOver", epoch: 1 },
    });
  });

  it("refuses a backup of another group, or of its own name", () => {
    const bench = liveBench();
    const hello = { kind: "hello", epoch: 1, incarnation: "x", epochs: [], end: 0 } as const;
    const reasonOf = (frame: Frame) =>
      bench
        .frame("x", frame)
        .map((effect) =>
          effect.kind === "send" && effect.frame.kind === "refuse" ? effect.frame.reason : "",
        );
    assert.deepEqual(reasonOf({ ...hello, groupId: "other", id: "x" }), ["foreign-group"]);
    assert.deepEqual(reasonOf({ ...hello, groupId: "g", id: "a" }), ["id-taken"]);
  });

  it("stops at the node of another group, and at one that is older than its journal", () => {
    const foreign = new Bench(b);
    foreign.read(0, { groupId: "other" });
    assert.equal(foreign.role, "foreign-group");
    const restored = new Bench(b, { end: 10, epochs: [{ epoch: 3, position: 0 }] });
    restored.read(0, { epoch: 2, live: a });
    assert.equal(restored.role, "older-state");
  });

  it("stops when it would have to cut what is committed, or differs from its live", () => {
    const align = { kind: "align", epoch: 1, position: 0, chain, commitPosition: 0 } as const;
    const behind = backupBench();
    behind.member = { ...behind.member, commitPosition: 5 };
    behind.frame("a", align);
    assert.equal(behind.role, "below-commit");
    const other = backupBench();
    other.frame("a", { ...align, chain: "1".repeat(16) });
    assert.equal(other.role, "diverged");
  });

  it("appends only what follows its end, from the live of the epoch that it promised", () => {
    const bench = backupBench();
    bench.frame("a", { kind: "align", epoch: 1, position: 10, chain, commitPosition: 0 });
    const batch = new Uint8Array(5);
    const append = {
      kind: "append",
      epoch: 1,
      position: 10,
      chain,
      commitPosition: 0,
      batch,
    } as const;
    assert.deepEqual(bench.frame("a", append), [{ kind: "append", batch }]);
    assert.deepEqual(bench.frame("a", { ...append, position: 12 }), [
      { kind: "disconnect", id: "a" },
    ]);
    bench.read(1, { epoch: 2, live: b });
    const refusal = { kind: "refuse", epoch: 2, reason: "older-epoch" };
    assert.deepEqual(bench.frame("a", append), [{ kind: "send", to: "a", frame: refusal }]);
  });

  it("says what is durable, and not what it has merely got", () => {
    const bench = backupBench();
    bench.log.durable = 4;
    const effects = bench.frame("a", {
      kind: "align",
      epoch: 1,
      position: 10,
      chain,
      commitPosition: 0,
    });
    const acknowledge = { kind: "acknowledge", epoch: 1, position: 4 };
    assert.deepEqual(effects, [{ kind: "send", to: "a", frame: acknowledge }]);
  });
});

/** The backup b with a journal of 10, which has greeted its live a in epoch 1. */
function backupBench(): Bench {
  const bench = new Bench(b, { end: 10, epochs: [{ epoch: 1, position: 0 }] });
  bench.take({ kind: "connected", id: "a" });
  bench.read(0, { epoch: 1, live: a });
  bench.take({ kind: "fenced", epoch: 1 });
  return bench;
}
