import type { ContenderEvent } from "./history.ts";

type Change = Extract<ContenderEvent, { kind: "changed" }>;

/**
 * Judges the register in ZooKeeper. What was applied for sure is in the order of its transactions; what may have been
 * changes nothing about what is wrong between the others: whoever counts on has read what was there. So each count that
 * nobody's applied change came to is one that may have been, or one of a process that was killed in the middle of it;
 * any other took effect though somebody was told that it had not.
 * @param killedInDoubt changes that had begun when their process was killed
 */
export function judgeChanges(
  changes: readonly Change[],
  killedInDoubt: number,
): {
  readonly outOfOrder: number;
  readonly lostUpdates: number;
  readonly appliedThoughNone: number;
  readonly refused: number;
} {
  const inDoubt = new Set(
    changes.filter(({ outcome }) => outcome === "unknown").map(({ count }) => count),
  );
  const applied = changes
    .filter(({ outcome }) => outcome === "applied")
    .toSorted((left, right) => left.zxid - right.zxid);
  let outOfOrder = 0;
  let lostUpdates = 0;
  let newest = 0;
  let count = 0;
  let unexplained = 0;
  for (const change of applied) {
    if (change.token < newest) outOfOrder += 1;
    if (change.count <= count) lostUpdates += 1;
    for (let between = count + 1; between < change.count; between += 1) {
      if (!inDoubt.has(between)) unexplained += 1;
    }
    newest = Math.max(newest, change.token);
    count = Math.max(count, change.count);
  }
  const refused = changes.filter(({ outcome }) => outcome === "none").length;
  const appliedThoughNone = Math.max(0, unexplained - killedInDoubt);
  return { outOfOrder, lostUpdates, appliedThoughNone, refused };
}
