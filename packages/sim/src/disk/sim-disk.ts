import { EverholdError, Prng } from "@everhold/base";
import type { DiskFile, DiskLock, SharedDisk } from "@everhold/env";
import {
  newDiskFaultCounts,
  noDiskFaults,
  type DiskFaultCounts,
  type DiskFaults,
} from "./disk-faults.ts";
import {
  DiskMachine,
  type DiskEvent,
  type DiskScheduler,
  type InFlightFate,
} from "./disk-machine.ts";
import { ioError, SimDiskFile } from "./sim-disk-file.ts";
import { SimFile } from "./sim-file.ts";

/** How a {@link SimDisk} is made. */
export interface SimDiskOptions {
  /** Decides every fault and delay. */
  readonly seed: number;
  readonly scheduler: DiskScheduler;
  /** Default: {@link noDiskFaults}. */
  readonly faults?: Partial<DiskFaults>;
  /** Room for all files together, in bytes. Default: without end. */
  readonly capacityBytes?: number;
  /** Default `sim-disk`. */
  readonly location?: string;
}

/** What is in a folder. */
interface SimFolder {
  readonly files: Map<string, SimFile>;
  /** Names that a loss of power may take. */
  readonly unsynced: Set<string>;
}

/**
 * A folder on a simulated disk: the same seed and the same calls give the same faults. A write under
 * way when the process dies is lost, stored, or torn: any subset of its 512-byte sectors is there.
 */
export class SimDisk implements SharedDisk {
  readonly location: string;
  /** May be changed at any time. */
  readonly faults: DiskFaults;
  /** How often each kind of fault happened. */
  readonly counts: DiskFaultCounts = newDiskFaultCounts();
  /** May be changed at any time. */
  capacityBytes: number;
  /** What becomes of what is under way in a crash that does not say. May be changed at any time. */
  crashFate: InFlightFate = "random";
  readonly #machine: DiskMachine;
  readonly #scheduler: DiskScheduler;
  readonly #folder: SimFolder;
  #locked = false;

  /** `folder`: that of another process's view of the same disk. */
  constructor(options: SimDiskOptions, folder: SimFolder = newFolder()) {
    this.#folder = folder;
    this.location = options.location ?? "sim-disk";
    this.faults = { ...noDiskFaults, ...options.faults };
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER;
    this.#scheduler = options.scheduler;
    this.#machine = new DiskMachine(
      new Prng(options.seed),
      options.scheduler,
      this.faults,
      this.counts,
    );
  }

  /** Is told of every operation's start and end. It may call {@link crash}. */
  observe(observer: ((event: DiskEvent) => void) | undefined): void {
    this.#machine.observer = observer;
  }

  async list(): Promise<string[]> {
    await this.#look("");
    return this.names();
  }

  async create(name: string): Promise<DiskFile> {
    const file = new SimFile();
    await this.#machine.run({ operation: "create", name, position: 0, bytes: 0 }, () => {
      if (this.#folder.files.has(name)) throw ioError(`cannot create ${name}: it exists`);
      this.#folder.files.set(name, file);
      this.#folder.unsynced.clear();
    });
    return this.#handle(name, file);
  }

  async open(name: string): Promise<DiskFile> {
    await this.#look(name);
    return this.#handle(name, this.#file(name));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#machine.run({ operation: "rename", name: from, position: 0, bytes: 0 }, () => {
      const file = this.#file(from);
      this.#folder.files.delete(from);
      this.#folder.files.set(to, file);
      this.#folder.unsynced.clear();
    });
  }

  async remove(name: string): Promise<void> {
    await this.#machine.run({ operation: "remove", name, position: 0, bytes: 0 }, () => {
      this.#file(name);
      this.#folder.files.delete(name);
      this.#folder.unsynced.clear();
    });
  }

  /** The name is seen by all at once, and can be lost with the power until this or another call has ended. */
  async link(from: string, to: string): Promise<boolean> {
    let isFree = false;
    await this.#machine.run({ operation: "link", name: to, position: 0, bytes: 0 }, () => {
      const file = this.#file(from);
      isFree = !this.#folder.files.has(to);
      if (!isFree) return;
      this.#folder.files.set(to, file);
      this.#folder.unsynced.add(to);
    });
    await this.sync();
    return isFree;
  }

  async sync(): Promise<void> {
    await this.#machine.run({ operation: "sync", name: "", position: 0, bytes: 0 }, () => {
      this.#folder.unsynced.clear();
    });
  }

  async freeBytes(): Promise<number> {
    await this.#look("");
    return this.#freeBytesNow();
  }

  async lock(): Promise<DiskLock> {
    if (this.#locked) {
      throw new EverholdError(
        "EVH_DATA_LOCKED",
        `cannot use ${this.location}: another process uses it`,
      );
    }
    this.#locked = true;
    const generation = this.#machine.generation;
    return {
      release: async () => {
        if (generation === this.#machine.generation) this.#locked = false;
      },
    };
  }

  /** Whether some process holds the folder. */
  get locked(): boolean {
    return this.#locked;
  }

  /** All files, sorted. */
  names(): string[] {
    return [...this.#folder.files.keys()].toSorted();
  }

  /** Bytes of all files together. */
  get usedBytes(): number {
    let total = 0;
    for (const file of this.#folder.files.values()) total += file.sizeBytes;
    return total;
  }

  /** Answers nothing, whoever asks, and in a process after a crash as well, until {@link wake}. Nothing fails. */
  hang(): void {
    this.#machine.hang();
  }

  /** Answers again, what was asked first. */
  wake(): void {
    this.#machine.wake();
  }

  /** Whether it answers nothing. */
  get isHung(): boolean {
    return this.#machine.isHung;
  }

  /** A copy of a file's content, as a process sees it. */
  content(name: string): Uint8Array {
    return this.#file(name).content();
  }

  /** Makes or replaces a file, at once and for good. */
  put(name: string, content: Uint8Array): void {
    this.#folder.files.set(name, new SimFile(content));
  }

  /** Removes a file, at once and for good. */
  drop(name: string): void {
    this.#folder.files.delete(name);
  }

  /** Damages one bit (0 … 7) of one byte, at once and for good. */
  flipBit(name: string, position: number, bit: number): void {
    this.counts.bitFlips += 1;
    this.#file(name).flipBit(position, bit);
  }

  /** What another process sees of this disk: the same files, and operations of its own that end with it. */
  sharedWith(seed: number): SimDisk {
    const { location, faults, capacityBytes } = this;
    const scheduler = this.#scheduler;
    return new SimDisk({ seed, scheduler, faults, capacityBytes, location }, this.#folder);
  }

  /** Another disk with the same files, for a second look at what a crash left. */
  clone(seed: number, scheduler: DiskScheduler = this.#scheduler): SimDisk {
    const copy = new SimDisk({
      seed,
      scheduler,
      faults: this.faults,
      capacityBytes: this.capacityBytes,
      location: this.location,
    });
    for (const [name, file] of this.#folder.files) copy.put(name, file.content());
    return copy;
  }

  /**
   * The process that uses the disk dies. What is under way is decided now; its handles are dead: none
   * of their callbacks is called and none of their promises settles any more. With `power` (the
   * default) the machine dies too; without, what a write had stored may be in the system's cache only,
   * until somebody syncs it or a later crash takes the power.
   */
  crash(options: { readonly power?: boolean; readonly fate?: InFlightFate } = {}): void {
    const power = options.power ?? true;
    this.counts.crashes += 1;
    this.#locked = false;
    this.#machine.crash(options.fate ?? this.crashFate, power);
    if (!power) return;
    this.counts.powerLosses += 1;
    for (const name of this.#folder.unsynced) {
      if (this.#machine.prng.chance(0.5)) this.#folder.files.delete(name);
    }
    this.#folder.unsynced.clear();
    for (const file of this.#folder.files.values()) {
      this.counts.lostCacheSectors += file.losePower(() => this.#machine.prng.chance(0.5));
    }
  }

  #freeBytesNow(): number {
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  #look(name: string): Promise<void> {
    return this.#machine.run({ operation: "read", name, position: 0, bytes: 0 }, () => undefined);
  }

  #file(name: string): SimFile {
    const file = this.#folder.files.get(name);
    if (file === undefined) throw ioError(`cannot find ${name} in ${this.location}`);
    return file;
  }

  #handle(name: string, file: SimFile): SimDiskFile {
    return new SimDiskFile(name, file, this.#machine, { freeBytes: () => this.#freeBytesNow() });
  }
}

function newFolder(): SimFolder {
  return { files: new Map(), unsynced: new Set() };
}
