/** What becomes of a node, and of its name. */
export interface CreateModeEntry {
  /** The number in the request. */
  readonly flags: number;
  /** Whether it goes when its session ends. Such a node can't have children. */
  readonly isEphemeral: boolean;
  /** Whether the server appends ten digits that count the children its parent has had. */
  readonly isSequential: boolean;
  /** Whether it needs a time to live. */
  readonly hasTtl: boolean;
}

/** The kinds of node. */
export const createModes = {
  /** Stays until it is deleted. */
  persistent: { flags: 0, isEphemeral: false, isSequential: false, hasTtl: false },
  /** Goes when its session ends; can't have children. */
  ephemeral: { flags: 1, isEphemeral: true, isSequential: false, hasTtl: false },
  /** As persistent, with a number behind its name. */
  persistentSequential: { flags: 2, isEphemeral: false, isSequential: true, hasTtl: false },
  /** As ephemeral, with a number behind its name. */
  ephemeralSequential: { flags: 3, isEphemeral: true, isSequential: true, hasTtl: false },
  /** The server deletes it some time after its last child has gone. */
  container: { flags: 4, isEphemeral: false, isSequential: false, hasTtl: false },
  /** The server deletes it when it has no children and was not changed for its time to live. */
  persistentTtl: { flags: 5, isEphemeral: false, isSequential: false, hasTtl: true },
  /** As persistentTtl, with a number behind its name. */
  persistentSequentialTtl: { flags: 6, isEphemeral: false, isSequential: true, hasTtl: true },
} as const satisfies Record<string, CreateModeEntry>;

/** The name of a kind of node. */
export type CreateMode = keyof typeof createModes;

/** The longest time to live, in ms (about 34 years). Source: ZooKeeper, `EphemeralType.TTL`. */
export const ttlMsMax = 0xff_ffff_ffff;

/**
 * The number that the server put behind `prefix` in the name of a sequential node; `undefined` where there is none.
 * Counts how many children the parent has had, so it begins anew with a parent that was deleted, and turns negative
 * after 2^31 − 1: compare with {@link compareSequences}. It is no fencing token; `czxid` is.
 */
export function sequenceOf(name: string, prefix: string): number | undefined {
  if (!name.startsWith(prefix)) return undefined;
  const suffix = name.slice(prefix.length);
  return /^(?:\d{10}|-\d{9,10})$/.test(suffix) ? Number(suffix) | 0 : undefined;
}

/** Below 0 when `one` was created before `other`, also where the counter has wrapped in between. */
export function compareSequences(one: number, other: number): number {
  return (one - other) | 0;
}
