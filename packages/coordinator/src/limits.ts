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
} as const;
