/** The limits of caches: what each bounds, why, and what happens when it is hit. */
export const cacheLimits = {
  /** Nodes that are read at once; the others wait. */
  readCountMax: 50,
  /** Nodes of one cache unless its options say otherwise. Of more the cache ends with EVH_OVERLOADED. */
  nodeCountMax: 250_000,
  /** Bytes of data and paths of one cache unless its options say otherwise. Of more it ends with EVH_OVERLOADED. */
  bytesMax: 256 * 1024 * 1024,
  /** Events that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 10_000,
  /** Milliseconds before reading goes on after a read that failed. */
  pauseMsMin: 100,
  /** Milliseconds between reads that go on failing, at most. */
  pauseMsMax: 10_000,
} as const;
