import { assert } from "@everhold/base";

/** The limits of the client: what each bounds, why, and what happens when it is hit. */
export const limits = {
  /**
   * Bytes of the smallest delivery, as credit counts it: a frame's header, the fields around a message and its
   * headers take 59. Less is reckoned with; a broker that delivered still less could exceed a count of messages.
   */
  deliveryBytesMin: 48,
  /**
   * Messages that one consumer may hold unsettled where its prefetch says bytes only. Then no more are delivered
   * until some are settled, and an `error` event with EVH_OVERLOADED says so.
   */
  heldMessageCountMax: 100_000,
  /** URLs in one list. More are refused with EVH_URL: each one costs a connect timeout when it is dead. */
  urlCountMax: 64,
  /** Characters of one URL or list. Longer ones are refused with EVH_URL. */
  urlLengthMax: 16_384,
  /** Bytes of one frame from the broker; a larger one ends the connection. */
  frameBytesMax: 64 * 1024 * 1024,
  /**
   * Bytes of a message that is sent, headers included: what fits the frames that a broker accepts. A
   * larger one is refused by `send()` with EVH_FRAME_TOO_LARGE.
   */
  messageBytesMax: 16 * 1024 * 1024 - 64 * 1024,
  /** Bytes that wait for the network above which the next part of a streamed body waits, too. */
  uploadQueuedBytesMax: 1024 * 1024,
  /** Bytes for headers and properties beside a body of bytes; one that leaves less of a frame is streamed. */
  headersBytesMax: 64 * 1024,
  /** Bytes of a body in parts that nobody has read, above which no more are let in beyond the window. */
  unreadBytesMax: 256 * 1024,
  /** Bytes of a body in parts that is put together in memory. A larger one is handed out as a stream. */
  largeMessageBytesMax: 256 * 1024 * 1024,
  /**
   * Rounds in which every broker failed by TLS or its certificates, one after the other. Then the connection
   * ends: only a person can help, who has had about a minute.
   */
  hopelessRoundsMax: 10,
  /** Bytes of the memory that sent frames share until the broker confirms them. A larger frame has its own. */
  sentSlabBytesMax: 64 * 1024,
  /**
   * Confirmation windows of sent frames that one session keeps to send them again on another connection. Of more
   * the oldest are forgotten, and until the broker has confirmed these a break makes the session begin anew.
   */
  sentWindows: 4,
  /** Bytes of those at least, where the window is small. */
  sentBytesMin: 1024 * 1024,
  /** Bytes in the output buffer that are sent at once rather than at the end of the turn. */
  outputFlushBytes: 256 * 1024,
  /** Bytes that an output buffer starts with. */
  outputBufferBytes: 64 * 1024,
  /** Output buffers kept for reuse; further ones are left to the garbage collector. */
  outputBufferCountMax: 4,
  /** Bytes beyond which an output buffer is not kept, so that one burst is not paid for ever. */
  outputBufferKeepBytes: 1024 * 1024,
  /** Sends of one session that wait for credit or room. More are refused with EVH_OVERLOADED. */
  waitingSendCountMax: 1_000_000,
  /** Bytes of those, in send buffers: 256 MiB by default. More are refused with EVH_OVERLOADED. */
  waitingSendBuffers: 16,
  /** Bytes of the memory that small messages share; it is kept until all of them are settled. */
  messageSlabBytes: 64 * 1024,
  /** Bytes up to which a message shares memory with others; larger ones have their own. */
  sharedMessageBytesMax: 8 * 1024,
  /** Sends of one session that the broker has not answered. Further ones wait. */
  unconfirmedSendCountMax: 1 << 16,
  /**
   * The same where the broker knows a repeated send by its duplicate id alone: Artemis remembers the last
   * 20,000 of an address, and others send to it too. Further ones wait.
   */
  unconfirmedSendCountByIdMax: 10_000,
  /** Addresses that one session keeps open for sending; the longest idle one is forgotten (Artemis: 1000). */
  addressCountMax: 1000,
  /** Characters of the reason of `reject()`, as many as our broker keeps. The rest is cut off. */
  rejectReasonCharsMax: 500,
  /** Characters of a name that CORE can carry. Above: EVH_INVALID_QUEUE. */
  nameCharsMax: 4_096,
  /**
   * Sessions of one connection: one for each consumer, session and transaction under way. More are
   * refused with EVH_OVERLOADED.
   */
  sessionCountMax: 1000,
  /** Transacted sessions kept for the next `transaction()`; further ones are closed after use. */
  idleTransactionCountMax: 8,
  /** Requests that wait for a reply. More are refused with EVH_OVERLOADED. */
  pendingRequestCountMax: 100_000,
  /** Status events that a reader of `status()` may leave unread; the oldest is dropped. */
  statusEventCountMax: 256,
  /** Milliseconds that a release may ask for, a year, as for brokers. More are a RangeError. */
  releaseDelayMsMax: 365 * 86_400_000,
  /**
   * Acknowledgements of one transaction that are listed after a break, so that what the broker did not hear of
   * comes again marked; of more the older half is taken as heard. And messages that a consumer has given back, which
   * it marks when they come again; of more none is marked by the client.
   */
  unheardAckCountMax: 10_000,
  /** Addresses of which a consumer remembers where their dead letters go. Of others it asks each time. */
  deadLetterAddressesKnownMax: 1_000,
  /** Milliseconds to ask the broker where it sends dead letters. Then they go to `DLQ`. */
  deadLetterAddressTimeoutMs: 5_000,
  /** Concurrent handlers of one `run()`. More are a RangeError. */
  concurrencyMax: 10_000,
  /** Lines in a row about handlers of one consumer that failed. Then one a second, with a count. */
  handlerFailureLinesBurst: 8,
  /** Nodes of a cluster that a client remembers. What is told of further ones is not heeded. */
  clusterMemberCountMax: 256,
  /** Where a node was said to be before, or would have been: so many addresses are remembered, the latest. */
  formerEndpointCountMax: 8,
  /** Sockets that connections which share may have between them. More are refused with EVH_CONFIG. */
  slotCountMax: 64,
  /** Redirects that one round of attempts follows. Further ones count as failed attempts. */
  redirectCountMax: 8,
  /** Attempts that the timeline of a failover keeps; of more the first are dropped, and counted. */
  timelineAttemptCountMax: 100,
  /** Milliseconds that a connection must have lasted for the back-off to start anew. */
  stableConnectionMs: 1000,
  /** Protocol versions that are tried when a broker does not know ours. */
  versionCountMax: 8,
} as const;

assert(limits.sharedMessageBytesMax <= limits.messageSlabBytes, "a slab must hold a message");
assert(limits.outputBufferBytes <= limits.outputFlushBytes, "an empty buffer must not be due");
assert(
  limits.unconfirmedSendCountByIdMax <= limits.unconfirmedSendCountMax,
  "ids are forgotten, marks are not",
);
assert(limits.outputFlushBytes <= limits.outputBufferKeepBytes, "a usual buffer must be kept");
