/** Every limit of this package. `docs/LIMITS.md` is generated from it. Times are in milliseconds. */
export const limits = {
  timingDefault: {
    /** How often a live says that it lives. */
    beatMs: 100,
    /** A live hands out nothing while a member in sync has not answered a beat that it sent less than this ago. */
    leaseMs: 400,
    /** A backup that hears nothing for this long tries to take over. At least twice the lease: `RangeError` below. */
    graceMs: 1500,
    /** A member in sync without a link is left out of the in-sync set after this time. */
    missingMs: 200,
    /** A member in sync that has not had everything for this long is left out. */
    lagMs: 5000,
    /** One that was left out for that comes back when it has had everything for this long. */
    steadyMs: 30_000,
    /**
     * A live whose disk has not answered for this long ends, where a member in sync could lead whose own disk answers. Long
     * enough for disks that are merely slow.
     */
    hungMs: 5000,
    /** What ZooKeeper refused is asked for again after this time. */
    retryMs: 100,
    /** A planned hand-over that has not happened after this time is given up. */
    handOverMs: 10_000,
  },
  /** The longest time that can be set for a group: a day. `RangeError` above. */
  timeMsMax: 24 * 60 * 60 * 1000,
  /**
   * Milliseconds between two members of a group that might take over: the first in line, whom clients were told of, is
   * promoted before the second one tries, also on a machine that has much else to do. Where the first one died together
   * with the live, it takes so much longer.
   */
  rankMs: 500,
  /**
   * A group's node that contradicts what a member has seen of it is read again for this long, in milliseconds, and then the member
   * stops: longer than a server of ZooKeeper takes to notice that it leads no more.
   */
  nodeDoubtMs: 20_000,
  /** What is seen of the group's node is put on the disk after this time, in milliseconds. */
  nodeRememberedAfterMs: 1_000,
  /** Bytes on the way to one backup's disk above which nothing more is read for it. */
  shipWindowBytes: 16 * 1024 * 1024,
  /**
   * Bytes of the frames of one link that wait for a chain value from the disk: more than a window and the largest piece, which
   * is what a live sends unasked. The link is ended above.
   */
  heldBytesMax: 288 * 1024 * 1024,
  /** Reads of a fill that are asked for before the first is answered. */
  fillReadsMax: 4,
  /** A fill of which nothing comes for this long is begun anew. */
  fillSilentMs: 30_000,
  /** How often a fill says how far it is. */
  fillTellMs: 5_000,
  /** How long one member is waited for that was asked for a piece of a damaged journal. Then the next one is asked. */
  pieceWaitMs: 5_000,
  /** Pieces that one member asks for before it has got the first. Its link is ended above. */
  pieceReadsMax: 16,
  /** The live keeps what it has sent for so long after the link has ended, so that it can be followed from there. */
  fillHoldMs: 30_000,
} as const;
