/** The limits of one connection to a server: unit, reason, and what happens when they are hit. */
export const connectionLimits = {
  /**
   * Bytes of one request, header included: a server closes the connection for a larger one (`jute.maxbuffer`). The
   * default of `maxRequestBytes`; more are refused with EVH_FRAME_TOO_LARGE before anything is sent.
   */
  requestBytesMax: 1_048_575,
  /** Bytes of one answer; servers do not bound them. The default of `maxReplyBytes`; more end the connection. */
  replyBytesMax: 64 * 1024 * 1024,
  /** Bytes in the output buffer that are sent at once rather than at the end of the turn. */
  outputFlushBytes: 256 * 1024,
  /** Bytes that an output buffer starts with. */
  outputBufferBytes: 16 * 1024,
  /** Output buffers kept for reuse; further ones are left to the garbage collector. */
  outputBufferCountMax: 4,
  /** Bytes beyond which an output buffer is not kept, so that one burst is not paid for ever. */
  outputBufferKeepBytes: 512 * 1024,
  /** Bytes that wait for the network above which requests wait too, where they are still known to be unsent. */
  queuedBytesMax: 4 * 1024 * 1024,
  /** Milliseconds without a request after which a server is pinged at the latest, however long the session's timeout. */
  pingIntervalMsMax: 10_000,
  /** Milliseconds between two moments of which it is kept that the server heard of the session; what is closer is not. */
  touchGapMs: 250,
  /** Such moments that are kept; of more, the oldest is forgotten, and a lease is held later by that. */
  touchCountMax: 64,
  /** Pings whose answers are still to come; no more are sent, and silence ends the connection anyway. */
  pingCountMax: 100,
} as const;
