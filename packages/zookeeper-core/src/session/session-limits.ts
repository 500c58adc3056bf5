/** The limits of a session: unit, reason, and what happens when they are hit. */
export const sessionLimits = {
  /** Requests that the server has yet to answer; more stay unsent. Servers stop reading at 1000 of all clients. */
  outstandingCountMax: 1000,
  /** Requests that wait to be sent. More are refused with EVH_OVERLOADED. */
  unsentCountMax: 100_000,
  /** Bytes that those requests hold, data and paths: what an outage may cost. More are refused with EVH_OVERLOADED. */
  unsentBytesMax: 256 * 1024 * 1024,
  /** Milliseconds that one server has at least for socket, TLS and handshake, however many servers there are. */
  attemptMsMin: 1000,
  /**
   * Milliseconds that a server has at least, besides the session's timeout, for logins, identities, watches and held
   * nodes, before requests may leave. When they are over, another server is gone to.
   */
  readyMsMin: 30_000,
  /** Milliseconds of the first pause after a round in which no server could be connected to, before jitter. */
  roundPauseMsMin: 300,
  /** Milliseconds of the longest pause between rounds: a session must not end because servers that are back go unseen. */
  roundPauseMsMax: 1500,
  /** Milliseconds of a random pause before a connection that broke is replaced: its server's other clients come too. */
  reconnectPauseMsMax: 100,
  /** Milliseconds that a connection must last for the next round to begin without a pause. */
  stableConnectionMs: 1000,
  /** Milliseconds that a server has in `close()` to end a session that was given up. Then it expires by itself. */
  revocationMsMax: 1000,
  /** Sessions that were given up and are still to be ended; the oldest are left to expire. */
  formerCountMax: 8,
  /** Attempts to end one of them with servers that are there and do not. Then it is left to expire. */
  revocationTriesMax: 300,
  /** Identities that a client may have, as each connection is given all. More are refused with EVH_OVERLOADED. */
  identityCountMax: 100,
  /** Milliseconds for answers when a server that works is left for another one; what is still to come then is unknown. */
  departureMsMax: 5000,
  /** Milliseconds that a source of connect strings may take. Then it is asked again, and that is told. */
  sourceMsMax: 30_000,
  /** Milliseconds between two questions to it. */
  sourcePauseMsMin: 1000,
  /**
   * Milliseconds that a store of the session may take to load it, besides `connectTimeout`: three times the 10 s after
   * which a folder's user that gives no sign of life counts as ended. Then `connect` fails with EVH_TIMEOUT.
   */
  storeLoadMsMax: 30_000,
  /** Milliseconds that a store of the session may take for each call. Then the client goes on without, and tells of it. */
  storeMsMax: 5000,
  /** Milliseconds of the pause after a session could not be stored; it doubles each time. Then it is tried again. */
  storePauseMsMin: 1000,
  /** Milliseconds of the longest such pause. */
  storePauseMsMax: 60_000,
  /** Milliseconds that `close()` waits for the server to end the session, where the caller does not say. */
  closeMsMax: 5000,
  /** Events that a reader of `events()` may leave unread; the oldest is dropped. */
  eventCountMax: 1000,
} as const;
