import { judgeAccesses, type Suffering } from "./judge-accesses.ts";
import { judgeChanges } from "./judge-changes.ts";
import { judgeTurns } from "./judge-turns.ts";
import type { TortureEvent } from "./history.ts";

/** What must not be. */
export interface Violations {
  /** Accepted by the fenced store under an older turn, after a newer one was seen there; or applied so in ZooKeeper. */
  readonly tokenOrder: number;
  /** Accepted by the fenced store under one token of several processes. */
  readonly twoWritersUnderOneToken: number;
  /** Counted, confirmed and written over, in the fenced store or in ZooKeeper. */
  readonly lostUpdates: number;
  /** Took effect in ZooKeeper though its caller was told that it had not, or was never made by anybody. */
  readonly appliedThoughNone: number;
  /**
   * A holder was told that it held the lock when another one knew that it had it, though nobody had ended its session
   * shortly before.
   */
  readonly heldTogether: number;
  /** Promises that never settled where nobody killed their process, and processes that did not end in order. */
  readonly unsettled: number;
  /** Errors that no application expects. */
  readonly failed: number;
  /** Nodes of contenders that are left when all have gone. */
  readonly nodesLeft: number;
  readonly leakedSockets: number;
}

/** What a user without tokens would have suffered. */
export interface WithoutTokens {
  /** Asked whether it held the lock, right before it wrote. */
  readonly asked: Suffering;
  /** Did not ask. */
  readonly unasked: Suffering;
}

export interface Judgement {
  readonly violations: Violations;
  readonly withoutTokens: WithoutTokens;
  /** Writes with a token that the fenced store refused, as it should. */
  readonly refusedByStore: number;
  /** Changes that ZooKeeper refused because a newer turn had been entered. */
  readonly refusedByZooKeeper: number;
  readonly turns: number;
  /** Turns of another process than the one before. */
  readonly handovers: number;
  /** Turns that were lost before their work had ended. */
  readonly lostTurns: number;
  /** A holder was told that it held the lock, whose session had just been ended from elsewhere, and another one had it. */
  readonly heldThoughEndedElsewhere: number;
  readonly longestWithoutHolderMs: number;
  readonly waitsGivenUp: number;
}

/** What was found at the end of a run. */
export interface Remains {
  readonly nodesLeft: number;
  readonly leakedSockets: number;
  /** Processes that were killed because they did not end, by number. */
  readonly late: readonly number[];
}

/** Judges what was told. @param events as they were told, each process's in its order */
export function judge(events: readonly TortureEvent[], remains: Remains): Judgement {
  const accesses = events.filter((event) => event.kind === "access");
  const fenced = judgeAccesses(accesses, "fenced");
  const changed = events.filter((event) => event.kind === "changed");
  const changes = judgeChanges(changed, changesKilled(events));
  const turns = judgeTurns(events);
  const leaked = events.reduce(
    (sum, event) => sum + (event.kind === "ended" ? event.leakedSockets : 0),
    0,
  );
  return {
    violations: {
      tokenOrder: fenced.interleavedWrites + changes.outOfOrder,
      twoWritersUnderOneToken: fenced.sharedTokens,
      lostUpdates: fenced.lostUpdates + changes.lostUpdates,
      appliedThoughNone: changes.appliedThoughNone,
      heldTogether: turns.heldTogether,
      unsettled: unsettledPromises(events) + new Set([...remains.late, ...deadIn(events)]).size,
      failed: events.filter(({ kind }) => kind === "failed").length,
      nodesLeft: remains.nodesLeft,
      leakedSockets: leaked + remains.leakedSockets,
    },
    withoutTokens: {
      asked: sufferingIn(accesses, "asked"),
      unasked: sufferingIn(accesses, "unasked"),
    },
    refusedByStore: accesses.filter(({ isTaken }) => !isTaken).length,
    refusedByZooKeeper: changes.refused,
    turns: turns.turns,
    handovers: turns.handovers,
    lostTurns: turns.lostTurns,
    heldThoughEndedElsewhere: turns.heldThoughEndedElsewhere,
    longestWithoutHolderMs: turns.longestWithoutHolderMs,
    waitsGivenUp: events.filter(({ kind }) => kind === "gaveUp").length,
  };
}

/** Of those that nobody killed. */
function unsettledPromises(events: readonly TortureEvent[]): number {
  const open = new Map<number, number>();
  for (const event of events) {
    if (event.kind === "killed") open.delete(event.process);
    const change = event.kind === "began" ? 1 : event.kind === "settled" ? -1 : 0;
    if (!("process" in event) || change === 0) continue;
    open.set(event.process, (open.get(event.process) ?? 0) + change);
  }
  return [...open.values()].reduce((sum, count) => sum + count, 0);
}

/** Changes in ZooKeeper that had begun when their process was killed, or that it had no time to tell of. */
function changesKilled(events: readonly TortureEvent[]): number {
  const begun = new Map<number, boolean>();
  let count = 0;
  for (const event of events) {
    if (event.kind === "began" && event.promise.startsWith("multi")) begun.set(event.process, true);
    if (event.kind === "changed") begun.set(event.process, false);
    if (event.kind !== "killed") continue;
    if (begun.get(event.process) === true) count += 1;
    begun.delete(event.process);
  }
  return count;
}

/** Processes that never told that they ended, since they were started last. */
function deadIn(events: readonly TortureEvent[]): number[] {
  const dead = new Set<number>();
  for (const event of events) {
    if (event.kind === "session" || event.kind === "killed") dead.add(event.process);
    if (event.kind === "ended") dead.delete(event.process);
  }
  return [...dead];
}

function sufferingIn(...parts: Parameters<typeof judgeAccesses>): Suffering {
  const { writes, interleavedWrites, lostUpdates } = judgeAccesses(...parts);
  return { writes, interleavedWrites, lostUpdates };
}
