import { crc32 } from "node:zlib";
import { assert, Prng } from "@everhold/base";
import type { Disk, Log, Timer } from "@everhold/env";
import {
  createJournal,
  type Journal,
  type JournalListener,
  type JournalOptions,
  type JournalPorts,
  type RecoverySummary,
} from "@everhold/journal";
import { SimDisk, type SimDiskOptions } from "../disk/sim-disk.ts";
import { ModelState } from "./model-state.test-support.ts";

interface Event {
  readonly timeMs: number;
  readonly task: () => void;
}

/** Virtual time for one process and its disk: events in order of time, then of asking. */
export class JournalWorld {
  readonly disk: SimDisk;
  readonly logs: string[] = [];
  nowMs = 0;
  readonly #prng: Prng;
  readonly #events: Event[] = [];
  #life = 0;

  constructor(options: Partial<SimDiskOptions> & { readonly seed: number }) {
    this.#prng = new Prng(options.seed);
    this.disk = new SimDisk({
      ...options,
      scheduler: {
        after: (delayMs, task) => this.#add(delayMs, task),
      },
    });
  }

  /** Starts a process on the disk. */
  async boot(options: Partial<JournalOptions> = {}): Promise<Booted> {
    const booted = this.prepare(options);
    await booted.open();
    return booted;
  }

  /** As {@link boot}, without opening. */
  prepare(options: Partial<JournalOptions> = {}): Booted {
    return new Booted(this, { ...smallSizes, ...options, ports: options.ports ?? this.ports() });
  }

  /** The process dies, with everything it asked for. */
  crash(options?: Parameters<SimDisk["crash"]>[0]): void {
    this.#life += 1;
    this.disk.crash(options);
  }

  ports(): JournalPorts {
    const life = this.#life;
    const ifAlive = (task: () => void) => (): void => {
      if (life === this.#life) task();
    };
    return {
      disk: this.#diskOf(life),
      hash: { crc32: (bytes, seed) => crc32(bytes, seed) },
      random: { uint32: () => this.#prng.uint32(), fill: (target) => this.#prng.fill(target) },
      wallClock: { nowMs: () => 1_800_000_000_000 + Math.floor(this.nowMs) },
      timers: {
        after: (delayMs, task): Timer => {
          let isCancelled = false;
          this.#add(
            delayMs,
            ifAlive(() => {
              if (!isCancelled) task();
            }),
          );
          return { cancel: () => (isCancelled = true) };
        },
        atTurnEnd: (task) => this.#add(0, ifAlive(task)),
      },
      log: this.#log(),
    };
  }

  /** Lets things happen until `isDone`, or until nothing is left to happen. Returns whether it is done. */
  async run(isDone: () => boolean = () => false): Promise<boolean> {
    // What was called just now may ask for something only in a promise of its own.
    await new Promise((resolve) => setImmediate(resolve));
    for (let count = 0; !isDone(); count += 1) {
      assert(count < 1_000_000, "a world does not go in circles");
      const event = this.#events.shift();
      if (event === undefined) return isDone();
      this.nowMs = Math.max(this.nowMs, event.timeMs);
      event.task();
      // Promises that the event settled run out before the next one.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return true;
  }

  /** Runs until a promise settles. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    promise.then(note, note);
    const happened = await this.run(() => isSettled);
    assert(happened, "a promise settles before nothing is left to happen");
    return promise;
  }

  #add(delayMs: number, task: () => void): void {
    const event = { timeMs: this.nowMs + delayMs, task };
    let index = this.#events.length;
    while (index > 0 && (this.#events[index - 1]?.timeMs ?? 0) > event.timeMs) index -= 1;
    this.#events.splice(index, 0, event);
  }

  /** A process that died asks for nothing more, whatever it was about to do. */
  #diskOf(life: number): Disk {
    const ifAlive = <T>(ask: () => Promise<T>): Promise<T> =>
      life === this.#life ? ask() : new Promise<T>(() => undefined);
    const { disk } = this;
    return {
      location: disk.location,
      list: () => ifAlive(() => disk.list()),
      create: (name) => ifAlive(() => disk.create(name)),
      open: (name) => ifAlive(() => disk.open(name)),
      rename: (from, to) => ifAlive(() => disk.rename(from, to)),
      remove: (name) => ifAlive(() => disk.remove(name)),
      freeBytes: () => ifAlive(() => disk.freeBytes()),
      lock: () => ifAlive(() => disk.lock()),
    };
  }

  #log(): Log {
    const write = (message: string): void => {
      this.logs.push(message);
    };
    return { debug: write, info: write, warn: write, error: write };
  }
}

/** Sizes at which everything happens soon. */
export const smallSizes = {
  segmentBytes: 64 * 1024,
  batchBytesMax: 4096,
  tailCacheBytes: 16 * 1024,
  readCacheBytes: 64 * 1024,
  readAheadBytes: 8192,
  snapshotBytes: 96 * 1024,
  prepareAheadBytes: 16 * 1024,
  freeBytesMin: 0,
} satisfies Partial<JournalOptions>;

/** One process: a journal, the state behind it, and what the listener was told. */
export class Booted implements JournalListener {
  readonly journal: Journal;
  readonly state: ModelState;
  readonly commits: number[] = [];
  readonly failures: Error[] = [];
  summary: RecoverySummary | undefined = undefined;
  readonly #world: JournalWorld;

  constructor(world: JournalWorld, options: JournalOptions) {
    this.#world = world;
    this.journal = createJournal(options);
    this.state = new ModelState(this.journal);
  }

  async open(): Promise<RecoverySummary> {
    this.summary = await this.#world.settle(this.journal.open(this.state, this));
    return this.summary;
  }

  /** Runs until everything appended so far is durable. */
  async commit(): Promise<void> {
    const { endPosition } = this.journal;
    const isDone = await this.#world.run(() => this.journal.commitPosition >= endPosition);
    assert(isDone, "everything appended becomes durable");
  }

  async close(): Promise<void> {
    await this.#world.settle(this.journal.close());
  }

  onCommitted(commitPosition: number): void {
    assert(this.failures.length === 0, "nothing is committed after a failure");
    this.commits.push(commitPosition);
  }

  onFailed(error: Error): void {
    this.failures.push(error);
  }
}
