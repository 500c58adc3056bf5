/** The limits of this package. Times are milliseconds. */
export const limits = {
  /** How long a live that is closed waits for another member to take over, besides the group's own time for it. */
  handOverMarginMs: 1000,
  /** How often it looks meanwhile who can take over. */
  handOverLookMs: 20,
  /** How long a live that is closed waits until what was asked is answered and durable everywhere. */
  closeMs: 5000,
  /** Pause before what could not be done is tried again: opening the journal, listening, reading the group's node. */
  retryMs: 500,
  /** Pause before a folder that could not be filled is filled again. */
  fillAgainMs: 5000,
  /** The longest pause before a journal that does not open is mended again: each attempt reads all of it. */
  mendAgainMaxMs: 30_000,
  /** How often a member that waits to start says for what. */
  tellWaitingMs: 30_000,
  /** Registering again after it failed. */
  registerAgainMs: 2000,
} as const;
