/** Mistakes that a group could have. Each is made by lying to its members, so no production code knows of them. */
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
] as const;

/** One of {@link mistakes}. */
export type Mistake = (typeof mistakes)[number];
