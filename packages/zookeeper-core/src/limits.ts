/** The limits of the client: what each bounds, why, and what happens when it is hit. */
export const limits = {
  /**
   * How often one create makes what is missing above its node: containers may go again while it does. When hit: NONODE.
   */
  parentAttemptCountMax: 16,
  /**
   * How often one delete removes what is below its node: others may create there while it does. When hit: NOTEMPTY.
   */
  childrenAttemptCountMax: 16,
  /** Requests of one delete of a whole tree on their way at once. */
  treeRequestCountMax: 100,
  /** Things that are done afterwards at once, as deletes that are guaranteed. When hit: an `error` event, EVH_OVERLOADED. */
  afterwardsCountMax: 10_000,
  /** Milliseconds of the longest pause between attempts at such a thing. */
  afterwardsPauseMsMax: 5000,
  /**
   * Servers that a client knows: each costs its time when it is dead. More in a connect string are refused with EVH_URL,
   * more in the ensemble's own configuration are left out with a warning.
   */
  serverCountMax: 64,
  /** Characters of a connect string. A longer one is refused with EVH_URL. */
  connectStringCharactersMax: 16_384,
  /** Characters of a path: the bytes of a request, as servers take them by default. A longer one is refused with EVH_PATH. */
  pathCharactersMax: 1_048_575,
  /** Characters of a path that is refused which are shown in the message. The rest is cut off. */
  shownPathCharactersMax: 300,
  /** Events that a watch that stays keeps unread; of more, all give way to one `gap`. */
  unreadNoticeCountMax: 10_000,
} as const;
