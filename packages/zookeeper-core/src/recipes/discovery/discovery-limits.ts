/** The limits of service discovery: what each bounds, why, and what happens when it is hit. */
export const discoveryLimits = {
  /** Bytes of one instance's JSON. Of more it is refused with EVH_CONFIG; what others wrote is told as invalid. */
  instanceBytesMax: 256 * 1024,
  /** Events that a reader may leave unread; of more the oldest is dropped. */
  unreadEventCountMax: 1000,
  /** Instances whose errors a provider remembers. Of more, the one that failed first is forgotten. */
  downMarkCountMax: 10_000,
} as const;
