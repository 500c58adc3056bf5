/** The limits of watches: what each bounds, why, and what happens when it is hit. */
export const watchLimits = {
  /** Bytes of paths in one request that restores watches: well below what every server accepts. More go in parts. */
  restorePartBytesMax: 128 * 1024,
  /** Watches of one client; one that tells once counts for each path and callback. More are refused with EVH_OVERLOADED. */
  watchCountMax: 1_000_000,
  /** Requests in the background that are on their way at once. What is beyond waits for its turn. */
  upkeepRequestCountMax: 32,
} as const;
