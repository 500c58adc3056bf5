import { EverholdError } from "@everhold/base";
import type { DiskDone, DiskFile } from "@everhold/env";
import type { DiskMachine, InFlightFate } from "./disk-machine.ts";
import type { SimFile } from "./sim-file.ts";

/** What a handle needs of its disk. */
export interface DiskRoom {
  /** Bytes by which files may still grow. */
  freeBytes(): number;
}

/** An open file of a simulated disk. Dead after a crash: nothing it was asked for is ever answered. */
export class SimDiskFile implements DiskFile {
  readonly name: string;
  readonly #machine: DiskMachine;
  readonly #file: SimFile;
  readonly #room: DiskRoom;
  readonly #generation: number;
  #underWay = 0;
  #onIdle: (() => void) | undefined = undefined;

  constructor(name: string, file: SimFile, machine: DiskMachine, room: DiskRoom) {
    this.name = name;
    this.#file = file;
    this.#machine = machine;
    this.#room = room;
    this.#generation = machine.generation;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  write(bytes: Uint8Array, position: number, done: DiskDone): void {
    if (!this.#alive) return;
    const { prng, faults, counts } = this.#machine;
    let failure: Error | undefined;
    let count = bytes.length;
    this.#underWay += 1;
    this.#machine.start(
      { operation: "write", name: this.name, position, bytes: bytes.length },
      () => {
        failure = this.#writeFailure(position + bytes.length);
        if (failure !== undefined) {
          count = 0;
          if (EverholdError.is(failure, "EVH_DISK_FULL")) return;
          this.#file.writeSectors(bytes, position, true, () => prng.chance(0.5));
          return;
        }
        if (bytes.length > 1 && prng.chance(faults.shortWriteProbability)) {
          counts.shortWrites += 1;
          count = prng.integer(1, bytes.length - 1);
        }
        this.#file.write(bytes.subarray(0, count), position);
      },
      () => this.#settle(done, failure, count),
      (fate, power) => {
        this.#crashWrite(bytes, position, fate, power);
      },
    );
  }

  read(into: Uint8Array, position: number, done: DiskDone): void {
    if (!this.#alive) return;
    const { prng, faults, counts } = this.#machine;
    let failure: Error | undefined;
    let count = 0;
    this.#underWay += 1;
    this.#machine.start(
      { operation: "read", name: this.name, position, bytes: into.length },
      () => {
        if (prng.chance(faults.readErrorProbability)) {
          counts.readErrors += 1;
          failure = ioError(`the simulated disk failed to read ${this.name}`);
        } else {
          count = this.#file.read(into, position);
        }
      },
      () => this.#settle(done, failure, count),
      () => undefined,
    );
  }

  async sync(): Promise<void> {
    if (!this.#alive) return never();
    const { prng, faults, counts } = this.#machine;
    await this.#machine.run({ operation: "sync", name: this.name, position: 0, bytes: 0 }, () => {
      if (!prng.chance(faults.syncErrorProbability)) {
        this.#file.sync();
        return;
      }
      counts.syncErrors += 1;
      this.#file.forgetDirty();
      throw ioError(`the simulated disk failed to sync ${this.name}`);
    });
  }

  async truncate(sizeBytes: number): Promise<void> {
    if (!this.#alive) return never();
    await this.#machine.run(
      { operation: "truncate", name: this.name, position: sizeBytes, bytes: 0 },
      () => {
        if (sizeBytes - this.#file.sizeBytes > this.#room.freeBytes()) throw this.#full();
        this.#file.truncate(sizeBytes);
      },
    );
  }

  async close(): Promise<void> {
    if (!this.#alive) return never();
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  get #alive(): boolean {
    return this.#generation === this.#machine.generation;
  }

  #settle(done: DiskDone, failure: Error | undefined, count: number): void {
    this.#underWay -= 1;
    done(failure, count);
    if (this.#underWay === 0) this.#onIdle?.();
  }

  #writeFailure(endPosition: number): Error | undefined {
    const { prng, faults, counts } = this.#machine;
    if (prng.chance(faults.writeErrorProbability)) {
      counts.writeErrors += 1;
      return ioError(`the simulated disk failed to write ${this.name}`);
    }
    if (endPosition - this.#file.sizeBytes <= this.#room.freeBytes()) return undefined;
    return this.#full();
  }

  #full(): EverholdError {
    this.#machine.counts.fullErrors += 1;
    return new EverholdError("EVH_DISK_FULL", `cannot make ${this.name} longer: the disk is full`);
  }

  /** Without `power` lost, what a write had stored by then stays in the cache. */
  #crashWrite(bytes: Uint8Array, position: number, fate: InFlightFate, power: boolean): void {
    const { prng, counts } = this.#machine;
    const chosen = fate === "random" ? prng.pick(["lost", "applied", "torn"]) : fate;
    if (chosen === "lost") {
      counts.lostWrites += 1;
      return;
    }
    if (chosen === "applied") counts.appliedWrites += 1;
    else counts.tornWrites += 1;
    if (!power) counts.cachedWrites += 1;
    this.#file.writeSectors(bytes, position, power, () => chosen === "applied" || prng.chance(0.5));
  }
}

/** What the simulated disk's injected failures look like. */
export function ioError(message: string): EverholdError {
  return new EverholdError("EVH_IO", message, { outcome: "unknown" });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
