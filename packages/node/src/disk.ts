import type { StatsFs } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { EverholdError } from "@everhold/base";
import type { DiskFile, SharedDisk } from "@everhold/env";
import { diskError } from "./disk-error.ts";
import { NodeDiskFile, type SyncMode } from "./disk-file.ts";
import { type FolderLock, lockFilePrefix, lockFolder } from "./folder-lock.ts";
import { systemCodeOf } from "./system-error.ts";

/** Where a {@link NodeDisk} is and how it syncs. */
export interface DiskOptions {
  /** The folder; it is made when it does not exist. */
  readonly folder: string;
  /** Default `"dsync"` on Linux, `"datasync"` elsewhere. */
  readonly syncMode?: SyncMode;
}

/**
 * A folder of the file system. The files of its lock are not listed. Making, renaming and removing a
 * file sync the folder too: a name that is lost in a power failure takes its bytes with it.
 */
export class NodeDisk implements SharedDisk {
  readonly location: string;
  readonly #syncMode: SyncMode;

  constructor(options: DiskOptions) {
    this.location = resolve(options.folder);
    this.#syncMode = options.syncMode ?? defaultSyncMode;
  }

  async list(): Promise<string[]> {
    const entries = await this.#inFolder("list", () =>
      fs.readdir(this.location, { withFileTypes: true }),
    );
    return entries
      .filter((entry) => entry.isFile() && !entry.name.startsWith(lockFilePrefix))
      .map((entry) => entry.name)
      .toSorted();
  }

  async create(name: string): Promise<DiskFile> {
    await this.#makeFolder();
    const file = await this.#openFile(name, true);
    try {
      await file.sync();
      await this.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  async open(name: string): Promise<DiskFile> {
    return this.#openFile(name, false);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#onPath(`rename to ${to}`, from, (path) => fs.rename(path, this.#pathOf(to)));
    await this.sync();
  }

  async remove(name: string): Promise<void> {
    await this.#onPath("remove", name, (path) => fs.unlink(path));
    await this.sync();
  }

  async link(from: string, to: string): Promise<boolean> {
    let isFree = true;
    await this.#onPath(`link to ${to}`, from, async (path) => {
      try {
        await fs.link(path, this.#pathOf(to));
      } catch (error) {
        if (systemCodeOf(error) !== "EEXIST") throw error;
        isFree = false;
      }
    });
    await this.sync();
    return isFree;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await this.#statistics("free space");
    return bavail * bsize;
  }

  /** Without what the system keeps for its administrator, so that used and free make the whole. */
  async sizeBytes(): Promise<number> {
    const { blocks, bfree, bavail, bsize } = await this.#statistics("size");
    return (blocks - bfree + bavail) * bsize;
  }

  async sync(): Promise<void> {
    // Windows cannot open a folder; its file systems keep names in a journal of their own.
    if (this.#syncMode === "none" || process.platform === "win32") return;
    await this.#inFolder("sync", async () => {
      const handle = await fs.open(this.location, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  async lock(): Promise<FolderLock> {
    await this.#makeFolder();
    return lockFolder(this.location);
  }

  #statistics(what: string): Promise<StatsFs> {
    return this.#inFolder(`ask for the ${what} of`, () => fs.statfs(this.location));
  }

  async #makeFolder(): Promise<void> {
    try {
      await makeFolders(this.location);
    } catch (error) {
      throw diskError("EVH_DATA_FOLDER", "create the folder", this.location, error);
    }
  }

  /** Makes the folder first: an empty place is a place where nothing has been written yet. */
  async #inFolder<T>(attempted: string, work: () => Promise<T>): Promise<T> {
    await this.#makeFolder();
    try {
      return await work();
    } catch (error) {
      throw diskError("EVH_DATA_FOLDER", `${attempted} the folder`, this.location, error);
    }
  }

  async #onPath(attempted: string, name: string, work: (path: string) => Promise<void>) {
    const path = this.#pathOf(name);
    try {
      await work(path);
    } catch (error) {
      throw diskError("EVH_IO", attempted, path, error);
    }
  }

  async #openFile(name: string, create: boolean): Promise<NodeDiskFile> {
    const path = this.#pathOf(name);
    return NodeDiskFile.open({ path, name, create, syncMode: this.#syncMode });
  }

  #pathOf(name: string): string {
    const plain = name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name);
    if (!plain) {
      throw new EverholdError(
        "EVH_IO",
        `cannot use the file ${JSON.stringify(name)}: a plain file name is expected`,
      );
    }
    return join(this.location, name);
  }
}

/**
 * Makes a folder and those above it that are missing. Node's own recursive way never returns where the
 * system answers ENOENT although the folder above exists, as below `/proc`.
 */
export async function makeFolders(path: string, isAboveSure = false): Promise<void> {
  try {
    await fs.mkdir(path, { mode: 0o750 });
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "EEXIST" && (await fs.stat(path)).isDirectory()) return;
    const above = dirname(path);
    if (code !== "ENOENT" || isAboveSure || above === path) throw error;
    await makeFolders(above);
    await makeFolders(path, true);
  }
}

/**
 * O_DSYNC is missing on Windows; on macOS it does not reach the medium, while libuv's `fdatasync` does
 * (F_FULLFSYNC).
 */
const defaultSyncMode: SyncMode = process.platform === "linux" ? "dsync" : "datasync";
