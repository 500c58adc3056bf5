/**
 * One folder of files, and nothing else of the disk. Names are plain file names (no separators).
 *
 * Everything a method promises is on stable storage when it settles, directory entries included.
 * Methods that return promises are for start-up, rolling and shutdown; `read` and `write` are for the
 * hot path, complete through a callback, and never call it before they have returned.
 */
export interface Disk {
  /** Where it is, for messages to people. */
  readonly location: string;
  /** The names of all files, sorted. @throws EverholdError EVH_DATA_FOLDER, EVH_IO */
  list(): Promise<string[]>;
  /** Makes an empty file. Fails when the name exists. @throws EverholdError EVH_IO */
  create(name: string): Promise<DiskFile>;
  /** Opens an existing file for reading and writing. @throws EverholdError EVH_IO */
  open(name: string): Promise<DiskFile>;
  /** Gives a file a new name, replacing what had it, at once. @throws EverholdError EVH_IO */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. @throws EverholdError EVH_IO */
  remove(name: string): Promise<void>;
  /** Bytes that can still be written. */
  freeBytes(): Promise<number>;
  /** Bytes that the whole disk has, used or not. Absent where that means nothing. */
  sizeBytes?(): Promise<number>;
  /**
   * Takes the folder for this process until `release`, or until the process ends however it ends.
   * @throws EverholdError EVH_DATA_LOCKED naming the holder
   */
  lock(): Promise<DiskLock>;
}

/** A folder that several processes change at the same time. */
export interface SharedDisk extends Disk {
  /**
   * Gives a file a second name, if that is free; of those who want it at the same time one gets it. Others may see it
   * before it is on stable storage. `false`: something has the name.
   * @throws EverholdError EVH_IO; the file may have the name then
   */
  link(from: string, to: string): Promise<boolean>;
  /** Puts the names of all files on stable storage, also those that others have just given. @throws EverholdError EVH_DATA_FOLDER */
  sync(): Promise<void>;
}

/** The right to use a folder alone. */
export interface DiskLock {
  release(): Promise<void>;
}

/** What a disk was asked for and has not answered. */
export interface DiskSilence {
  /** As in "cannot <attempted>". */
  readonly attempted: string;
  /** For so long at least, of the time in which this process was awake. */
  readonly silentMs: number;
}

/** Called once when a read or a write has ended. `bytes` is how many were read or written. */
export type DiskDone = (error: Error | undefined, bytes: number) => void;

/** An open file. */
export interface DiskFile {
  readonly name: string;
  /** Its size in bytes when it was opened, or after the last write that made it longer. */
  readonly sizeBytes: number;
  /**
   * Writes `bytes` at `position`. When `done` is called without an error the first `bytes` bytes it
   * names are on stable storage; they may be fewer than asked for, even when there is no error.
   * The file owns `bytes` until `done`. After an error nothing may be assumed about the range.
   */
  write(bytes: Uint8Array, position: number, done: DiskDone): void;
  /**
   * Reads into `into` from `position`; fewer bytes than asked for only at the end of the file.
   * The file owns `into` until `done`.
   */
  read(into: Uint8Array, position: number, done: DiskDone): void;
  /** Puts on stable storage whatever earlier processes left in caches. @throws EverholdError EVH_IO */
  sync(): Promise<void>;
  /** Cuts the file or lengthens it with zeros. @throws EverholdError EVH_IO */
  truncate(sizeBytes: number): Promise<void>;
  /** Idempotent; reads and writes under way complete first. */
  close(): Promise<void>;
}
