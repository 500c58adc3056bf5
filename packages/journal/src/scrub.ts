import { EverholdError } from "@everhold/base";
import type { DiskFile, Timer } from "@everhold/env";
import type { JournalHealth, JournalPorts } from "./journal-api.ts";
import type { JournalSettings } from "./journal-settings.ts";
import { limits } from "./limits.ts";
import type { JournalPin } from "./replicated-api.ts";
import { damagedRanges, type CheckRequest, type DamagedRange } from "./segment-check.ts";
import { mendRange, type PieceSupplier } from "./segment-mend.ts";
import type { Segment, SegmentTable } from "./segment-table.ts";

/** What the scrub asks of the rest of the journal. */
export interface ScrubSurroundings {
  /** Behind it the log may yet be cut. */
  readonly commitPosition: number;
  /** Keeps what lies behind `position`; undefined: nobody else has this log, so nothing is ever mended. */
  keep(position: number): JournalPin | undefined;
}

/**
 * Reads everything that the journal keeps again and again, slowly, so that what a disk lets rot is found while another member
 * still has it, and mends it with that; and at once where somebody came upon it.
 */
export class Scrub {
  /** Who else has this log. */
  supplier: PieceSupplier | undefined = undefined;
  readonly health: { -readonly [Key in keyof JournalHealth]: number } = {
    checkedBytes: 0,
    roundCount: 0,
    damagedCount: 0,
    mendedCount: 0,
  };
  readonly #ports: JournalPorts;
  readonly #settings: Pick<JournalSettings, "scrubBytesPerSecond">;
  readonly #table: SegmentTable;
  readonly #surroundings: ScrubSurroundings;
  #isStopped = false;
  #resting: { readonly timer: Timer; readonly end: () => void } | undefined;
  /** Segments that somebody waits for, by base. */
  readonly #urgent = new Map<number, Promise<boolean>>();
  #rounds: Promise<void> = Promise.resolve();
  /** Read since the last pause. */
  #unpausedBytes = 0;

  constructor(
    ports: JournalPorts,
    settings: Pick<JournalSettings, "scrubBytesPerSecond">,
    table: SegmentTable,
    surroundings: ScrubSurroundings,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#table = table;
    this.#surroundings = surroundings;
  }

  /** Begins the first round after a while; never where the rate is 0. */
  start(): void {
    if (this.#settings.scrubBytesPerSecond > 0) this.#rounds = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#resting?.timer.cancel();
    this.#resting?.end();
    await Promise.all([this.#rounds, ...this.#urgent.values()]);
  }

  /** Somebody could not read what lies at a position: whether it can be read now. Never rejects. */
  mendAt(position: number): Promise<boolean> {
    const segment = this.#table.find(position);
    if (segment === undefined || this.supplier === undefined) return Promise.resolve(false);
    let mending = this.#urgent.get(segment.base);
    if (mending === undefined) {
      mending = this.#check(segment, () => undefined);
      this.#urgent.set(segment.base, mending);
      mending.then(() => this.#urgent.delete(segment.base)).catch(() => undefined);
    }
    return mending;
  }

  async #run(): Promise<void> {
    await this.#rest(limits.scrubRestMs);
    while (!this.#isStopped) {
      for (const segment of [...this.#table.all()]) {
        if (this.#isStopped) return;
        if (this.#table.find(segment.base) === segment) {
          await this.#check(segment, (bytes) => this.#pace(bytes));
        }
      }
      this.health.roundCount += 1;
      await this.#rest(limits.scrubRestMs);
    }
  }

  #pace(bytes: number): Promise<void> | undefined {
    this.health.checkedBytes += bytes;
    this.#unpausedBytes += bytes;
    if (this.#unpausedBytes < limits.scrubStepBytes) return undefined;
    const pauseMs = (1_000 * this.#unpausedBytes) / this.#settings.scrubBytesPerSecond;
    this.#unpausedBytes = 0;
    return this.#rest(pauseMs);
  }

  /** Ends early when the scrub is stopped. */
  #rest(delayMs: number): Promise<void> {
    return new Promise((end) => {
      if (this.#isStopped) return end();
      this.#resting = { timer: this.#ports.timers.after(delayMs, end), end };
    });
  }

  /** Looks through one segment, and mends what is damaged. Says whether all of it is whole now. */
  async #check(segment: Segment, pace: CheckRequest["pace"]): Promise<boolean> {
    const { disk, hash, log } = this.#ports;
    const isStill = (): boolean => !this.#isStopped && this.#table.find(segment.base) === segment;
    let file: DiskFile | undefined;
    let isWhole = true;
    try {
      file = await disk.open(segment.name);
      const dataEnd = Math.min(segment.endPosition, this.#surroundings.commitPosition);
      const isOver = (): boolean => !isStill();
      for await (const range of damagedRanges({ file, segment, dataEnd, hash, pace, isOver })) {
        // What was read may have been another life of the file.
        if (!isStill()) return false;
        isWhole = (await this.#mend(file, range, isStill)) && isWhole;
      }
      return isWhole && isStill();
    } catch (error) {
      if (isStill()) {
        log.error("A segment of the journal cannot be checked", {
          segment: segment.name,
          problem: error instanceof Error ? error.message : String(error),
        });
      }
      return false;
    } finally {
      await file?.close();
    }
  }

  async #mend(file: DiskFile, range: DamagedRange, isStill: () => boolean): Promise<boolean> {
    const { disk, hash, log } = this.#ports;
    const { segment, from, to } = range;
    const story = { segment: segment.name, byte: from - segment.base, bytes: to - from };
    const { supplier: supply } = this;
    this.health.damagedCount += 1;
    if (supply === undefined) {
      log.error("The disk has damaged the journal: restore the file from a backup", story);
      return false;
    }
    // The file must not become another segment while it is written.
    const pin = this.#surroundings.keep(segment.previousEnd);
    log.warn("The disk has damaged the journal: other members are asked for what was there", story);
    try {
      await mendRange({ disk, hash, table: this.#table, file, supply, isStill }, range);
    } catch (error) {
      if (!EverholdError.is(error)) throw error;
      log.error("The journal is still damaged, and is tried again later", {
        ...story,
        problem: error.message,
      });
      return false;
    } finally {
      pin?.release();
    }
    this.health.mendedCount += 1;
    log.info("The journal was mended with what another member has", story);
    return true;
  }
}
