/** The limits of who stands in line: what each bounds, why, and what happens when it is hit. */
export const contentionLimits = {
  /** Milliseconds of the longest pause between attempts while no server answers. */
  pauseMsMax: 1000,
} as const;
