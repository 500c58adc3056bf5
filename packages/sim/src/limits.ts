/** Every limit of this package, with its unit, its reason, and what happens when it is hit. */
export const limits = {
  /** Events of one run; a world that has more goes round in circles, and the run counts as failed. */
  eventCountMax: 5_000_000,
  /** Bytes that a simulated connection holds between the two ends at most; the rest waits in `queuedBytes`. */
  windowBytesMax: 256 * 1024,
  /** And at least, so that back-pressure is met often. */
  windowBytesMin: 4 * 1024,
  /** Bytes that arrive in one piece at most, as with a real socket. */
  chunkBytesMax: 64 * 1024,
  /** Virtual ms after which an attempt to connect into a partition fails, as TCP's own does. */
  connectTimeoutMs: 20_000,
  /** Ports given out for port 0 begin here. */
  portFirst: 40_000,
} as const;
