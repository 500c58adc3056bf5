/** The limits of counters: what each bounds, why, and what happens when it is hit. */
export const counterLimits = {
  /**
   * Writers whose last change a counter's node remembers, 12 bytes each. Of more, the one whose change is the oldest is
   * forgotten: whether a change of its took effect, whose answer was lost, can then not be found out any more.
   */
  writerCountMax: 64,
  /** Milliseconds before the next attempt where somebody else was quicker, at first. */
  pauseMsMin: 2,
  /** Milliseconds between attempts while others go on being quicker, at most. */
  pauseMsMax: 200,
} as const;
