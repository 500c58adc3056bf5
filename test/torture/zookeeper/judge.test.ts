import assert from "node:assert/strict";
import { test } from "node:test";

import type { RegisterName, TortureEvent } from "./history.ts";
import { judge, type Judgement, type Violations } from "./judge.ts";

const nothingRemains = { nodesLeft: 0, leakedSockets: 0, late: [] };

test("two turns, one after the other, are as they should be", () => {
  const judgement = judged([
    granted({ process: 0, token: 5, at: 10 }),
    held({ process: 0, token: 5, at: 11 }),
    read("fenced", { process: 0, token: 5, value: 0 }),
    write("fenced", { process: 0, token: 5, value: 1 }),
    changed({ process: 0, token: 5, count: 1, zxid: 20 }),
    over({ process: 0, token: 5, wasHeld: true }),
    granted({ process: 1, token: 7, at: 20 }),
    read("fenced", { process: 1, token: 7, value: 1 }),
    write("fenced", { process: 1, token: 7, value: 2 }),
    changed({ process: 1, token: 7, count: 2, zxid: 30 }),
    over({ process: 1, token: 7, wasHeld: false }),
  ]);
  assert.deepEqual(violated(judgement), {});
  const { turns, handovers, lostTurns, longestWithoutHolderMs } = judgement;
  assert.deepEqual({ turns, handovers, lostTurns }, { turns: 2, handovers: 1, lostTurns: 1 });
  assert.equal(longestWithoutHolderMs, 9);
});

test("a store that takes an older turn's write after a newer one was seen is found out", () => {
  const judgement = judged([
    read("fenced", { process: 1, token: 7, value: 3 }),
    write("fenced", { process: 0, token: 5, value: 4 }),
  ]);
  assert.deepEqual(violated(judgement), { tokenOrder: 1 });
});

test("what the store refuses is no violation", () => {
  const judgement = judged([
    write("fenced", { process: 1, token: 7, value: 3 }),
    { ...write("fenced", { process: 0, token: 5, value: 4 }), isTaken: false },
  ]);
  assert.deepEqual(violated(judgement), {});
  assert.equal(judgement.refusedByStore, 1);
});

test("a count that is written over is lost", () => {
  const judgement = judged([
    write("fenced", { process: 0, token: 5, value: 4 }),
    write("fenced", { process: 1, token: 7, value: 4 }),
  ]);
  assert.deepEqual(violated(judgement), { lostUpdates: 1 });
});

test("who writes long after it has read loses what others have counted since, unless one of them writes on", () => {
  const lostBy = (...values: readonly number[]): number => {
    const writes = values.map((value) => write("unasked", { process: 0, token: 5, value }));
    return judged(writes).withoutTokens.unasked.lostUpdates;
  };
  assert.equal(lostBy(1, 2, 3, 4), 0);
  assert.equal(lostBy(1, 2, 3, 4, 2), 3);
  assert.equal(lostBy(1, 2, 3, 4, 2, 3, 4, 5), 3);
  assert.equal(lostBy(1, 2, 3, 4, 2, 5), 1);
});

test("two processes that show one token are found out", () => {
  const judgement = judged([
    { ...write("fenced", { process: 0, token: 5, value: 1 }), token: 99 },
    { ...write("fenced", { process: 1, token: 7, value: 2 }), token: 99 },
  ]);
  assert.deepEqual(violated(judgement), { twoWritersUnderOneToken: 1 });
});

test("changes in ZooKeeper are judged in the order of their transactions", () => {
  const judgement = judged([
    changed({ process: 1, token: 7, count: 2, zxid: 30 }),
    changed({ process: 0, token: 5, count: 1, zxid: 20 }),
  ]);
  assert.deepEqual(violated(judgement), {});
  const wrong = judged([
    changed({ process: 1, token: 7, count: 1, zxid: 20 }),
    changed({ process: 0, token: 5, count: 1, zxid: 30 }),
  ]);
  assert.deepEqual(violated(wrong), { tokenOrder: 1, lostUpdates: 1 });
});

test("a change that was refused is none, and one of which nobody knows is not judged", () => {
  const judgement = judged([
    changed({ process: 1, token: 7, count: 1, zxid: 20 }),
    { ...changed({ process: 0, token: 5, count: 1, zxid: 0 }), outcome: "none" },
    { ...changed({ process: 0, token: 5, count: 1, zxid: 0 }), outcome: "unknown" },
  ]);
  assert.deepEqual(violated(judgement), {});
  assert.equal(judgement.refusedByZooKeeper, 1);
});

test("a count that nobody's applied change came to needs one in doubt, or a killed process, to explain it", () => {
  const one = changed({ process: 0, token: 5, count: 1, zxid: 20 });
  const three = changed({ process: 1, token: 7, count: 3, zxid: 30 });
  const two = changed({ process: 0, token: 5, count: 2, zxid: 0 });
  const multi = { kind: "began", process: 0, promise: "multi" } as const;
  const killed = { kind: "killed", process: 0, at: 0 } as const;
  const ended = { kind: "ended", process: 0, leakedSockets: 0 } as const;
  assert.deepEqual(violated(judged([one, three])), { appliedThoughNone: 1 });
  assert.deepEqual(violated(judged([one, { ...two, outcome: "none" }, three])), {
    appliedThoughNone: 1,
  });
  assert.deepEqual(violated(judged([one, { ...two, outcome: "unknown" }, three])), {});
  assert.deepEqual(violated(judged([one, multi, killed, three, ended])), {});
  // It had told of its change before it was killed.
  const told = { ...two, outcome: "none" } as const;
  const lied = judged([one, multi, told, killed, three, ended]);
  assert.deepEqual(violated(lied), { appliedThoughNone: 1 });
});

test("who is told that it holds the lock when another one has it already is found out", () => {
  const turns = [
    granted({ process: 0, token: 5, at: 10 }),
    granted({ process: 1, token: 7, at: 20 }),
  ];
  assert.deepEqual(violated(judged([...turns, held({ process: 0, token: 5, at: 19 })])), {});
  assert.deepEqual(violated(judged([...turns, held({ process: 0, token: 5, at: 21 })])), {
    heldTogether: 1,
  });
  assert.deepEqual(violated(judged([...turns, held({ process: 1, token: 7, at: 21 })])), {});
});

test("a turn that was told twice is overtaken by newer ones alone", () => {
  const turns = [
    granted({ process: 0, token: 5, at: 10 }),
    granted({ process: 0, token: 5, at: 12 }),
    granted({ process: 1, token: 7, at: 20 }),
  ];
  assert.deepEqual(violated(judged([...turns, held({ process: 0, token: 5, at: 15 })])), {});
  assert.deepEqual(violated(judged([...turns, held({ process: 0, token: 5, at: 21 })])), {
    heldTogether: 1,
  });
});

test("nobody can know of a session that was just ended from elsewhere; before and long after it is no excuse", () => {
  const heldAt = (at: number, sessionId = "a0"): Judgement =>
    judged([
      granted({ process: 0, token: 5, at: 10 }),
      granted({ process: 1, token: 7, at: 20 }),
      held({ process: 0, token: 5, at }),
      { kind: "sessionEnded", sessionId, at: 30_000, until: 40_000 },
    ]);
  for (const at of [30, 40]) {
    assert.deepEqual(violated(heldAt(at)), {});
    assert.equal(heldAt(at).heldThoughEndedElsewhere, 1);
  }
  for (const judgement of [heldAt(29), heldAt(41), heldAt(35, "a1")]) {
    assert.deepEqual(violated(judgement), { heldTogether: 1 });
    assert.equal(judgement.heldThoughEndedElsewhere, 0);
  }
});

test("a process that was killed settles nothing, and the one in its place has to end and settle all", () => {
  const began = (promise: string): TortureEvent => ({ kind: "began", process: 0, promise });
  const killed: TortureEvent = { kind: "killed", process: 0, at: 0 };
  const ended: TortureEvent = { kind: "ended", process: 0, leakedSockets: 0 };
  assert.deepEqual(violated(judged([began("take 1"), killed, ended])), {});
  assert.deepEqual(violated(judged([began("take 1"), killed])), { unsettled: 1 });
  assert.deepEqual(violated(judged([began("take 1"), killed, began("take 1"), ended])), {
    unsettled: 1,
  });
});

test("a process that dies by itself has not ended in order", () => {
  const session: TortureEvent = { kind: "session", process: 3, sessionId: "a3" };
  const ended: TortureEvent = { kind: "ended", process: 3, leakedSockets: 0 };
  assert.deepEqual(violated(judged([session])), { unsettled: 1 });
  assert.deepEqual(violated(judged([session, ended])), {});
  const late = judge([session, ended], { ...nothingRemains, late: [3] });
  assert.deepEqual(violated(late), { unsettled: 1 });
});

test("users without tokens suffer what they write under an older turn", () => {
  const { withoutTokens, violations } = judged([
    read("unasked", { process: 0, token: 5, value: 0 }),
    read("unasked", { process: 1, token: 7, value: 0 }),
    write("unasked", { process: 1, token: 7, value: 1 }),
    write("unasked", { process: 0, token: 5, value: 1 }),
    write("asked", { process: 1, token: 7, value: 1 }),
  ]);
  assert.deepEqual(withoutTokens, {
    asked: { writes: 1, interleavedWrites: 0, lostUpdates: 0 },
    unasked: { writes: 2, interleavedWrites: 1, lostUpdates: 1 },
  });
  assert.equal(violations.tokenOrder, 0);
});

test("promises that do not settle, errors and what is left behind count", () => {
  const events: TortureEvent[] = [
    { kind: "began", process: 0, promise: "take 1" },
    { kind: "began", process: 0, promise: "take 2" },
    { kind: "settled", process: 0, promise: "take 2" },
    { kind: "failed", process: 0, error: "TypeError" },
    { kind: "ended", process: 0, leakedSockets: 1 },
  ];
  const { violations } = judge(events, { nodesLeft: 2, leakedSockets: 3, late: [1, 2, 3, 4] });
  const { unsettled, failed, nodesLeft, leakedSockets } = violations;
  assert.deepEqual([unsettled, failed, nodesLeft, leakedSockets], [5, 1, 2, 4]);
});

function judged(events: readonly TortureEvent[]): Judgement {
  return judge(events, nothingRemains);
}

/** Violations that there are. */
function violated({ violations }: Judgement): Partial<Violations> {
  return Object.fromEntries(Object.entries(violations).filter(([, count]) => count > 0));
}

type Of<Kind extends TortureEvent["kind"]> = Extract<TortureEvent, { kind: Kind }>;

interface Who {
  readonly process: number;
  readonly token: number;
}

/** Milliseconds here, microseconds there. */
function granted({ process, token, at }: Who & { readonly at: number }): Of<"granted"> {
  return { kind: "granted", process, token, sessionId: `a${process}`, at: at * 1_000 };
}

function held({ process, token, at }: Who & { readonly at: number }): Of<"held"> {
  return { kind: "held", process, token, at: at * 1_000 };
}

function over({ process, token, wasHeld }: Who & { readonly wasHeld: boolean }): Of<"over"> {
  return { kind: "over", process, token, wasHeld, at: 0 };
}

function changed(change: Who & { readonly count: number; readonly zxid: number }): Of<"changed"> {
  return { kind: "changed", outcome: "applied", ...change };
}

function read(register: RegisterName, who: Who & { readonly value: number }): Of<"access"> {
  return access("read", register, who);
}

function write(register: RegisterName, who: Who & { readonly value: number }): Of<"access"> {
  return access("write", register, who);
}

function access(
  kind: "read" | "write",
  register: RegisterName,
  { process, token, value }: Who & { readonly value: number },
): Of<"access"> {
  const to = { kind: "access", access: kind, register } as const;
  return { ...to, process, token, grant: token, value, isTaken: true, at: 0 };
}
