/**
 * Mistakes that a group could have: its rules, taken out one by one. Each is made by lying to its members, about what
 * they know or what happened, so no production code knows of them.
 */
export const mistakes = [
  /** The live is told that the set is smaller before ZooKeeper has made it so. */
  "release-before-shrink",
  /** A candidate's fence is said to be durable, and is not. */
  "promote-without-fence",
  /** A wiped disk comes back under its old incarnation. */
  "stale-incarnation",
  /** A backup is cut to what it knows to be committed. */
  "truncate-to-commit",
  /** A sign of life that names the end of the journal counts as an acknowledgement. */
  "trust-heartbeat",
  /** The live counts what its own disk has not confirmed. */
  "count-unsynced",
  /** In-sync sets that were asked for do not count before they are known to be in force. */
  "forget-asked",
  /** A read that shows the old version settles what was asked for. */
  "old-read-settles",
  /** What a read tells late is news. */
  "believe-old-read",
  /** A member joins with what is known to be committed, and without the beginning of the epoch. */
  "join-by-commit",
  /** A member stands that is not in sync. */
  "stand-out-of-sync",
  /** A process that starts does not know what its disk has promised. */
  "forget-promise",
  /** A candidate's epoch is one above the node's, though it has promised that one before. */
  "reuse-epoch",
  /** The least number in sync is not looked at. */
  "ignore-minimum",
  /** A backup appends whatever comes, wherever it belongs. */
  "append-anywhere",
  /** A backup keeps what its live does not have. */
  "no-cut",
  /** A cut ends in alignment, whichever link and epoch it was for. */
  "align-after-cut",
  /** A new live takes writes before its epoch's first record is committed. */
  "serve-early",
  /** A live does not step down when the node names another. */
  "no-step-down",
  /** A live does not rise above an epoch that somebody has promised. */
  "ignore-higher-epoch",
  /** A backup greets with the node's epoch, whatever it has promised. */
  "follow-lower",
  /** A member is known by its name, whichever disk it has. */
  "trust-name",
  /** Who is to take over is invited once. */
  "invite-once",
  /** A request that failed is never made again. */
  "no-retry",
] as const;

/** One of {@link mistakes}. */
export type Mistake = (typeof mistakes)[number];
