/** Layer 2: the append-only log. Open `journal.ts` first. */
export {
  firstCallerRecordType,
  recordBytes,
  recordHeaderBytes,
  type Journal,
  type JournalHealth,
  type JournalListener,
  type JournalOptions,
  type JournalPorts,
  type ReadDone,
  type RecordView,
  type RecoverySink,
  type RecoverySummary,
  type SnapshotSource,
  type SnapshotWriter,
} from "./journal-api.ts";
export { FolderFill, promisedEpochOf, type FillContent, type FillFile } from "./folder-fill.ts";
export { mendFolder } from "./folder-mend.ts";
export type { JournalFill } from "./fill-source.ts";
export { createJournal, createReplicatedJournal, openJournal } from "./journal.ts";
export { journalFormatDocument } from "./journal-format.ts";
export { limits as journalLimits } from "./limits.ts";
export type {
  JournalMember,
  JournalPiece,
  JournalPin,
  ReplicatedJournal,
  ReplicatedJournalListener,
  ReplicatedLog,
} from "./replicated-api.ts";
export type { PieceSupplier } from "./segment-mend.ts";
export { verifyJournal, type VerifyProblem, type VerifyReport } from "./verify.ts";
export { WatchedDisk } from "./watched-disk.ts";
