/** A session as it outlives the process that had it. Who knows it can end it or take it over: it is a secret. */
export interface StoredSession {
  readonly sessionId: bigint;
  /** 16 bytes. */
  readonly password: Uint8Array;
  /** Milliseconds after which the servers end it when they do not hear of it. */
  readonly sessionTimeout: number;
}

/**
 * Keeps a client's session beyond its process, so that the next process can end it at once: a process that was killed
 * leaves a session, with ephemeral nodes and locks, which otherwise lasts until its timeout.
 *
 * A store is for one client of one ensemble. Whoever loads a session ends it, also where another process lives in it:
 * so a store must see to it that nobody else uses it, from `load` to `close` or the end of the process, and refuse
 * otherwise.
 */
export interface SessionStore {
  /**
   * What the client before left; `undefined` for nothing. Asked before anything is connected to; what it throws ends
   * `connect`, and nothing else is called then. It may take 30 s, which do not count as `connectTimeout`.
   */
  load(): Promise<StoredSession | undefined>;
  /**
   * The session that there is now, before anything is done in it; `undefined` when it has ended and left none. One call
   * at a time. What it throws is told by the event `error`, and tried again after a pause, from 1 s to a minute, and with
   * the next connection; but EVH_DATA_LOCKED says that somebody else has the store, and nothing is saved any more.
   */
  save(session: StoredSession | undefined): Promise<void>;
  /** The client has ended. Called once; nothing is called behind it. */
  close(): Promise<void>;
}
