import * as fs from "node:fs";
import { promisify } from "node:util";
import { EverholdError } from "@everhold/base";
import type { DiskDone, DiskFile } from "@everhold/env";
import { diskError } from "./disk-error.ts";

const fsync = promisify(fs.fsync);
const ftruncate = promisify(fs.ftruncate);
const fstat = promisify(fs.fstat);
const closeDescriptor = promisify(fs.close);
const openDescriptor = promisify(fs.open);

/**
 * How a write becomes durable: `"dsync"` lets the system do it as part of the write (one round trip
 * through the thread pool, and an error belongs to the very write), `"datasync"` calls `fdatasync`
 * after each, `"none"` leaves it to the system: a crash of the machine then loses what was confirmed.
 */
export type SyncMode = "dsync" | "datasync" | "none";

/** How to open a {@link NodeDiskFile}. */
export interface OpenFileOptions {
  readonly path: string;
  readonly name: string;
  readonly syncMode: SyncMode;
  /** Makes the file, failing when it exists. */
  readonly create: boolean;
}

/** A file of the operating system. */
export class NodeDiskFile implements DiskFile {
  readonly name: string;
  readonly #path: string;
  readonly #descriptor: number;
  readonly #syncMode: SyncMode;
  #sizeBytes: number;
  #pendingCount = 0;
  #onIdle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: OpenFileOptions, descriptor: number, sizeBytes: number) {
    this.name = options.name;
    this.#path = options.path;
    this.#syncMode = options.syncMode;
    this.#descriptor = descriptor;
    this.#sizeBytes = sizeBytes;
  }

  /** Opens or makes the file. @throws EverholdError EVH_IO, EVH_DISK_FULL */
  static async open(options: OpenFileOptions): Promise<NodeDiskFile> {
    const { O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;
    let flags = O_RDWR;
    if (options.create) flags |= O_CREAT | O_EXCL;
    if (options.syncMode === "dsync") flags |= O_DSYNC;
    try {
      const descriptor = await openDescriptor(options.path, flags, 0o640);
      return new NodeDiskFile(options, descriptor, (await fstat(descriptor)).size);
    } catch (error) {
      throw diskError("EVH_IO", options.create ? "create" : "open", options.path, error);
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  write(bytes: Uint8Array, position: number, done: DiskDone): void {
    if (this.#refused("write to", done)) return;
    this.#pendingCount += 1;
    fs.write(this.#descriptor, bytes, 0, bytes.length, position, (error, written) => {
      if (error !== null) {
        this.#finish();
        done(
          diskError("EVH_IO", `write ${bytes.length} bytes at ${position} to`, this.#path, error),
          0,
        );
        return;
      }
      this.#sizeBytes = Math.max(this.#sizeBytes, position + written);
      if (this.#syncMode !== "datasync") {
        this.#finish();
        done(undefined, written);
        return;
      }
      fs.fdatasync(this.#descriptor, (syncError) => {
        this.#finish();
        if (syncError === null) done(undefined, written);
        else done(diskError("EVH_IO", "sync", this.#path, syncError), 0);
      });
    });
  }

  read(into: Uint8Array, position: number, done: DiskDone): void {
    if (this.#refused("read", done)) return;
    this.#pendingCount += 1;
    this.#readFrom(into, 0, position, done);
  }

  async sync(): Promise<void> {
    if (this.#syncMode === "none") return;
    await this.#guarded("sync", () => fsync(this.#descriptor));
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#guarded(`set the size to ${sizeBytes} bytes of`, async () => {
      await ftruncate(this.#descriptor, sizeBytes);
      this.#sizeBytes = sizeBytes;
      if (this.#syncMode !== "none") await fsync(this.#descriptor);
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#closeWhenIdle();
    return this.#closed;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#pendingCount > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    try {
      await closeDescriptor(this.#descriptor);
    } catch (error) {
      throw diskError("EVH_IO", "close", this.#path, error);
    }
  }

  /** Reads on after a short read: the system may return fewer bytes long before the end of a file. */
  #readFrom(into: Uint8Array, offset: number, position: number, done: DiskDone): void {
    const length = into.length - offset;
    fs.read(this.#descriptor, into, offset, length, position + offset, (error, bytes) => {
      if (error !== null) {
        this.#finish();
        done(
          diskError("EVH_IO", `read ${into.length} bytes at ${position} of`, this.#path, error),
          0,
        );
        return;
      }
      if (bytes > 0 && bytes < length) {
        this.#readFrom(into, offset + bytes, position, done);
        return;
      }
      this.#finish();
      done(undefined, offset + bytes);
    });
  }

  async #guarded(attempted: string, work: () => Promise<void>): Promise<void> {
    if (this.#closed !== undefined) throw this.#closedError(attempted);
    this.#pendingCount += 1;
    try {
      await work();
    } catch (error) {
      throw diskError("EVH_IO", attempted, this.#path, error);
    } finally {
      this.#finish();
    }
  }

  /** A closed file answers later, as an open one does; its descriptor may belong to another file now. */
  #refused(attempted: string, done: DiskDone): boolean {
    if (this.#closed === undefined) return false;
    setImmediate(done, this.#closedError(attempted), 0);
    return true;
  }

  #closedError(attempted: string): EverholdError {
    return new EverholdError(
      "EVH_CLOSED",
      `cannot ${attempted} ${this.#path}: the file was closed`,
    );
  }

  #finish(): void {
    this.#pendingCount -= 1;
    if (this.#pendingCount === 0) this.#onIdle?.();
  }
}
