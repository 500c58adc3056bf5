/** The limits of shared values: what each bounds, why, and what happens when it is hit. */
export const sharedLimits = {
  /** Events that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 100,
  /** Milliseconds before the next attempt to read after one that failed. */
  pauseMsMin: 100,
  /** Milliseconds between attempts that go on failing, at most. */
  pauseMsMax: 10_000,
  /** How often one `set` writes and creates in turn while others delete the node. Then it fails with NONODE. */
  attemptCountMax: 16,
} as const;
