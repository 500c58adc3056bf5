import type { ContenderEvent } from "./history.ts";

type Change = Extract<ContenderEvent, { kind: "changed" }>;

/**
 * Judges the register in ZooKeeper. What was applied for sure is in the order of its transactions; what may have been
 * changes nothing about what is wrong between the others: whoever counts on has read what was there.
 */
export function judgeChanges(changes: readonly Change[]): {
  readonly outOfOrder: number;
  readonly lostUpdates: number;
  readonly refused: number;
} {
  const applied = changes
    .filter(({ outcome }) => outcome === "applied")
    .toSorted((left, right) => left.zxid - right.zxid);
  let outOfOrder = 0;
  let lostUpdates = 0;
  let newest = 0;
  let count = 0;
  for (const change of applied) {
    if (change.token < newest) outOfOrder += 1;
    if (change.count <= count) lostUpdates += 1;
    newest = Math.max(newest, change.token);
    count = Math.max(count, change.count);
  }
  const refused = changes.filter(({ outcome }) => outcome === "none").length;
  return { outOfOrder, lostUpdates, refused };
}
