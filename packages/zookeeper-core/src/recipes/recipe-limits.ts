/** The limits that recipes share: what each bounds, why, and what happens when it is hit. */
export const recipeLimits = {
  /** Nodes that one call reads at once; the others follow. */
  readAtOnceMax: 100,
} as const;
