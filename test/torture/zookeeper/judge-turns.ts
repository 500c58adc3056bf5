import type { ContenderEvent, TortureEvent } from "./history.ts";

type Granted = Extract<ContenderEvent, { kind: "granted" }>;

/** What {@link judgeTurns} finds. */
export interface TurnJudgement {
  readonly turns: number;
  readonly handovers: number;
  readonly lostTurns: number;
  readonly heldTogether: number;
  readonly heldThoughEndedElsewhere: number;
  readonly longestWithoutHolderMs: number;
}

/**
 * Judges who had the lock when. One clock stands for all processes, and what is told is told late at worst: of a grant
 * after it was given, of a question before it was answered. So what looks as if two had held it at once was so.
 */
export function judgeTurns(events: readonly TortureEvent[]): TurnJudgement {
  const grants = events
    .filter((event) => event.kind === "granted")
    .toSorted((left, right) => left.token - right.token);
  const overtakenAt = timesOfOvertaking(grants);
  const together = events
    .filter((event) => event.kind === "held")
    .filter(({ token, at }) => at > (overtakenAt.get(token) ?? Infinity));
  const ended = events.filter((event) => event.kind === "sessionEnded");
  const sessions = new Map(grants.map(({ token, sessionId }) => [token, sessionId]));
  const excused = together.filter((held) =>
    ended.some(
      ({ sessionId, at, until }) =>
        sessionId === sessions.get(held.token) && at <= held.at && held.at <= until,
    ),
  );
  const handovers = grants.filter(
    ({ process }, index) => index > 0 && grants[index - 1]?.process !== process,
  );
  const ends = events.filter((event) => event.kind === "over");
  return {
    turns: grants.length,
    handovers: handovers.length,
    lostTurns: ends.filter(({ wasHeld }) => !wasHeld).length,
    heldTogether: together.length - excused.length,
    heldThoughEndedElsewhere: excused.length,
    longestWithoutHolderMs: longestWithoutHolderMs(events),
  };
}

/** By token: when the first newer turn began. @param grants the oldest first; a turn may have been told twice */
function timesOfOvertaking(grants: readonly Granted[]): Map<number, number> {
  const beginnings = new Map<number, number>();
  for (const { token, at } of grants) {
    beginnings.set(token, Math.min(at, beginnings.get(token) ?? Infinity));
  }
  const times = new Map<number, number>();
  let earliest = Infinity;
  for (const [token, at] of [...beginnings].toReversed()) {
    times.set(token, earliest);
    earliest = Math.min(earliest, at);
  }
  return times;
}

/** The longest time in which nobody was told that it held the lock, from the first turn on until all had to end. */
function longestWithoutHolderMs(events: readonly TortureEvent[]): number {
  const endAt = events.find((event) => event.kind === "stopping")?.at ?? Infinity;
  const times = events
    .filter((event) => event.kind === "granted" || event.kind === "held")
    .map(({ at }) => at)
    .filter((at) => at <= endAt)
    .toSorted((left, right) => left - right);
  let longest = 0;
  for (const [index, at] of times.entries())
    longest = Math.max(longest, at - (times[index - 1] ?? at));
  return Math.round(longest / 1_000);
}
