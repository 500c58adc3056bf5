/** Every limit of this package. `docs/LIMITS.md` is generated from it. */
export const limits = {
  /** Members in the in-sync set. `EVH_PROTOCOL` above: every commit waits for each of them. */
  inSyncCountMax: 16,
  /** Characters of a member's name, a group's id or an incarnation. `EVH_PROTOCOL` above. */
  nameCharactersMax: 64,
  /** Epochs of a group: as many as the journal's batches can name. Nobody stands for a higher one. */
  epochMax: 0xffff_ffff,
  /** How far above its own a member believes an epoch that another names: the link is ended above. */
  epochRiseMax: 1024 * 1024,
  /** Feature levels. `EVH_PROTOCOL` above. */
  featureLevelMax: 0xffff_ffff,
  /** Epochs in the table that a backup greets with: the newest are sent. `EVH_PROTOCOL` above; older ones are not agreed on. */
  epochCountMax: 4096,
  /** Bytes of the group's state in ZooKeeper. `EVH_PROTOCOL` above: it holds names and numbers only. */
  stateBytesMax: 16 * 1024,
  /** Bytes of the piece in one frame: the journal's largest group, and the header of a segment. `EVH_FRAME_TOO_LARGE` above. */
  pieceBytesMax: 257 * 1024 * 1024,
  /** Files that a member is filled up with. `EVH_PROTOCOL` above. */
  fillFileCountMax: 1024 * 1024,
  /** Bytes of a file in one frame. `EVH_FRAME_TOO_LARGE` above. */
  fillBytesMax: 1024 * 1024,
} as const;
