/**
 * The limits of this package. Sizes are in bytes.
 * Relations between them are asserted when options are resolved (`journal-settings.ts`).
 */
export const limits = {
  /** Unit of torn writes on every disk we know; batches begin and end on it. Fixed by the format. */
  sectorBytes: 512,
  /** Epochs are u32 in every header. `EVH_PROTOCOL` above. Fixed by the format. */
  epochMax: 0xffff_ffff,
  /** First block of each segment: its header. Fixed by the format. */
  segmentHeaderBytes: 4096,
  /** New segment files. Large enough that rolling is rare, small enough that space comes back in good time. */
  segmentBytesDefault: 128 * 1024 * 1024,
  /** Smaller segments are for tests only. `RangeError` below. */
  segmentBytesMin: 64 * 1024,
  /** Batch lengths are u32 and one group must fit into memory a few times. `RangeError` above. */
  segmentBytesMax: 1024 * 1024 * 1024,
  /** A record's length is a u24 in units of 8 bytes. `EVH_FRAME_TOO_LARGE` above. */
  recordBytesMax: 0xff_ffff * 8,
  /** A batch is closed at this size: CRC and write of 1 MiB take under a millisecond each. */
  batchBytesMaxDefault: 1024 * 1024,
  /**
   * How long a record that nobody waits for may wait for one to be written with, in milliseconds: as long
   * as a write takes on a slow disk. Then it is written alone.
   */
  unhurriedMs: 2,
  /** Memory slabs hold this many full batches, so that little is wasted at their ends. */
  batchesPerSlab: 4,
  /** Newest log kept in memory: consumers that keep up never read the disk. The oldest slab is reused when it is hit. */
  tailCacheBytesDefault: 64 * 1024 * 1024,
  /** What was read back. The extent used longest ago is dropped when it is hit. */
  readCacheBytesDefault: 32 * 1024 * 1024,
  /** One read of a cold record; the rest of it serves those who follow in log order. */
  readAheadBytesDefault: 1024 * 1024,
  /** Reads of the disk at a time: the system's thread pool has four by default, and the log needs one. Others wait. */
  readsInFlightMax: 2,
  /** Handles of old segments kept open for reading. The one used longest ago is closed when it is hit. */
  openSegmentsMax: 64,
  /** Log between two snapshots: bounds replay to well under a second. */
  snapshotBytesDefault: 256 * 1024 * 1024,
  /** One section of a snapshot. `RangeError` above: it is our own state that is written. */
  sectionBytesMax: 16 * 1024 * 1024,
  /** A snapshot is written when this much of it has gathered: few writes, little memory. */
  snapshotWriteBytes: 256 * 1024,
  /** Snapshots kept: the newest, and one more in case the newest was damaged. */
  snapshotCountMax: 2,
  /** Zeroed space ahead of the writer: a burst of this size runs at full speed. */
  prepareAheadBytesDefault: 64 * 1024 * 1024,
  /**
   * Zeroed space that is kept ahead even while the writer is busy, when zeros compete with it. Also what
   * acknowledgements live on when the disk is full.
   */
  prepareAheadBytesMin: 8 * 1024 * 1024,
  /** One write of zeros on a full disk, when nothing else is left. */
  emergencyExtentBytes: 64 * 1024,
  /** One write of zeros: short, because a log write that comes meanwhile waits for the disk. */
  prepareExtentBytes: 1024 * 1024,
  /** Free space of the disk that is left for snapshots. Below it the disk counts as full. */
  freeBytesMinDefault: 64 * 1024 * 1024,
  /** How often it is looked at what a disk has not answered yet, in milliseconds. */
  diskLookMs: 250,
  /**
   * A disk that has not answered for this long, in milliseconds, is said to be silent, and again whenever it has been
   * twice as long; who stops waits for it no longer: `EVH_DISK_HUNG`. Disks that are merely slow take a second or two.
   */
  diskSilentMs: 5000,
  /** How often a full disk is looked at again, in milliseconds. */
  diskFullRetryMs: 1000,
  /** Files of dead segments kept for reuse: saves zeroing. More are deleted. */
  spareCountMaxDefault: 2,
  /** Runs of pieces kept that were read back, one for each backup that is behind. The one read first is dropped when it is hit. */
  pieceRunsMax: 16,
  /** How often a piece is read for another member, where what was read is gone again each time. */
  pieceReadsMax: 3,
  /** Chain values kept that were looked up. The oldest is dropped when it is hit. */
  foundChainsMax: 64,
  /** What the sink of a member that follows is given in one turn, in bytes: some milliseconds' work. */
  applyTurnBytes: 1024 * 1024,
  /** Read at a time when the log is replayed or verified. */
  scanChunkBytes: 4 * 1024 * 1024,
  /** Before the first round of the scrub, and between two of them, in milliseconds: damage is seldom, and reads cost. */
  scrubRestMs: 60_000,
  /** What the scrub reads between two pauses. */
  scrubStepBytes: 256 * 1024,
  /**
   * Wiped behind a torn tail, at least. Bytes further on can only be the inside of a larger torn batch,
   * whose header is wiped with this; nothing there can validate.
   */
  tailWipeBytes: 4 * 1024 * 1024,
} as const;
