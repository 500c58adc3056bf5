import { Prng } from "@everhold/base";

/** What is done to servers, one after the other. */
export const serverFaults = [
  "leaderKilled",
  "followerKilled",
  "serverStopped",
  "followerCutOff",
  "rollingRestart",
] as const;

/** What is done to contenders and to what they are connected by, meanwhile. */
export const contenderFaults = [
  "processKilled",
  "processStopped",
  "linksCut",
  "linksFrozen",
  "sessionEnded",
  "stalled",
  "overtaken",
  "clockJumped",
] as const;

export type ServerFault = (typeof serverFaults)[number];
export type ContenderFault = (typeof contenderFaults)[number];
export type FaultKind = ServerFault | ContenderFault;

export const faultKinds: readonly FaultKind[] = [...serverFaults, ...contenderFaults];

/** One disturbance. */
export interface Fault<Kind extends FaultKind = FaultKind> {
  readonly kind: Kind;
  /** Peace before it, counted from the end of the one before of its line. */
  readonly pauseMs: number;
  /** How long something is dead, stands still, hears nothing. */
  readonly durationMs: number;
  /** Whether it is about whoever has the lock, or the server that has its session; where nobody has it, about anyone. */
  readonly isAboutHolder: boolean;
  /** Which one otherwise, as a share of all. */
  readonly choice: number;
  /** Whether a process blocks right before it writes, rather than where it happens to be. */
  readonly isBeforeWrite: boolean;
  /** What a frozen link holds back. */
  readonly direction: "both" | "requests" | "replies";
  /** Whether what was held back is lost, rather than late. */
  readonly isLost: boolean;
}

/** The most that one run can need. */
const faultCountMax = 20_000;

/** Which faults, and what they are measured by. */
export interface FaultOptions<Kind extends FaultKind> {
  readonly seed: number;
  readonly kinds: readonly Kind[];
  /** Milliseconds; one fault of two outlasts it, where it lasts at all. */
  readonly sessionTimeout: number;
  /** The longest peace between two, in ms. */
  readonly peaceMs: number;
}

/**
 * The faults of one line, in their order: the same seed gives the same ones. How many of them come to pass depends on
 * how long servers take to start, and whom they hit on who has the lock.
 */
export function scheduleFaults<Kind extends FaultKind>({
  seed,
  kinds,
  sessionTimeout,
  peaceMs,
}: FaultOptions<Kind>): Fault<Kind>[] {
  const [first, ...others] = kinds;
  if (first === undefined) return [];
  const random = new Prng(seed);
  return Array.from({ length: faultCountMax }, () => {
    const kind = pickRarely(random, [first, ...others]);
    const isLong = random.chance(0.5);
    const [leastMs, mostMs] = isLong ? [sessionTimeout, 2 * sessionTimeout] : [50, sessionTimeout];
    return {
      kind,
      pauseMs: random.integer(0, peaceMs),
      durationMs: random.integer(leastMs, mostMs),
      isAboutHolder: random.chance(0.7),
      choice: random.fraction(),
      isBeforeWrite: random.chance(0.5),
      direction: random.pick(["both", "requests", "replies"]),
      isLost: random.chance(0.5),
    };
  });
}

/** Restarting all servers takes as long as many other faults, so it comes less often. */
function pickRarely<Kind extends FaultKind>(random: Prng, kinds: readonly [Kind, ...Kind[]]): Kind {
  const kind = random.pick(kinds);
  return kind === "rollingRestart" && random.chance(0.7) ? random.pick(kinds) : kind;
}
