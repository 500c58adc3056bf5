import type { RegisterName, StoreEvent } from "./history.ts";

/** What happens in a register where two write who each believe to be alone. */
export interface Suffering {
  readonly writes: number;
  /** Under a turn that is older than one that was there before. */
  readonly interleavedWrites: number;
  /** Counts that are missing at the end: everybody who wrote added one. */
  readonly lostUpdates: number;
}

/** The same, and how many tokens were shown by more than one process. */
export interface AccessJudgement extends Suffering {
  readonly sharedTokens: number;
}

/** Judges what was done to one register, in the order in which the store did it. */
export function judgeAccesses(
  accesses: readonly StoreEvent[],
  register: RegisterName,
): AccessJudgement {
  let writes = 0;
  let interleavedWrites = 0;
  let newestGrant = 0;
  let first: number | undefined;
  let last = 0;
  const processesByToken = new Map<number, Set<number>>();
  for (const one of accesses) {
    if (one.register !== register || !one.isTaken) continue;
    const isOld = one.grant < newestGrant;
    // Whoever has read under a newer turn writes what it has read and one: what comes between is lost.
    newestGrant = Math.max(newestGrant, one.grant);
    if (one.access === "read") continue;
    writes += 1;
    if (isOld) interleavedWrites += 1;
    first ??= one.value;
    last = one.value;
    const processes = processesByToken.get(one.token) ?? new Set();
    processesByToken.set(one.token, processes.add(one.process));
  }
  const lostUpdates = first === undefined ? 0 : writes - (last - first + 1);
  const sharedTokens = [...processesByToken.values()].filter(({ size }) => size > 1).length;
  return { writes, interleavedWrites, lostUpdates, sharedTokens };
}
