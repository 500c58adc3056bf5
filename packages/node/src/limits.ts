/** Every limit of this package, with its unit, its reason, and what happens when it is hit. */
export const limits = {
  /** Bytes of randomness fetched at once; more are fetched when they are used up. */
  randomPoolBytes: 4096,
  /** The longest single `setTimeout`, in ms (Node's own limit); longer delays are taken in steps. */
  timerStepMsMax: 2 ** 31 - 1,
  /** A lock file longer than this, in bytes, is not one of ours; it counts as left by a dead holder. */
  lockFileBytesMax: 4096,
  /** How often the holder of a lock shows that it lives, in ms. */
  lockHeartbeatMs: 1000,
  /**
   * How long a lock must show no sign of life before it is taken over, in ms, where its holder cannot
   * be looked at (another container or machine). Ten missed signs: a busy holder misses one or two.
   */
  lockSilenceMs: 10_000,
  /** Attempts to take a lock that others take at the same time; then it counts as taken. */
  lockAttemptCountMax: 8,
  /** Bytes of the path of a claim's socket: what macOS allows, and Linux nearly. `EVH_CONFIG` above. */
  claimPathBytesMax: 103,
  /** Ms before a watched claim is tried again, when a connection to it has ended or could not be made. */
  claimRetryMs: 20,
  /**
   * Milliseconds for one address of a host that has several; then the next one is tried. Node's own 250 ms are
   * less than a far or busy broker may take. The last one has what is left of the attempt.
   */
  addressAttemptMs: 1_000,
  /** Silence after which the system probes an idle TCP connection, in ms. */
  keepAliveDelayMs: 30_000,
  /** Connections that wait to be accepted; the system, which may allow fewer, delays further ones. */
  listenBacklogCount: 4096,
  /**
   * Descriptors kept for files and for the process itself: 64 segments of a journal, and as many again.
   * Where the process may have few in all, half of them. The others are for connections.
   */
  reservedDescriptorCount: 128,
  /**
   * Threads for file operations that a broker should have (`UV_THREADPOOL_SIZE`). With Node's four,
   * four slow reads would hold up the next journal write.
   */
  threadPoolCount: 16,
  /** Passwords checked at one time, a thread and 16 MiB each; further logins wait. */
  passwordChecksAtOnce: 2,
  /** Logins that wait to be checked, a few minutes' worth; further ones are told to try again later. */
  loginsWaitingMax: 2_000,
  /** Logins that were right and are remembered; the one used longest ago is forgotten first. */
  rightLoginsMax: 10_000,
  /** Characters of a password; a longer one is wrong. It bounds what a stranger can have hashed. */
  passwordCharsMax: 1_024,
  /** Milliseconds that a TLS handshake may take; then it is ended. As the broker's own for strangers. */
  handshakeTimeoutMs: 10_000,
  /** TLS handshakes under way at one acceptor; of more the oldest is ended. */
  handshakeCountMax: 1_024,
  /** Failed handshakes that have a line of the log each before there is one a second. */
  handshakeFailureLinesBurst: 8,
  /** Bytes of an HTTP request's head; a longer one is answered 431. Browsers send less than 1 KiB. */
  requestHeadBytesMax: 8 * 1024,
  /**
   * Bytes of one message of a WebSocket, in both directions, as Artemis has it by default (64 KiB); a larger one
   * closes the WebSocket (1009). Frames of CORE may be larger: they go over several messages.
   */
  webSocketMessageBytesMax: 64 * 1024,
  /** The same for what a broker sends to us: Artemis sends each frame whole. */
  webSocketAnswerBytesMax: 64 * 1024 * 1024 + 64 * 1024,
  /** Characters of what somebody else wrote that are shown in messages and log lines. The rest is cut off. */
  shownCharsMax: 300,
  /** Milliseconds between two looks at a file whose changes matter. */
  fileWatchIntervalMs: 2_000,
} as const;
