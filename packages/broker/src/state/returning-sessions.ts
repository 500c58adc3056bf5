import { list, string, struct, u32, type ValueOf } from "@everhold/wire";
import { stateLimits } from "./state-limits.ts";

const entry = {
  name: string(stateLimits.nameCharsMax),
  /** Empty for nobody. */
  user: string(stateLimits.nameCharsMax),
  queueIds: list(u32, stateLimits.returningQueuesMax),
} as const;

/** SESSION: a session as it is from here on; without queues it is gone. Snapshots have the same. */
export const sessionRecord = struct(entry);

/** A session whose client would come back to it. */
export type ReturningSession = Omit<ValueOf<typeof entry>, "name">;

/**
 * The sessions whose clients would come back to them after a restart, by name. A record replaces what was said of
 * its session before, so that replaying old ones over a snapshot ends with what was said last.
 */
export class ReturningSessions {
  readonly all = new Map<string, ReturningSession>();

  apply({ name, user, queueIds }: ValueOf<typeof entry>): void {
    if (queueIds.length === 0) this.all.delete(name);
    else this.all.set(name, { user, queueIds: [...queueIds] });
  }
}
