/** The limits of elections: what each bounds, why, and what happens when it is hit. */
export const leadershipLimits = {
  /** Events of one latch or selector that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 100,
  /** Milliseconds before a candidate stands again whose session ended before it led, at first. */
  pauseMsMin: 50,
  /** Milliseconds of that at most: sessions that end again and again do not make elections at that pace. */
  pauseMsMax: 2000,
  /**
   * Milliseconds for which a leader must have led that stands again at once when somebody has deleted its node; sooner,
   * there are pauses as above.
   */
  steadyMsMin: 2000,
} as const;
