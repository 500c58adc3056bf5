/** The limits of a configuration. Each says its unit, why it is there, and what happens when it is hit. */
export const limits = {
  /** Bytes of a configuration file, or of a file that one names. Larger: EVH_CONFIG. It bounds parsing. */
  configFileBytesMax: 1024 * 1024,
  /** Keys, values and list items of one configuration file, aliases unfolded. More: EVH_CONFIG. */
  configNodeCountMax: 10_000,
  /** Users that a configuration may name. More: EVH_CONFIG. Each login looks one of them up. */
  userCountMax: 1_000,
  /** Characters of a user's name. More: EVH_CONFIG. */
  userNameCharsMax: 256,
  /** Characters of a new password. More: EVH_CONFIG. Brokers take no longer one for a right one. */
  passwordCharsMax: 1_024,
  /** Acceptors that a configuration may name. More: EVH_CONFIG. Each is one listening socket. */
  acceptorCountMax: 16,
  /** Maps and lists within each other in a configuration. Deeper: EVH_CONFIG. It bounds recursion. */
  configDepthMax: 32,
  /** How fast the journal is read again to find what the disk has damaged, in bytes per second: a hundredth of what a disk gives. */
  scrubBytesPerSecondDefault: 4 * 1024 * 1024,
  /** Files that a configuration names by `file:`, each naming the next. More: EVH_CONFIG. Ends circles. */
  configFileDepthMax: 4,
  /** What is logged of a start is kept for so long, in ms, as nobody's business should it fail. Then it is written. */
  startHeldMs: 3_000,
  /** ZooKeeper session of a member of a group, in ms: how long the node of a live that is gone may stay, where nobody hears otherwise. */
  groupSessionTimeoutMs: 6_000,
  /** Pause before ZooKeeper is tried again that could not be reached at the start, in ms. */
  zooKeeperAgainMs: 1_000,
  /** When it is told again that ZooKeeper cannot be reached, in ms; then whenever it has been twice as long. */
  tellAbsenceMsMin: 10_000,
  /** Connections of the monitor. More are refused by the system. */
  monitorConnectionsMax: 64,
  /** Time in which a request to the monitor has to come, in ms. Then it is ended. */
  monitorRequestMsMax: 5_000,
  /** Time that a connection to the monitor may stay without a request, in ms. */
  monitorIdleMsMax: 5_000,
  /** Bytes of the headers of a request to the monitor. More: it is refused. */
  monitorHeaderBytesMax: 8 * 1024,
} as const;
