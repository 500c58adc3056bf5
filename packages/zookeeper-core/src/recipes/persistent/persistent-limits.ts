/** The limits of nodes that are kept: what each bounds, why, and what happens when it is hit. */
export const persistentLimits = {
  /** How often a node that keeps another one from lapsing is written in its time to live. */
  touchesPerTtl: 2,
  /** Milliseconds before the first attempt after one that failed. */
  pauseMsMin: 100,
  /** Milliseconds between attempts that go on failing, at most. */
  pauseMsMax: 30_000,
  /** Milliseconds a node stands before the next one is made without a pause; one that is deleted sooner is once. */
  standMsMin: 1000,
  /** Events of one node that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 100,
} as const;
