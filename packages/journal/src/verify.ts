import { EverholdError, type ErrorCode } from "@everhold/base";
import type { Disk, Hash } from "@everhold/env";
import { Chain } from "./chain.ts";
import { EpochStarts, type EpochStart } from "./epoch-starts.ts";
import { finalName } from "./file-names.ts";
import { isHalfInstalled } from "./folder-fill.ts";
import { readFence } from "./fence-file.ts";
import { groupName, readFolder, readSegmentHeaders, sameBytes } from "./journal-folder.ts";
import { replayLog } from "./log-replay.ts";
import type { SegmentHeader } from "./segment-header.ts";
import { readSnapshot, type SnapshotInfo } from "./snapshot-reader.ts";

/** What is wrong, and what to do about it. */
export interface VerifyProblem {
  readonly code: ErrorCode;
  /** Names file, position, what was found and what to do. */
  readonly message: string;
}

/** What {@link verifyJournal} found. */
export interface VerifyReport {
  /** Whether a broker can start from the folder without losing anything. */
  readonly isSound: boolean;
  /** 32 hex digits; `undefined` when there is no journal. */
  readonly groupId: string | undefined;
  readonly segmentCount: number;
  readonly batchCount: number;
  readonly recordCount: number;
  /** The id of the newest record, which is its position; 0 when there is none. With `chainAt` only of those before that. */
  readonly highestId: number;
  /** Where the log ends; 0 when there is none. */
  readonly endPosition: number;
  /** The chain value of everything before that: 16 hex digits, of the bytes of the log alone. */
  readonly endChain: string;
  /** Where epochs begin, as far as the newest segments without a gap tell, oldest first. */
  readonly epochs: readonly EpochStart[];
  /** The chain value at `chainAt`; undefined where no batch ends there, or nobody asked. */
  readonly askedChain: string | undefined;
  /**
   * Files of another member's journal, with which the folder was being filled and is not: what is told here is what it
   * holds without them. The member's next start removes them.
   */
  readonly fillPartCount: number;
  readonly snapshots: readonly {
    readonly name: string;
    readonly sectionCount: number;
    readonly problem: VerifyProblem | undefined;
  }[];
  /** In the order they were found. A damaged snapshot is one, although an older one may replace it. */
  readonly problems: readonly VerifyProblem[];
}

/**
 * Reads a whole data folder and checks every byte that the journal wrote: headers, checksums, chain,
 * records, snapshots. Writes nothing. Takes the folder meanwhile, so no broker may run on it.
 * @param onProgress told now and then how many bytes of how many were checked
 * @param chainAt a position to tell the chain value of
 * @throws EverholdError EVH_DATA_LOCKED, EVH_DATA_FOLDER
 */
export async function verifyJournal(
  ports: { readonly disk: Disk; readonly hash: Hash },
  onProgress: (checkedBytes: number, totalBytes: number) => void = () => undefined,
  chainAt?: number,
): Promise<VerifyReport> {
  const lock = await ports.disk.lock();
  try {
    return await new Verification(ports.disk, ports.hash, onProgress, chainAt).run();
  } finally {
    await lock.release();
  }
}

class Verification {
  readonly #disk: Disk;
  readonly #hash: Hash;
  readonly #onProgress: (checkedBytes: number, totalBytes: number) => void;
  readonly #problems: VerifyProblem[] = [];
  readonly #snapshots: VerifyReport["snapshots"][number][] = [];
  readonly #sound: SnapshotInfo[] = [];
  #batchCount = 0;
  #recordCount = 0;
  #highestId = 0;
  #fillPartCount = 0;
  #endPosition = 0;
  #endChain = new Chain();
  #epochs: readonly EpochStart[] = [];
  readonly #chainAt: number | undefined;
  #askedChain: string | undefined = undefined;

  constructor(
    disk: Disk,
    hash: Hash,
    onProgress: (checkedBytes: number, totalBytes: number) => void,
    chainAt: number | undefined,
  ) {
    this.#chainAt = chainAt;
    this.#disk = disk;
    this.#hash = hash;
    this.#onProgress = onProgress;
  }

  async run(): Promise<VerifyReport> {
    let headers: SegmentHeader[] = [];
    await this.#attempt(async () => {
      const fence = await readFence({ disk: this.#disk, hash: this.#hash });
      if (fence !== undefined && fence.cutPosition !== null) throw this.#halfCut(fence.cutPosition);
      const names = await this.#disk.list();
      if (isHalfInstalled(names)) throw this.#halfFilled();
      this.#fillPartCount = names.filter((name) => finalName(name) !== undefined).length;
      const folder = await readFolder(this.#disk);
      headers = await readSegmentHeaders(this.#disk, folder, undefined, this.#hash);
      for (const name of folder.snapshotNames) await this.#checkSnapshot(name, headers[0]);
      if (headers.length === 0 && folder.snapshotNames.length > 0) throw this.#noSegments();
    });
    await this.#checkSegments(headers);
    return {
      isSound: this.#problems.length === 0,
      groupId: headers[0] === undefined ? undefined : groupName(headers[0].groupId),
      segmentCount: headers.length,
      batchCount: this.#batchCount,
      recordCount: this.#recordCount,
      highestId: this.#highestId,
      endPosition: this.#endPosition,
      endChain: this.#endChain.toString(),
      epochs: this.#epochs,
      askedChain: this.#askedChain,
      fillPartCount: this.#fillPartCount,
      snapshots: this.#snapshots,
      problems: this.#problems,
    };
  }

  async #checkSnapshot(name: string, segment: SegmentHeader | undefined): Promise<void> {
    let sectionCount = 0;
    const problem = await this.#attempt(async () => {
      const info = await readSnapshot(this.#disk, name, this.#hash);
      sectionCount = info.sectionCount;
      if (segment !== undefined && !sameBytes(info.groupId, segment.groupId)) {
        throw new EverholdError(
          "EVH_DATA_FORMAT",
          `cannot use ${name}: it belongs to group ${groupName(info.groupId)}, expected ` +
            groupName(segment.groupId),
        );
      }
      this.#sound.push(info);
    });
    this.#snapshots.push({ name, sectionCount, problem });
  }

  async #checkSegments(headers: readonly SegmentHeader[]): Promise<void> {
    const runs = adjacentRuns(headers);
    const totalBytes = headers.reduce((sum, header) => sum + header.sizeBytes, 0);
    let checkedBytes = 0;
    for (const [index, run] of runs.entries()) {
      const start = run[0]?.base ?? 0;
      await this.#attempt(async () => {
        if (index === runs.length - 1) this.#checkReplayable(run);
        await this.#checkRun(run, index === runs.length - 1, (position) => {
          this.#onProgress(checkedBytes + position - start, totalBytes);
        });
      });
      checkedBytes += run.reduce((sum, header) => sum + header.sizeBytes, 0);
      this.#onProgress(checkedBytes, totalBytes);
    }
  }

  async #checkRun(
    run: readonly SegmentHeader[],
    isLast: boolean,
    onProgress: (position: number) => void,
  ): Promise<void> {
    // What snapshots say was durable belongs to the end of the log only.
    const known = isLast ? this.#sound.map((snapshot) => snapshot.commitPosition) : [];
    const knownCommit = Math.max(0, ...known);
    const start = {
      position: run[0]?.base ?? 0,
      chain: undefined,
      knownCommit,
      appliedMax: this.#chainAt ?? Number.MAX_SAFE_INTEGER,
    };
    const epochs = new EpochStarts();
    const sink = {
      applyRecord: (_type: number, _reference: number, position: number) => {
        this.#highestId = position;
      },
    };
    const end = await replayLog(this.#disk, this.#hash, run, start, sink, onProgress, epochs);
    this.#epochs = epochs.all;
    this.#endChain = end.chain;
    if (end.appliedEnd === this.#chainAt) this.#askedChain = end.appliedChain.toString();
    this.#batchCount += end.batchCount;
    this.#recordCount += end.recordCount;
    this.#endPosition = end.position;
  }

  /** The last run of adjacent segments must hold everything from the newest snapshot on. */
  #checkReplayable(run: readonly SegmentHeader[]): void {
    const first = run[0];
    const newest = this.#sound[0];
    if (first === undefined || first.previousEnd <= (newest?.replayStart ?? 0)) return;
    const from =
      newest === undefined
        ? "there is no usable snapshot, so the log is needed from its start"
        : `the newest usable snapshot, ${newest.name}, needs the log from position ${newest.replayStart}`;
    throw new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot start from ${this.#disk.location}: ${from}, and the segments found begin at position ` +
        `${first.base}: restore the missing files from a backup`,
    );
  }

  /** Runs one check; an error of the data becomes a problem, others are passed on. */
  async #attempt(check: () => Promise<void>): Promise<VerifyProblem | undefined> {
    try {
      await check();
      return undefined;
    } catch (error) {
      const isOfData =
        EverholdError.is(error, "EVH_DATA_CORRUPT") ||
        EverholdError.is(error, "EVH_DATA_FORMAT") ||
        EverholdError.is(error, "EVH_IO");
      if (!isOfData) throw error;
      const problem = { code: error.code, message: error.message };
      this.#problems.push(problem);
      return problem;
    }
  }

  #halfCut(position: number): EverholdError {
    return new EverholdError(
      "EVH_DATA_FORMAT",
      `cannot verify ${this.#disk.location}: its log was being cut at position ${position}, and not to the end: ` +
        "start this member of the group, which ends it, and verify then",
    );
  }

  #halfFilled(): EverholdError {
    return new EverholdError(
      "EVH_DATA_FORMAT",
      `cannot verify ${this.#disk.location}: it was filled from another member's journal, and not to the end: start this ` +
        "member of the group, which ends it, and verify then",
    );
  }

  #noSegments(): EverholdError {
    return new EverholdError(
      "EVH_DATA_CORRUPT",
      `cannot start from ${this.#disk.location}: found snapshots but no segment files: restore them from ` +
        "a backup",
    );
  }
}

/** Segments between which none is missing, together. Segments without messages are deleted, so gaps are normal. */
function adjacentRuns(headers: readonly SegmentHeader[]): SegmentHeader[][] {
  const runs: SegmentHeader[][] = [];
  for (const header of headers) {
    const run = runs.at(-1);
    const before = run?.at(-1);
    if (
      run !== undefined &&
      before !== undefined &&
      before.base + before.sizeBytes === header.base
    ) {
      run.push(header);
    } else {
      runs.push([header]);
    }
  }
  return runs;
}
