import { assert } from "@everhold/base";

/**
 * The limits of the broker. Each says its unit, why it is what it is, and what happens when it is hit.
 * Those that an operator may change are the defaults of {@link BrokerConfig}.
 */
export const limits = {
  /** Bytes of one frame. A client that sends more is broken or hostile: its connection is closed. */
  frameBytesMax: 16 * 1024 * 1024,
  /** Bytes of one message that comes in one frame. Above: EVH_REJECTED for the send. */
  messageBytesMax: 16 * 1024 * 1024 - 64 * 1024,
  /** Bytes of one message that comes in parts, which only the disk bounds before. Above: EVH_REJECTED. */
  largeMessageBytesMax: 1024 * 1024 * 1024 * 1024,
  /** Parts of one such message: 12 bytes each in its record, 16 in memory. More: EVH_REJECTED. */
  largePartsMax: 1_000_000,
  /** Bytes of the headers and properties of such a message, which are in memory at times. Above: EVH_REJECTED. */
  largeHeadersBytesMax: 1024 * 1024,
  /** Bytes up to which a body that comes in parts is gathered in memory. What stays below is no large message. */
  largePartBytesMin: 64 * 1024,
  /** Bytes of a body in one record and in one packet to a consumer. More becomes several. */
  largePartBytesMax: 256 * 1024,
  /** The fewest bytes of a body in one packet, whatever a client's minLargeMessageSize says. */
  largeChunkBytesMin: 4 * 1024,
  /** Bytes of a body that one step hands to one consumer. It goes on in the next turn, and others have theirs. */
  largeBytesPerStep: 256 * 1024,
  /** Bytes of messages held in memory only. Above: producers wait, then EVH_ADDRESS_FULL. */
  memoryBytesMax: 1024 * 1024 * 1024,
  /** Milliseconds in which a new connection has to send its first whole packet. Then it is closed. As in Artemis. */
  handshakeTimeoutMs: 10_000,
  /** Bytes of one frame of a connection that has no session yet: names and a password. Above: it is closed. */
  handshakeFrameBytesMax: 64 * 1024,
  /** Connections that have not opened a session yet. Above: the one that has been so longest is closed. */
  strangerCountMax: 5_000,
  /** Lines in a row about connections that were closed before they had a session. Then one a second, with a count. */
  strangerLinesBurst: 32,
  /** Milliseconds without a byte before a connection is failed, until its first ping says otherwise. */
  connectionTtlMs: 60_000,
  /** Milliseconds between two looks at all connections (silence, due confirmations). As in Artemis. */
  checkIntervalMs: 2_000,
  /** Milliseconds between two looks for expired messages and unused queues. As in Artemis. */
  scanIntervalMs: 30_000,
  /** Rows looked at in one step of such a scan, so that no step takes longer than some milliseconds. */
  scanRowsPerStep: 10_000,
  /** Scheduled messages that become ready in one step. The others follow in the next turn. */
  dueRowsPerStep: 2_000,
  /** Milliseconds between two looks at the time of day while something is scheduled: it may have been set. */
  scheduleCheckMs: 1_000,
  /** Milliseconds that a release may ask for: a year. Above: EVH_REJECTED for the release. */
  releaseDelayMsMax: 365 * 86_400_000,
  /** Milliseconds until a dead letter or an expired message is tried again whose queue could not be made. */
  sinkRetryMs: 30_000,
  /** Warnings about queues for dead letters that are not said again. Above: they may be, once each. */
  sinkWarningsKept: 1_000,
  /** Rows that one record of a purge settles, so that it fits whatever the gaps between them. More: more records. */
  purgeRowsPerRecord: 4_000,
  /** Connections at one time. Above, or where the system has no descriptors for more: the new one is closed. */
  connectionCountMax: 100_000,
  /** Sessions of one connection. Above: EVH_ILLEGAL_STATE for the creation. */
  sessionsPerConnectionMax: 1_000,
  /** Sessions whose connection broke and whose clients may come back. Above: those of the oldest connection fail. */
  parkedSessionsMax: 10_000,
  /** Frames of one session that its client has not confirmed, 20 bytes each. Above: it cannot be taken up again. */
  resendFramesMax: 1024 * 1024,
  /** Bytes of those that are kept as such: answers, and deliveries that cannot be read again. Above: the same. */
  resendBytesMax: 8 * 1024 * 1024,
  /** Bytes of all sessions' unconfirmed frames. What one takes beyond the room that is left: the same for it. */
  resendTotalBytesMax: 256 * 1024 * 1024,
  /** Lines in a row about broken connections whose sessions wait. Then one a second, with a count. */
  parkedLinesBurst: 32,
  /** Consumers of one session. Above: EVH_ILLEGAL_STATE for the creation. */
  consumersPerSessionMax: 10_000,
  /** Producers of one session that are listed for people. Further ones work, and are not listed. */
  producersPerSessionMax: 1_000,
  /** Metadata entries of one session. Above: EVH_ILLEGAL_STATE. */
  metadataPerSessionMax: 100,
  /** Bytes that a message's record may need beside the message: hundreds of targets, mark, duplicate id. */
  recordOverheadBytes: 4 * 1024,
  /** Properties that a message may have for us to add ours to it. Above: not added; EVH_REJECTED for our own sends. */
  propertiesMax: 60_000,
  /** Milliseconds that a stopping broker waits for clients to take their last bytes. Then it cuts them off. */
  lingerMs: 1_000,
  /** Answers that wait for a commit, of all sessions. Above: connections are read no more until it sinks. */
  waitersHigh: 1_000_000,
  /** Addresses, auto-created ones included; each takes some hundred bytes. Above: EVH_ILLEGAL_STATE. */
  addressCountMax: 1_000_000,
  /** Queues, temporary ones included; each takes about a kilobyte. Above: EVH_ILLEGAL_STATE. */
  queueCountMax: 1_000_000,
  /** Matches that the configuration's address settings may name; each takes part in the creation of an address. Above: EVH_CONFIG. */
  settingsMatchesMax: 10_000,
  /** Diverts, configured ones and those made at run time. Above: EVH_CONFIG or EVH_REJECTED. */
  divertsMax: 1_000,
  /** Addresses that one divert forwards to. Above: EVH_CONFIG or EVH_REJECTED. */
  divertTargetsMax: 64,
  /** Diverts that lead one message to queues, one after the other. Above: EVH_REJECTED for the send. */
  divertsFollowedMax: 100,
  /** Matches for which settings are given at run time; all are said anew with each change. Above: EVH_CONFIG. */
  runtimeSettingsMax: 1_000,
  /** Sets of address settings that addresses share. Above: the table starts anew, and later ones share anew. */
  settingsResolvedMax: 10_000,
  /** Milliseconds of the longest delay that a setting may name: a hundred years. Above: EVH_CONFIG. */
  delayMsMax: 100 * 366 * 86_400_000,
  /** Milliseconds after its start that a broker holds the queues of sessions that have not come back yet. */
  resumeGraceMs: 2_000,
  /** Milliseconds that a returning session's deliveries wait for their consumer. Then they go back. */
  resumeHoldMs: 2_000,
  /** Messages of a queue that one resumption looks through for what is not at its place. Further ones are not found. */
  resumeRowsMax: 20_000,
  /** Sessions whose queues wait for them after a restart; some 100 bytes each. Those of further ones do not. */
  returningSessionsMax: 10_000,
  /**
   * Messages of before a restart of which is known that others have got them since, while sessions may still come late
   * that held them; 8 bytes and more each. Above: those sessions are forgotten.
   */
  lateMessageIdsMax: 5_000,
  /** Characters of the name of an address or a queue. Above: EVH_INVALID_QUEUE. */
  nameCharsMax: 1_000,
  /** Characters of a selector. Above: EVH_INVALID_FILTER. */
  filterCharsMax: 16_384,
  /** Characters of an error's message as a client gets it. Above: the rest is cut off. */
  errorCharsMax: 4_096,
  /** Nesting of a selector; each level is a call on our stack. Above: EVH_INVALID_FILTER. */
  filterDepthMax: 200,
  /** Positions of a LIKE pattern with `_`, whose cost grows with them. Above: EVH_INVALID_FILTER. */
  likePositionsMax: 256,
  /** Multicast queues of an address above which an index finds those whose filters may want a message; fewer are asked each. */
  indexedQueuesMin: 8,
  /** Rows that one filter looks at in one step before the pump lets others run. It goes on next turn. */
  filterRowsPerStep: 2_000,
  /** Messages that one pump of one queue hands out in one step. It goes on in the next turn. */
  dispatchPerStepMax: 2_000,
  /** Bytes not yet taken by the system above which a connection gets no deliveries until it drains. */
  outputHighBytes: 1024 * 1024,
  /** Bytes of answers not yet taken above which a connection is read no more until it drains. */
  outputPauseBytes: 4 * 1024 * 1024,
  /** Bytes of the largest output buffer; there are smaller ones of 16, 4 and 1 KiB. Larger frames get one of their own. */
  outputBufferBytes: 64 * 1024,
  /** Bytes of free output buffers of each size. More, and what is not needed for seconds, is let go. */
  outputBytesKept: 16 * 1024 * 1024,
  /** Writers for output buffers kept for the next use. More are let go. */
  outputWritersKept: 4_096,
  /** Bytes that the journal holds and has not committed, above which producers are read no more. */
  stagedHighBytes: 16 * 1024 * 1024,
  /** The same for connections that send a message in parts: others' small ones wait behind at most so much. */
  uploadStagedHighBytes: 4 * 1024 * 1024,
  /** Messages sent in one transaction; each takes 72 bytes of memory until it ends. Above: it can only be rolled back, EVH_REJECTED. */
  transactionSendsMax: 1_000_000,
  /** Acknowledgements in one transaction, 8 bytes of memory each. Above: the same. */
  transactionAcksMax: 1_000_000,
  /** Bytes sent in one transaction; what is not in memory lies in the journal. Above: the same. */
  transactionBytesMax: 16 * 1024 * 1024 * 1024,
  /** Bytes that one transaction may hold in memory for queues that are there only. Above: the same. */
  transactionMemoryBytesMax: 64 * 1024 * 1024,
  /** Bytes of duplicate ids and producers' marks of one transaction, which are in memory. Above: the same. */
  transactionIdBytesMax: 2 * 1024 * 1024,
  /** Bytes that one transaction holds in memory. Above: they go into the journal in pieces. */
  transactionHeldBytesMax: 8 * 1024 * 1024,
  /** Messages that one transaction holds in memory. Above: the same. */
  transactionHeldSendsMax: 50_000,
  /** Bytes that all open transactions hold together. Above: the same, for each above the next limit. */
  transactionsHeldBytesMax: 64 * 1024 * 1024,
  /** Bytes that a transaction may hold however many there are, so that pieces are worth their records. Above: the same. */
  transactionHeldBytesMin: 64 * 1024,
  /** Acknowledgements in one record of a transaction in pieces. More: more records. */
  transactionAcksPerRecord: 10_000,
  /** Branches of distributed transactions that are not decided. Above: XAER_RMERR for the next one. */
  branchesMax: 100_000,
  /** Milliseconds that a branch may last before it is prepared, as in Artemis. Then it is rolled back. */
  branchTimeoutMs: 300_000,
  /** Milliseconds between two looks for such branches, as in Artemis. */
  branchCheckMs: 1_000,
  /** Management requests in one local transaction, for their replies wait for its end. Above: the same. */
  transactionRequestsMax: 1_000,
  /** Addresses that one connection finds by the bytes of their name. Above: the table starts anew. */
  addressCacheMax: 1_024,
  /** Runs of sequences of forced deliveries that one consumer waits for; clients count them up. Above: protocol error. */
  forcedDeliveryRunsMax: 64,
  /** Notifications that one step makes. Further ones of the step are dropped. */
  notificationsPerStepMax: 10_000,
  /** Message groups of one queue whose owner is known. Above: that of the group used longest ago is forgotten. */
  groupsPerQueueMax: 65_536,
  /** Characters of a group's id that people are shown. The rest is cut off. */
  groupNameCharsMax: 256,
  /** Milliseconds between two looks for slow consumers of a queue, at least, whatever its settings say. */
  slowConsumerCheckMsMin: 100,
  /** Requests for credit that wait, one for each session and address. Above: EVH_ADDRESS_FULL for the producer. */
  creditRequestsMax: 100_000,
  /** Milliseconds that granted credit counts which nobody uses, when those who wait for more are served. */
  promisedCreditMs: 1_000,
} as const;

assert(limits.outputHighBytes < limits.outputPauseBytes, "deliveries stop before reading stops");
assert(limits.outputBufferBytes < limits.outputHighBytes, "one buffer never stops deliveries");
assert(
  limits.strangerCountMax < limits.connectionCountMax,
  "strangers give way before known clients are refused",
);
assert(
  limits.largePartsMax * 12 < 15 * 1024 * 1024,
  "the list of a large message's parts fits into a record, and into a section of a snapshot",
);
assert(limits.largePartBytesMin < limits.largePartBytesMax, "what is gathered fits into a part");
assert(limits.messageBytesMax < limits.frameBytesMax, "a message fits into a frame");
assert(limits.messageBytesMax <= limits.transactionBytesMax, "one message fits into a transaction");
assert(
  limits.transactionHeldBytesMin < limits.transactionHeldBytesMax,
  "a crowd of transactions holds less than one",
);
assert(
  limits.transactionAcksMax * 12 + limits.transactionIdBytesMax < 15 * 1024 * 1024,
  "what a transaction holds in memory fits into one snapshot section of 16 MiB",
);
