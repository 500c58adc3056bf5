/** The limits of the command line. Each says its unit, why it is there, and what happens when it is hit. */
export const limits = {
  /** Sends that `send` has under way; further lines wait. Enough to fill a group commit. */
  sendsInFlightMax: 1_024,
  /** Acknowledgements that `consume` has under way; further messages wait. */
  acknowledgementsInFlightMax: 1_024,
  /** Bytes of a file that `send --body-file` reads at once. */
  bodyPieceBytes: 256 * 1024,
  /** `--count` up to which `consume` asks for no message more; above, a window of bytes is faster. */
  exactPrefetchMax: 100,
  /** Milliseconds that opening a consumer may take before `consume` fails; as long as any call. */
  openTimeoutMs: 30_000,
  /** Milliseconds between two pictures of `queue stat --watch`. */
  watchIntervalMs: 1_000,
  /** Milliseconds between two looks at how far a retry or purge is. */
  progressIntervalMs: 200,
  /**
   * Milliseconds that a retry or purge may take; large ones take minutes. Then the command fails, and the
   * broker goes on.
   */
  managementTimeoutMs: 3_600_000,
  /** Messages that `dlq show` shows when it is not told how many. */
  deadLettersShownDefault: 20,
  /** Messages that brokers list at once. More are a wrong command line. */
  deadLettersShownMax: 200,
  /** Characters of standard input that are read for a password; more are refused. */
  passwordInputCharsMax: 16 * 1024,
  /** Messages that `browse` shows when it is not told how many. */
  browseCountDefault: 100,
} as const;
