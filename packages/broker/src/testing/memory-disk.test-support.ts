import { EverholdError } from "@everhold/base";
import type { Disk, DiskDone, DiskFile, DiskLock } from "@everhold/env";

class StoredFile {
  bytes = new Uint8Array(0);
  size = 0;

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.size));
      this.bytes = grown;
    }
    this.bytes.set(bytes, position);
    this.size = Math.max(this.size, end);
  }
}

/**
 * A folder in memory. A write is stored when its completion is due; a crash before that loses it. Tests
 * can hold writes back, make them fail, or say that the disk is full.
 */
export class MemoryDisk implements Disk {
  readonly location = "memory";
  /** While true, writes that were asked for wait for {@link releaseWrites}. */
  holdsWrites = false;
  /** The next write fails with this. */
  writeError: EverholdError | undefined = undefined;
  free = 1024 * 1024 * 1024;
  /** Writes so far; those of zeros are not counted. */
  writeCount = 0;
  readonly #files = new Map<string, StoredFile>();
  readonly #schedule: (event: () => void) => void;
  #held: (() => void)[] = [];
  #isLocked = false;
  #life = 0;

  constructor(schedule: (event: () => void) => void) {
    this.#schedule = schedule;
  }

  /** Lets the writes go on that were held back. */
  releaseWrites(): void {
    this.holdsWrites = false;
    for (const event of this.#held.splice(0)) this.#schedule(event);
  }

  /** An error to set as {@link writeError}. */
  failure(): EverholdError {
    return new EverholdError("EVH_IO", "the test's disk fails");
  }

  /** Forgets what was under way. */
  crash(): void {
    this.#held = [];
    this.holdsWrites = false;
    this.#isLocked = false;
    this.#life += 1;
  }

  /** The bytes of all journal files, to be changed by tests that damage them. */
  contentOf(name: string): Uint8Array {
    const file = this.#fileOf(name);
    return file.bytes.subarray(0, file.size);
  }

  list(): Promise<string[]> {
    return Promise.resolve([...this.#files.keys()].sort());
  }

  create(name: string): Promise<DiskFile> {
    if (this.#files.has(name)) return Promise.reject(new EverholdError("EVH_IO", `${name} exists`));
    const file = new StoredFile();
    this.#files.set(name, file);
    return Promise.resolve(this.#handle(name, file));
  }

  open(name: string): Promise<DiskFile> {
    return Promise.resolve(this.#handle(name, this.#fileOf(name)));
  }

  rename(from: string, to: string): Promise<void> {
    const file = this.#fileOf(from);
    this.#files.delete(from);
    this.#files.set(to, file);
    return Promise.resolve();
  }

  remove(name: string): Promise<void> {
    this.#files.delete(name);
    return Promise.resolve();
  }

  freeBytes(): Promise<number> {
    return Promise.resolve(this.free);
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(2 * this.free);
  }

  lock(): Promise<DiskLock> {
    if (this.#isLocked) return Promise.reject(new EverholdError("EVH_DATA_LOCKED", "locked"));
    this.#isLocked = true;
    const release = (): Promise<void> => {
      this.#isLocked = false;
      return Promise.resolve();
    };
    return Promise.resolve({ release });
  }

  #fileOf(name: string): StoredFile {
    const file = this.#files.get(name);
    if (file === undefined) throw new EverholdError("EVH_IO", `there is no file ${name}`);
    return file;
  }

  #handle(name: string, file: StoredFile): DiskFile {
    const life = this.#life;
    const schedule = (event: () => void): void => {
      this.#schedule(() => {
        if (life === this.#life) event();
      });
    };
    return {
      name,
      get sizeBytes() {
        return file.size;
      },
      write: (bytes: Uint8Array, position: number, done: DiskDone) => {
        const error = this.writeError;
        if (bytes[0] !== 0) this.writeCount += 1;
        const complete = (): void => {
          if (life !== this.#life) return;
          if (error === undefined) file.write(bytes, position);
          done(error, error === undefined ? bytes.length : 0);
        };
        if (this.holdsWrites) this.#held.push(complete);
        else schedule(complete);
      },
      read: (into: Uint8Array, position: number, done: DiskDone) => {
        schedule(() => {
          const part = file.bytes.subarray(position, Math.min(position + into.length, file.size));
          into.set(part);
          done(undefined, part.length);
        });
      },
      sync: () => Promise.resolve(),
      truncate: (size: number) => {
        if (size > file.size) file.write(new Uint8Array(size - file.size), file.size);
        else {
          file.bytes.fill(0, size, file.size);
          file.size = size;
        }
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}
