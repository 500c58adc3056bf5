import { deferred, EverholdError } from "@everhold/base";
import type { Disk, DiskDone, DiskFile, DiskLock, DiskSilence, Ports, Timer } from "@everhold/env";
import { limits } from "./limits.ts";

/** What the disk was asked for and has not answered. */
interface Work {
  readonly operation: string;
  readonly name: string;
  /** Whether something is to be stored, or is only looked up. */
  readonly isChange: boolean;
  /** How many looks have found it under way. */
  lookCount: number;
}

/**
 * A disk that neither fails nor answers gives no sign of it, so somebody has to look at what is under way. This one knows
 * how long the disk has been silent, and says so: after a while, whenever it has been twice as long, and when it answers
 * again. Time is counted in looks: a process that stood still, and has read no answer yet, has looked once.
 *
 * ```
 *   asked --> under way --> answered
 *               |  ^  a look, each `diskLookMs`
 *               +--+
 * ```
 */
export class WatchedDisk implements Disk {
  readonly location: string;
  readonly sizeBytes?: () => Promise<number>;
  readonly #ports: Pick<Ports, "timers" | "log">;
  readonly #disk: Disk;
  /** In the order in which it was asked for. */
  readonly #works = new Set<Work>();
  /** Who waits for the disk no longer than it answers. */
  readonly #impatient = new Set<(error: EverholdError) => void>();
  #looking: Timer | undefined = undefined;
  /** The silence that is told next, and the longest one since the disk was last known to answer. */
  #tellMs: number = limits.diskSilentMs;
  #longestMs = 0;

  constructor(ports: Pick<Ports, "timers" | "log" | "disk">) {
    const { disk } = ports;
    this.#ports = ports;
    this.#disk = disk;
    this.location = disk.location;
    if (disk.sizeBytes !== undefined) this.sizeBytes = disk.sizeBytes.bind(disk);
  }

  /** The disk of these ports, watched; as it is where somebody watches it already. */
  static of(ports: Pick<Ports, "timers" | "log" | "disk">): WatchedDisk {
    return ports.disk instanceof WatchedDisk ? ports.disk : new WatchedDisk(ports);
  }

  /** The oldest change that is under way, to a look of {@link limits.diskLookMs}; undefined: none, or it is quite new. */
  get silence(): DiskSilence | undefined {
    for (const work of this.#works) if (work.isChange) return silenceOf(work);
    return undefined;
  }

  /**
   * Settles as `work` does, which waits for this disk, and is given up when the disk has been silent for
   * {@link limits.diskSilentMs}.
   * @throws EverholdError EVH_DISK_HUNG, and what `work` does
   */
  async unlessHung<T>(work: Promise<T>): Promise<T> {
    const hung = deferred<never>();
    const onHung = (error: EverholdError): void => hung.reject(error);
    this.#impatient.add(onHung);
    this.#tellImpatient();
    try {
      return await Promise.race([work, hung.promise]);
    } finally {
      this.#impatient.delete(onHung);
    }
  }

  list(): Promise<string[]> {
    return this.watch("list the files", "", false, this.#disk.list());
  }

  async create(name: string): Promise<DiskFile> {
    return new WatchedFile(this, await this.watch("make", name, true, this.#disk.create(name)));
  }

  async open(name: string): Promise<DiskFile> {
    return new WatchedFile(this, await this.watch("open", name, false, this.#disk.open(name)));
  }

  rename(from: string, to: string): Promise<void> {
    return this.watch("rename", from, true, this.#disk.rename(from, to));
  }

  remove(name: string): Promise<void> {
    return this.watch("remove", name, true, this.#disk.remove(name));
  }

  freeBytes(): Promise<number> {
    return this.watch("ask for the free space", "", false, this.#disk.freeBytes());
  }

  lock(): Promise<DiskLock> {
    return this.watch("lock the folder", "", false, this.#disk.lock());
  }

  /** Counts `answer` as under way until it settles. For the disk's own files, too. */
  async watch<T>(
    operation: string,
    name: string,
    isChange: boolean,
    answer: Promise<T>,
  ): Promise<T> {
    const onAnswered = this.begin(operation, name, isChange);
    try {
      return await answer;
    } finally {
      onAnswered();
    }
  }

  /** Something is under way until the returned function is called. */
  begin(operation: string, name: string, isChange: boolean): () => void {
    const work: Work = { operation, name, isChange, lookCount: 0 };
    this.#works.add(work);
    this.#looking ??= this.#lookLater();
    return () => {
      this.#works.delete(work);
      this.#noteAnswer();
    };
  }

  #lookLater(): Timer {
    return this.#ports.timers.after(limits.diskLookMs, () => {
      for (const work of this.#works) work.lookCount += 1;
      this.#looking = this.#lookLater();
      this.#tellSilence();
      this.#tellImpatient();
    });
  }

  #tellSilence(): void {
    const { silentMs, attempted } = this.#oldest ?? { silentMs: 0 };
    this.#longestMs = Math.max(this.#longestMs, silentMs);
    if (silentMs < this.#tellMs) return;
    this.#tellMs = 2 * silentMs;
    this.#ports.log.error("The disk does not answer: whatever needs it waits", {
      ...{ disk: this.location, attempted, silentMs },
    });
  }

  #noteAnswer(): void {
    if (this.#works.size === 0) {
      this.#looking?.cancel();
      this.#looking = undefined;
    }
    if ((this.#oldest?.silentMs ?? 0) >= limits.diskSilentMs) return;
    const silentMs = this.#longestMs;
    const wasTold = this.#tellMs > limits.diskSilentMs;
    this.#longestMs = 0;
    this.#tellMs = limits.diskSilentMs;
    if (wasTold) {
      this.#ports.log.info("The disk answers again", { disk: this.location, silentMs });
    }
  }

  #tellImpatient(): void {
    const { silentMs, attempted } = this.#oldest ?? { silentMs: 0 };
    if (silentMs < limits.diskSilentMs || this.#impatient.size === 0) return;
    const error = new EverholdError(
      "EVH_DISK_HUNG",
      `cannot ${attempted}: the disk of ${this.location} has not answered for ${silentMs} ms`,
      { outcome: "unknown" },
    );
    for (const tell of this.#impatient) tell(error);
  }

  get #oldest(): DiskSilence | undefined {
    for (const work of this.#works) return silenceOf(work);
    return undefined;
  }
}

/** A file whose reads and writes are looked at. */
class WatchedFile implements DiskFile {
  readonly name: string;
  readonly #disk: WatchedDisk;
  readonly #file: DiskFile;

  constructor(disk: WatchedDisk, file: DiskFile) {
    this.#disk = disk;
    this.#file = file;
    this.name = file.name;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  write(bytes: Uint8Array, position: number, done: DiskDone): void {
    const onAnswered = this.#disk.begin("write", this.name, true);
    this.#file.write(bytes, position, (error, count) => {
      onAnswered();
      done(error, count);
    });
  }

  read(into: Uint8Array, position: number, done: DiskDone): void {
    const onAnswered = this.#disk.begin("read", this.name, false);
    this.#file.read(into, position, (error, count) => {
      onAnswered();
      done(error, count);
    });
  }

  sync(): Promise<void> {
    return this.#disk.watch("sync", this.name, true, this.#file.sync());
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#disk.watch("set the size of", this.name, true, this.#file.truncate(sizeBytes));
  }

  close(): Promise<void> {
    return this.#disk.watch("close", this.name, false, this.#file.close());
  }
}

/** It was begun at any time before the first look. */
function silenceOf({ operation, name, lookCount }: Work): DiskSilence {
  const silentMs = Math.max(0, lookCount - 1) * limits.diskLookMs;
  return { attempted: name === "" ? operation : `${operation} ${name}`, silentMs };
}
