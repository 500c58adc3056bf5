import type { Disk, DiskDone, DiskFile, Timers } from "@everhold/env";

/** A disk that says "done" as soon as it has been asked: what a write cache without a battery does. */
export function earlyDisk(disk: Disk, timers: Timers): Disk {
  return {
    location: disk.location,
    list: () => disk.list(),
    create: async (name) => new EarlyFile(await disk.create(name), timers),
    open: async (name) => new EarlyFile(await disk.open(name), timers),
    rename: (from, to) => disk.rename(from, to),
    remove: (name) => disk.remove(name),
    freeBytes: () => disk.freeBytes(),
    lock: () => disk.lock(),
  };
}

class EarlyFile implements DiskFile {
  readonly name: string;
  readonly #file: DiskFile;
  readonly #timers: Timers;

  constructor(file: DiskFile, timers: Timers) {
    this.name = file.name;
    this.#file = file;
    this.#timers = timers;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  write(bytes: Uint8Array, position: number, done: DiskDone): void {
    this.#writeAll(bytes.slice(), position);
    this.#timers.after(0, () => done(undefined, bytes.length));
  }

  read(into: Uint8Array, position: number, done: DiskDone): void {
    this.#file.read(into, position, done);
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#file.truncate(sizeBytes);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Nobody hears of a short write any more, so it goes on by itself. */
  #writeAll(bytes: Uint8Array, position: number): void {
    this.#file.write(bytes, position, (error, count) => {
      if (error !== undefined || count === 0 || count >= bytes.length) return;
      this.#writeAll(bytes.subarray(count), position + count);
    });
  }
}
