/** The limits of what is restored by itself: what each bounds, why, and what happens when it is hit. */
export const managedLimits = {
  /** How often one attempt to hold a node looks and creates in turn. Then it fails, and another one follows later. */
  placingAttemptCountMax: 16,
  /** Sessions whose nodes a client knows for its own from before. Nodes of older ones count as somebody else's. */
  formerSessionCountMax: 16,
  /** Nodes that are put in place at once in a new session; the others follow. */
  restoredAtOnceMax: 100,
  /** Milliseconds before the first attempt after one that failed. */
  pauseMsMin: 100,
  /** Milliseconds between attempts that go on failing, at most. */
  pauseMsMax: 30_000,
  /** Events of one held node that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 100,
} as const;
