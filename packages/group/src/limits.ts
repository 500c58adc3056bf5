/** Every limit of this package. `docs/LIMITS.md` is generated from it. */
export const limits = {
  /** Members in the in-sync set. `EVH_PROTOCOL` above: every commit waits for each of them. */
  inSyncCountMax: 16,
  /** Characters of a member's name, a group's id or an incarnation. `EVH_PROTOCOL` above. */
  nameCharactersMax: 64,
  /** Epochs in the table that a backup greets with: the newest are sent. `EVH_PROTOCOL` above. */
  epochCountMax: 4096,
  /** Bytes of the group's state in ZooKeeper. `EVH_PROTOCOL` above: it holds names and numbers only. */
  stateBytesMax: 16 * 1024,
  /** Bytes of the batch in one frame: the journal's largest group. `EVH_FRAME_TOO_LARGE` above. */
  batchBytesMax: 256 * 1024 * 1024,
} as const;
