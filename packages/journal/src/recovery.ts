import { assert, EverholdError } from "@everhold/base";
import type { Disk, DiskFile } from "@everhold/env";
import { Chain } from "./chain.ts";
import { readFully, writeFully } from "./disk-io.ts";
import type { JournalPorts, RecoverySink } from "./journal-api.ts";
import { readFolder, readSegmentHeaders, sameBytes, type JournalFolder } from "./journal-folder.ts";
import { limits } from "./limits.ts";
import { EpochStarts } from "./epoch-starts.ts";
import { epochsKind } from "./journal-format.ts";
import { replayLog, type LogEnd, type ReplayStart } from "./log-replay.ts";
import type { SegmentHeader } from "./segment-header.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";
import type { KeptSnapshot } from "./snapshot-keeper.ts";
import { readEpochs } from "./snapshot-format.ts";
import { readSnapshot, type SnapshotInfo } from "./snapshot-reader.ts";

/** What recovery leaves for the running journal. */
export interface RecoveredLog {
  readonly kind: "recovered";
  readonly end: LogEnd;
  readonly groupId: Uint8Array;
  readonly last: Segment;
  /** Open, synced, and zero behind the end. */
  readonly lastFile: DiskFile;
  readonly restored: SnapshotInfo | undefined;
  readonly replayStart: number;
  /** The oldest first. */
  readonly keptSnapshots: readonly KeptSnapshot[];
  readonly staleSnapshotNames: readonly string[];
  readonly wipedBytes: number;
  readonly spares: JournalFolder["spares"];
  readonly epochs: EpochStarts;
}

/** What a member of a group knows before it reads its log. */
export interface MemberHint {
  /** Everything before it is committed, and what lies behind may be cut; undefined: all of it is committed. */
  readonly commitPosition: number | undefined;
}

/** A folder in which no journal was begun. */
export interface EmptyFolder {
  readonly kind: "empty";
  readonly spares: JournalFolder["spares"];
}

/**
 * Brings the caller's state back: newest valid snapshot, then the log behind it.
 *
 * Nothing that an earlier process left is trusted before it is on stable storage: the last segment is
 * synced first, and what lies behind the end is wiped, so that a second recovery finds the same.
 * @throws EverholdError EVH_DATA_CORRUPT, EVH_DATA_FORMAT, EVH_IO
 */
export async function recoverLog(
  ports: JournalPorts,
  groupId: Uint8Array | undefined,
  table: SegmentTable,
  sink: RecoverySink,
  member?: MemberHint,
): Promise<RecoveredLog | EmptyFolder> {
  const { disk, hash } = ports;
  const folder = await readFolder(disk);
  if (folder.isMembers && member === undefined) throw membersOnly(disk);
  const headers = await readSegmentHeaders(disk, folder, groupId, hash);
  const lastHeader = headers.at(-1);
  if (lastHeader === undefined) {
    if (folder.snapshotNames.length === 0) {
      return { kind: "empty", spares: folder.spares };
    }
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot open ${disk.location}: found snapshots but no segment files: restore them from a backup`,
    );
  }
  let last = headers.map((header) => table.add(header)).at(-1);
  assert(last !== undefined, "a folder with headers has segments");
  let lastFile = await disk.open(last.name);
  try {
    await lastFile.sync();
    const chosen = await chooseSnapshot(ports, folder, lastHeader.groupId);
    const restored = chosen.valid[0];
    const epochs = new EpochStarts();
    if (restored !== undefined) {
      await readSnapshot(disk, restored.name, hash, sectionsInto(sink, epochs, restored));
    }
    const start = replayStart(restored, member);
    const found = await replayLog(disk, hash, headers, start, sink, undefined, epochs);
    setDataEnds(table, headers);
    table.finishRecovery(disk.location);
    const wipedBytes = await wipeTail(lastFile, last, found.position);
    let end = found;
    if (member !== undefined && found.position === last.base + limits.segmentHeaderBytes) {
      // A segment without a batch is no part of the log: whoever leads next may not begin one there.
      await lastFile.close();
      const before = await dropEmpty(disk, table, last);
      if (before === undefined) return { kind: "empty", spares: folder.spares };
      end = { ...found, position: last.previousEnd };
      lastFile = await disk.open(before.name);
      last = before;
    }
    return {
      kind: "recovered",
      end,
      groupId: lastHeader.groupId,
      last,
      lastFile,
      restored,
      replayStart: start.position,
      keptSnapshots: chosen.valid.toReversed(),
      staleSnapshotNames: chosen.staleNames,
      wipedBytes,
      spares: folder.spares,
      epochs,
    };
  } catch (error) {
    await lastFile.close();
    throw error;
  }
}

interface ChosenSnapshots {
  /** At most two, the newest first. */
  readonly valid: readonly SnapshotInfo[];
  readonly staleNames: readonly string[];
}

/** Checks snapshots from the newest on, until enough valid ones are found. */
async function chooseSnapshot(
  ports: JournalPorts,
  folder: JournalFolder,
  groupId: Uint8Array,
): Promise<ChosenSnapshots> {
  const valid: SnapshotInfo[] = [];
  const staleNames: string[] = [];
  for (const name of folder.snapshotNames) {
    if (valid.length === limits.snapshotCountMax) {
      staleNames.push(name);
      continue;
    }
    try {
      const info = await readSnapshot(ports.disk, name, ports.hash);
      if (!sameBytes(info.groupId, groupId)) throw otherGroup(name);
      valid.push(info);
    } catch (error) {
      if (!EverholdError.is(error, "EVH_DATA_CORRUPT")) throw error;
      ports.log.warn("a damaged snapshot is skipped, an older one and more of the log replace it", {
        snapshot: name,
        problem: error.message,
      });
      staleNames.push(name);
    }
  }
  return { valid, staleNames };
}

/** Sections of the caller's kinds go to it; the others are the journal's. */
function sectionsInto(
  sink: RecoverySink,
  epochs: EpochStarts,
  snapshot: SnapshotInfo,
): Pick<RecoverySink, "restoreSection"> {
  // The log of a broker that was never in a group is one epoch, whatever is left of it.
  epochs.restore([{ epoch: snapshot.epoch, position: 0 }]);
  return {
    restoreSection(kind, asOf, bytes, view, start, end) {
      if (kind === epochsKind) epochs.restore(readEpochs(view, start, end));
      else sink.restoreSection(kind, asOf, bytes, view, start, end);
    },
  };
}

function replayStart(
  restored: SnapshotInfo | undefined,
  member: MemberHint | undefined,
): ReplayStart {
  const knownCommit = Math.max(restored?.commitPosition ?? 0, member?.commitPosition ?? 0);
  const isAllApplied = member?.commitPosition === undefined;
  const appliedMax = isAllApplied ? Number.MAX_SAFE_INTEGER : knownCommit;
  if (restored === undefined) return { position: 0, chain: undefined, knownCommit, appliedMax };
  const chain = new Chain();
  chain.high = restored.chainHigh;
  chain.low = restored.chainLow;
  return { position: restored.replayStart, chain, knownCommit, appliedMax };
}

/** Each segment says where the log in the one before it ended. */
function setDataEnds(table: SegmentTable, headers: readonly SegmentHeader[]): void {
  for (const [index, segment] of table.all().entries()) {
    const next = headers[index + 1];
    const isAdjacent = next !== undefined && next.base === segment.base + segment.sizeBytes;
    if (isAdjacent) segment.endPosition = next.previousEnd;
  }
}

/** Removes the last segment, in which there is no batch; returns the one before it. */
async function dropEmpty(
  disk: Disk,
  table: SegmentTable,
  empty: Segment,
): Promise<Segment | undefined> {
  const before = table.all().at(-2);
  const isJoined = before !== undefined && before.base + before.sizeBytes === empty.base;
  if (!isJoined && empty.base > 0) {
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot open ${disk.location}: the log goes on at position ${empty.previousEnd}, and no segment ` +
        "file is there: restore the missing files from a backup",
    );
  }
  await disk.remove(empty.name);
  table.cut(empty.previousEnd);
  return before;
}

/** Zeroes what an unfinished write may have left behind the end; returns how many bytes were not zero. */
async function wipeTail(file: DiskFile, segment: Segment, position: number): Promise<number> {
  const start = position - segment.base;
  const end = Math.min(segment.sizeBytes, file.sizeBytes, start + limits.tailWipeBytes);
  if (end <= start) return 0;
  const tail = new Uint8Array(end - start);
  await readFully(file, tail, start);
  // Mostly all of it is zero, so a call for each byte would be most of a start.
  let lastUsed = tail.length - 1;
  while (lastUsed >= 0 && tail[lastUsed] === 0) lastUsed -= 1;
  if (lastUsed < 0) return 0;
  await writeFully(
    file,
    new Uint8Array(Math.ceil((lastUsed + 1) / limits.sectorBytes) * limits.sectorBytes),
    start,
  );
  await file.sync();
  return lastUsed + 1;
}

function membersOnly(disk: Disk): EverholdError {
  return new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot open ${disk.location}: it belongs to a member of a group, and this broker has no group: ` +
      "configure the group, or choose another data folder",
  );
}

function otherGroup(name: string): EverholdError {
  return new EverholdError(
    "EVH_DATA_FORMAT",
    `cannot use ${name}: it belongs to another group than the segments; each data folder holds one ` +
      "broker's journal",
  );
}
