import { createHash, createHmac } from "node:crypto";
import { crc32 } from "node:zlib";
import type {
  Digests,
  Disk,
  Hash,
  Log,
  LogFields,
  Macs,
  Ports,
  Timer,
  Timers,
} from "@everhold/env";
import { WatchedDisk } from "@everhold/journal";
import type { SimNetwork } from "../network/sim-network.ts";
import { Life } from "./life.ts";
import type { World } from "./world.ts";

/** A disk that survives its machine, as a crash leaves it. */
export interface MachineDisk extends Disk {
  /**
   * The process ends: what it had under way may be stored, lost or torn, and nobody is told. With
   * `power` what is not on stable storage may be lost as well.
   */
  crash(options: { readonly power: boolean }): void;
}

/** How a {@link Machine} is made. */
export interface MachineOptions {
  readonly world: World;
  readonly network: SimNetwork;
  /** Its name and its host name on the network. */
  readonly name: string;
  readonly disk: MachineDisk;
}

/** The time of day at the world's beginning, in ms since 1970. */
export const wallOffsetMs = Date.UTC(2026, 0, 1);

/**
 * A computer that runs one process at a time. {@link Machine.start} gives a process its ports;
 * {@link Machine.crash} ends it between two of its steps, without a word to anybody.
 */
export class Machine {
  readonly name: string;
  readonly disk: MachineDisk;
  readonly #world: World;
  readonly #network: SimNetwork;
  #life: Life | undefined;
  #bootCount = 0;
  #wallOffsetMs = wallOffsetMs;
  /** What the time of day was just before it was set, and when, in ms of the world. */
  readonly #jumps: { readonly atMs: number; readonly wallMs: number }[] = [];

  constructor(options: MachineOptions) {
    this.name = options.name;
    this.disk = options.disk;
    this.#world = options.world;
    this.#network = options.network;
  }

  /** Whether a process runs. */
  get running(): boolean {
    return this.#life !== undefined;
  }

  /** How often a process has been started. */
  get bootCount(): number {
    return this.#bootCount;
  }

  /** Starts a process: ports that work until the next crash. */
  start(): Ports {
    if (this.#life !== undefined)
      throw new Error(`start ${this.name}: a process runs there already`);
    this.#bootCount += 1;
    const life = new Life(this.#world, this.name);
    this.#life = life;
    this.#world.note(this.name, "starts", this.#bootCount);
    return this.#ports(life);
  }

  /**
   * Ends the process, and tells nobody. With `power` the whole computer dies: the disk may lose what was
   * not durable, and peers may have to find out from silence. Without (kill -9) the system lives on and
   * resets the connections.
   */
  crash(options: { readonly power: boolean }): void {
    if (this.#life === undefined) return;
    this.#world.note(this.name, options.power ? "loses power" : "is killed", this.#bootCount);
    this.#life.end();
    this.#life = undefined;
    this.disk.crash(options);
    this.#network.machineCrashed(this.name, options);
  }

  /** The process has ended by itself, in order; whatever it left running ends with it. */
  stop(): void {
    if (this.#life === undefined) return;
    this.#world.note(this.name, "ends", this.#bootCount);
    this.#life.end();
    this.#life = undefined;
    this.#network.machineCrashed(this.name, { power: false });
  }

  /** Its process does nothing for a while, as when its event loop is held up; false when none runs. */
  standStill(durationMs: number): boolean {
    if (this.#life === undefined) return false;
    this.#world.note(this.name, "stands still", durationMs);
    this.#life.standStill(durationMs);
    return true;
  }

  /** Whether its process does nothing just now. */
  get standsStill(): boolean {
    return this.#life?.standsStill ?? false;
  }

  /** Sets the time of day forward or back, as an administrator or a time service may. */
  jumpWallClock(deltaMs: number): void {
    this.#jumps.push({ atMs: this.#world.nowMs, wallMs: this.#wallMs });
    this.#wallOffsetMs += deltaMs;
    this.#world.note(this.name, "wall clock jumps", deltaMs);
  }

  /** Sets the time of day right again. */
  correctWallClock(): void {
    if (this.#wallOffsetMs !== wallOffsetMs) this.jumpWallClock(wallOffsetMs - this.#wallOffsetMs);
  }

  /** The latest time of day that it had since a moment of the world, which it may have left again. */
  latestWallMsSince(worldMs: number): number {
    const before = this.#jumps.filter(({ atMs }) => atMs >= worldMs);
    return Math.max(this.#wallMs, ...before.map(({ wallMs }) => wallMs));
  }

  get #wallMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#world.nowMs);
  }

  #ports(life: Life): Ports {
    const world = this.#world;
    const prng = world.randomFor(`${this.name} ${this.#bootCount}`);
    const monotonicZeroMs = prng.integer(0, 1_000_000);
    const log = new TraceLog(world, this.name, life);
    // With timers of its own: each use of the disk would shift the others' otherwise.
    const looks = new SimTimers(
      life,
      world.randomFor(`disk looks ${this.name} ${this.#bootCount}`),
    );
    return {
      wallClock: { nowMs: () => this.#wallMs },
      monotonicClock: { nowMs: () => monotonicZeroMs + world.nowMs },
      timers: new SimTimers(life, world.randomFor(`timers ${this.name} ${this.#bootCount}`)),
      random: prng,
      hash: realHash,
      digests: realDigests,
      macs: realMacs,
      disk: new WatchedDisk({ timers: looks, log, disk: this.disk }),
      network: this.#network.forProcess(this.name, life),
      log,
    };
  }
}

/** Checksums are the same in every world. */
const realHash: Hash = { crc32: (bytes, seed) => crc32(bytes, seed) };
/** Digests, too. */
export const realDigests: Digests = {
  digest: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
};
/** And so are proofs. */
const realMacs: Macs = {
  hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
};

class SimTimers implements Timers {
  readonly #life: Life;
  readonly #prng: { chance(probability: number): boolean; fraction(): number };
  #turnTasks: (() => void)[] = [];

  constructor(life: Life, prng: { chance(probability: number): boolean; fraction(): number }) {
    this.#life = life;
    this.#prng = prng;
  }

  /** Timers of real systems are late now and then, so these are. */
  after(delayMs: number, task: () => void): Timer {
    const lateMs = this.#prng.chance(0.1) ? this.#prng.fraction() * 5 : 0;
    return this.#life.after(delayMs + lateMs, "timer", task);
  }

  /** A turn lasts some microseconds of virtual time, so that several inputs may fall into it. */
  atTurnEnd(task: () => void): void {
    this.#turnTasks.push(task);
    if (this.#turnTasks.length > 1) return;
    this.#life.after(this.#prng.fraction() * 0.05, "turn ends", () => {
      const tasks = this.#turnTasks;
      this.#turnTasks = [];
      for (const turnTask of tasks) turnTask();
    });
  }
}

class TraceLog implements Log {
  readonly #world: World;
  readonly #source: string;
  readonly #life: Life;

  constructor(world: World, source: string, life: Life) {
    this.#world = world;
    this.#source = source;
    this.#life = life;
  }

  debug(message: string, fields?: LogFields): void {
    this.#note("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#note("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#note("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#note("error", message, fields);
  }

  #note(level: string, message: string, fields: LogFields = {}): void {
    if (!this.#life.alive) return;
    this.#world.note(this.#source, `log ${level}`, `${message} ${JSON.stringify(fields)}`);
  }
}
