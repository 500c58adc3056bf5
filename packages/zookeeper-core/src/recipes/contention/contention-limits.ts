/** The limits of who stands in line: what each bounds, why, and what happens when it is hit. */
export const contentionLimits = {
  /** Milliseconds before the first attempt after one that failed, or whose node somebody deleted. */
  pauseMsMin: 20,
  /** Milliseconds of the longest pause between attempts, while no server answers or what was attempted goes on failing. */
  pauseMsMax: 1000,
} as const;
