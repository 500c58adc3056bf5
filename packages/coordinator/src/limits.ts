/** Every limit of this package. `docs/LIMITS.md` is generated from it. */
export const limits = {
  /** Ms in which a request must have been answered. What was not sent by then is a conflict, the rest is unknown. */
  requestMs: 10_000,
  /** How often one request to promote looks who is live, because that changes meanwhile. Then it is a conflict. */
  promotionAttemptCountMax: 8,
  /** Ms between two looks at the group's nodes where nothing is told of them. */
  lookIntervalMs: 10_000,
  /** Ms between two looks at who is registered already by this member's id. */
  registrationPauseMs: 500,
  /** For how many session timeouts a member waits for what a former process of its id has left. `EVH_MEMBER_EXISTS`. */
  registrationSessionCount: 2,
  /** Ms before the first attempt after one that failed. */
  pauseMsMin: 100,
  /** Ms between attempts that go on failing, at most. */
  pauseMsMax: 5000,
  /** Ms for giving back what was registered and claimed. Later it goes with the session. */
  closeMs: 5000,
  /** Characters of an address. `EVH_NODE_FORMAT` above. */
  addressCharactersMax: 255,
  /** Bytes of a member's node. `EVH_NODE_FORMAT` above. */
  memberBytesMax: 2048,
  /** Members of a group on one machine. `EVH_CONFIG` above: its file is written as a whole. */
  localMemberCountMax: 16,
  /** Bytes of a file of a group on one machine. `EVH_DATA_FORMAT` above: 16 members and the state need less. */
  localFileBytesMax: 128 * 1024,
  /**
   * Revisions of a group on one machine that stay on the disk. Who wants to be the next one, and is overtaken by so many
   * within one step, is told that the outcome is unknown.
   */
  localRevisionCount: 8,
  /** Ms between two looks at the folder of a group on one machine. */
  localLookMs: 250,
  /** Ms before a change of a group on one machine is tried again, at most, because another one came first. */
  localPauseMsMax: 20,
  /** How often the files of a group are looked for, where others remove them meanwhile. `EVH_IO` then. */
  localReadAttemptCountMax: 8,
} as const;
