import { assert, EverholdError } from "@everhold/base";
import type { Disk, DiskFile, DiskLock } from "@everhold/env";
import { writeFully } from "./disk-io.ts";
import { encodeFence, readFence, type FenceValues } from "./fence-file.ts";
import {
  fenceName,
  fileRole,
  fillingName,
  fillInstallsName,
  fillPartName,
  fillRemovesName,
  finalName,
} from "./file-names.ts";
import { readFolderPiece } from "./folder-piece.ts";
import type { JournalPorts } from "./journal-api.ts";
import { readFolder, readSegmentHeaders } from "./journal-folder.ts";

/** One file of another member's journal: a snapshot, or a segment up to where its log was durable. */
export interface FillFile {
  readonly name: string;
  readonly bytes: number;
}

/** What a fill needs of the world. */
type FillPorts = Pick<JournalPorts, "disk" | "hash" | "random">;

/** What a folder is to be filled with. */
export interface FillContent {
  /** 16 bytes. */
  readonly groupId: Uint8Array;
  /** Of the live that sends it: nothing of a lower one is followed afterwards. */
  readonly epoch: number;
  readonly files: readonly FillFile[];
  /** Everything before it is committed. */
  readonly commitPosition: number;
}

/**
 * Replaces the journal in a folder by another member's, file by file. What the folder held stays what it holds until all
 * of the new is on stable storage; from then on a start ends what a crash interrupted:
 *
 * ```
 *   *.fill are written     a start removes them
 *   fill.removes is made   a start removes what was there before, and renames it to fill.installs
 *   fill.installs          a start gives the files their names, and removes it
 * ```
 *
 * The member has another incarnation afterwards: nobody counts on what it had before. What it promised stays promised.
 */
export class FolderFill {
  readonly #ports: FillPorts;
  readonly #content: FillContent;
  readonly #lock: DiskLock;
  readonly #promisedEpoch: number;
  #file: DiskFile | undefined;
  #index = 0;
  #position = 0;
  #isOver = false;

  private constructor(
    ports: FillPorts,
    content: FillContent,
    lock: DiskLock,
    promisedEpoch: number,
  ) {
    this.#ports = ports;
    this.#content = content;
    this.#lock = lock;
    this.#promisedEpoch = promisedEpoch;
  }

  /**
   * Takes the folder, whose journal is closed.
   * @throws EverholdError EVH_DATA_LOCKED; EVH_DATA_FORMAT for what is another group's, or a newer program's; EVH_IO; EVH_PROTOCOL for names that no
   * journal gives
   */
  static async begin(ports: FillPorts, content: FillContent): Promise<FolderFill> {
    for (const { name, bytes } of content.files) {
      const { role } = fileRole(name);
      if ((role === "segment" || role === "snapshot") && bytes > 0) continue;
      throw new EverholdError(
        "EVH_PROTOCOL",
        `cannot fill the folder: found a file ${JSON.stringify(name)} of ${bytes} bytes, expected segments and snapshots`,
      );
    }
    const lock = await ports.disk.lock();
    try {
      await endFill(ports.disk);
      await checkIsReplaceable(ports, content.groupId);
      return new FolderFill(ports, content, lock, await promisedEpochOf(ports));
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The next file that bytes are missing of, and from where on; undefined: none are. */
  get wanted(): { readonly file: number; readonly position: number } | undefined {
    const isAll = this.#index === this.#content.files.length;
    return isAll ? undefined : { file: this.#index, position: this.#position };
  }

  /** Stores what comes next. @throws EverholdError EVH_IO, EVH_DISK_FULL, EVH_PROTOCOL for more than the file has */
  async write(bytes: Uint8Array): Promise<void> {
    const file = this.#content.files[this.#index];
    if (file === undefined || bytes.length === 0 || this.#position + bytes.length > file.bytes) {
      const expected = file === undefined ? 0 : file.bytes - this.#position;
      throw new EverholdError(
        "EVH_PROTOCOL",
        `cannot fill the folder: found ${bytes.length} bytes, expected 1 to ${expected}`,
      );
    }
    this.#file ??= await this.#ports.disk.create(fillPartName(file.name));
    await writeFully(this.#file, bytes, this.#position);
    this.#position += bytes.length;
    if (this.#position < file.bytes) return;
    await this.#closeFile();
    this.#index += 1;
    this.#position = 0;
  }

  /**
   * The piece that continues the log at `position`, of what the folder holds until then: the live's own may be damaged. Null:
   * there is none.
   * @throws EverholdError EVH_IO
   */
  readPiece(position: number): ReturnType<typeof readFolderPiece> {
    return readFolderPiece(this.#ports, this.#content.groupId, position);
  }

  /** Everything is there: it becomes what the folder holds, and the folder is given back. @throws EverholdError EVH_IO, EVH_DISK_FULL */
  async complete(): Promise<void> {
    assert(this.wanted === undefined, "a fill is complete when it has everything");
    const { disk, hash, random } = this.#ports;
    const incarnation = new Uint8Array(16);
    random.fill(incarnation);
    const { groupId, commitPosition, epoch } = this.#content;
    const promisedEpoch = Math.max(this.#promisedEpoch, epoch);
    const values: FenceValues = {
      ...{ groupId, incarnation, promisedEpoch, commitPosition },
      ...{ cutPosition: null, seenNode: null },
    };
    const fence = await disk.create(fillPartName(fenceName));
    try {
      await writeFully(fence, encodeFence(values, hash), 0);
    } finally {
      await fence.close();
    }
    // Its name alone says something, and comes at once.
    await (await disk.create(fillingName)).close();
    await disk.rename(fillingName, fillRemovesName);
    await endFill(disk);
    this.#isOver = true;
    await this.#lock.release();
  }

  /** Gives up: the folder holds what it held, or, where {@link complete} has failed, perhaps all of the new. Idempotent. */
  async abandon(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#closeFile();
    try {
      await endFill(this.#ports.disk);
    } finally {
      await this.#lock.release();
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

/** Nothing of another group, or of a newer program, is replaced. @throws EverholdError EVH_DATA_FORMAT, EVH_IO */
async function checkIsReplaceable({ disk, hash }: FillPorts, groupId: Uint8Array): Promise<void> {
  const { segments } = await readFolder(disk);
  for (const segment of segments) {
    try {
      await readSegmentHeaders(disk, { segments: [segment] }, groupId, hash);
    } catch (error) {
      // What is damaged is why it is filled.
      if (!EverholdError.is(error, "EVH_DATA_CORRUPT")) throw error;
    }
  }
}

/**
 * What the folder has promised; 0 where it was never a member's, or where that is damaged. Then it is as a new disk is: the
 * epoch of the live that fills it counts, and nobody counts on what it had.
 * @throws EverholdError EVH_DATA_FORMAT, EVH_IO
 */
export async function promisedEpochOf(ports: FillPorts): Promise<number> {
  try {
    return (await readFence(ports))?.promisedEpoch ?? 0;
  } catch (error) {
    if (EverholdError.is(error, "EVH_DATA_CORRUPT")) return 0;
    throw error;
  }
}

/**
 * Ends what a crash left of a fill: it is done (`true`), or never was. The caller holds the folder's lock.
 * @throws EverholdError EVH_IO
 */
export async function endFill(disk: Disk): Promise<boolean> {
  const names = await disk.list();
  const parts = names.filter((name) => finalName(name) !== undefined);
  if (names.includes(fillRemovesName)) {
    for (const name of names) if (isReplaced(name)) await disk.remove(name);
    await disk.rename(fillRemovesName, fillInstallsName);
  }
  const isInstalled = isHalfInstalled(names);
  for (const name of parts) {
    if (isInstalled) await disk.rename(name, finalName(name) ?? name);
    else await disk.remove(name);
  }
  if (isInstalled) await disk.remove(fillInstallsName);
  if (names.includes(fillingName)) await disk.remove(fillingName);
  return isInstalled;
}

/** Whether all of a fill is there, and only some of it has its name. */
export function isHalfInstalled(names: readonly string[]): boolean {
  return names.includes(fillRemovesName) || names.includes(fillInstallsName);
}

/** The fence is written over and never removed: without it nobody knows what was promised. */
function isReplaced(name: string): boolean {
  const { role } = fileRole(name);
  return role === "segment" || role === "snapshot" || role === "spare" || role === "temporary";
}
