import { limits } from "../limits.ts";

/** How long a group waits for what, in milliseconds. The same for all members of a group. */
export interface GroupTiming {
  /** How often a live says that it lives. Default 100. */
  readonly beatMs: number;
  /** A live hands out nothing while a member in sync has not answered a beat that it sent less than this ago. Default 400. */
  readonly leaseMs: number;
  /** A backup that hears nothing for this long tries to take over. More than `leaseMs`. Default 1500. */
  readonly graceMs: number;
  /** A member in sync without a link is left out after this time. Default 200. */
  readonly missingMs: number;
  /** A member in sync that has not had everything for this long is left out. Default 5000. */
  readonly lagMs: number;
  /** One that was left out for that comes back when it has had everything for this long. Default 30000. */
  readonly steadyMs: number;
  /** A live whose disk has not answered for this long ends, where a member in sync could lead. Default 5000. */
  readonly hungMs: number;
  /** What ZooKeeper refused is asked for again after this time. Default 100. */
  readonly retryMs: number;
  /** A planned hand-over that has not happened after this time is given up. Default 10000. */
  readonly handOverMs: number;
}

/** Fills in defaults. @throws RangeError for times that contradict each other */
export function groupTiming(given: Partial<GroupTiming> = {}): GroupTiming {
  const timing = { ...limits.timingDefault, ...given };
  for (const [name, value] of Object.entries(timing)) {
    if (!Number.isSafeInteger(value) || value < 1 || value > limits.timeMsMax) {
      throw new RangeError(`${name}: found ${value}, expected 1 to ${limits.timeMsMax} ms`);
    }
  }
  // A lease must outlast a few beats, or one that is late stops everything; and end before somebody else may begin.
  if (timing.leaseMs < 2 * timing.beatMs) {
    throw new RangeError(
      `leaseMs: found ${timing.leaseMs}, expected at least twice beatMs (${timing.beatMs})`,
    );
  }
  if (timing.graceMs < 2 * timing.leaseMs) {
    throw new RangeError(
      `graceMs: found ${timing.graceMs}, expected at least twice leaseMs (${timing.leaseMs})`,
    );
  }
  return timing;
}
