import { Prng } from "@everhold/base";
import type { Timer } from "@everhold/env";
import { limits } from "../limits.ts";
import { EventQueue } from "./event-queue.ts";
import { Trace } from "./trace.ts";

/** Something went wrong that never may: a broken invariant, an error nobody handled, a broken promise. */
export interface Failure {
  readonly timeMs: number;
  /** Which machine or checker noticed. */
  readonly source: string;
  readonly error: Error;
}

/** How a {@link World} is made. */
export interface WorldOptions {
  /** Everything random follows from it. Any safe integer. */
  readonly seed: number;
  /** Takes each line of the trace as text. */
  readonly writeTrace?: (line: string) => void;
}

/** When {@link World.run} returns, besides at a failure and when nothing is left to happen. */
export interface RunUntil {
  /** Virtual time, ms since the world began. */
  readonly timeMs?: number;
  /** Looked at after each event. */
  readonly condition?: () => boolean;
}

/** Why {@link World.run} returned. */
export type RunEnd = "condition" | "time" | "idle" | "failure";

/**
 * A world with a clock of its own: things happen one after the other, in an order that follows from
 * the seed alone, and time passes only from one to the next.
 *
 * One event is one step of one machine. After each, the promises it settled run out before the next
 * begins, so a machine never sees half of a step.
 */
export class World {
  readonly seed: number;
  readonly trace: Trace;
  readonly failures: Failure[] = [];
  readonly #events = new EventQueue();
  #nowMs = 0;
  #eventCount = 0;

  constructor(options: WorldOptions) {
    this.seed = options.seed;
    this.trace = new Trace(options.writeTrace);
  }

  /** Virtual time since the world began, in ms, with a fraction. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many events have happened. */
  get eventCount(): number {
    return this.#eventCount;
  }

  /** A stream of randomness of its own for `purpose`, so that one more user does not shift the others. */
  randomFor(purpose: string): Prng {
    let hash = 0x811c9dc5;
    for (let index = 0; index < purpose.length; index += 1) {
      hash = Math.imul(hash ^ purpose.charCodeAt(index), 0x01000193);
    }
    const mixer = new Prng(this.seed);
    const low = (mixer.uint32() ^ hash) >>> 0;
    return new Prng((mixer.uint32() & 0x1f_ffff) * 0x1_0000_0000 + low);
  }

  /** Makes `task` happen `delayMs` from now. `source` and `what` name it in the trace. */
  after(delayMs: number, source: string, what: string, task: () => void): Timer {
    return this.#events.add(this.#nowMs + Math.max(0, delayMs), source, what, task);
  }

  /** Writes something down that is no event. */
  note(source: string, what: string, detail?: number | string): void {
    this.trace.note(this.#nowMs, source, what, detail);
  }

  /** Records that something went wrong; the run ends with the current event. */
  fail(source: string, error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error));
    this.failures.push({ timeMs: this.#nowMs, source, error: failure });
    this.note(source, "FAILURE", failure.message);
  }

  /** Lets things happen until `until` says stop, something failed, or nothing is left to happen. */
  async run(until: RunUntil = {}): Promise<RunEnd> {
    const onRejection = (reason: unknown): void => this.fail("a promise", reason);
    process.on("unhandledRejection", onRejection);
    try {
      return await new Promise<RunEnd>((resolve) => {
        const step = (): void => {
          const end = this.#ending(until);
          if (end !== undefined) {
            resolve(end);
            return;
          }
          this.#happen();
          // Promises and rejections of this event are done with before the next immediate runs.
          setImmediate(step);
        };
        setImmediate(step);
      });
    } finally {
      process.off("unhandledRejection", onRejection);
    }
  }

  #ending(until: RunUntil): RunEnd | undefined {
    if (this.failures.length > 0) return "failure";
    if (until.condition?.() === true) return "condition";
    const nextMs = this.#events.nextTimeMs();
    if (until.timeMs !== undefined && (nextMs === undefined || nextMs > until.timeMs)) {
      this.#nowMs = Math.max(this.#nowMs, until.timeMs);
      return "time";
    }
    if (nextMs === undefined) return "idle";
    if (this.#eventCount < limits.eventCountMax) return undefined;
    this.fail(
      "world",
      new Error(`more than ${limits.eventCountMax} events; the world goes in circles`),
    );
    return "failure";
  }

  #happen(): void {
    const event = this.#events.next();
    if (event?.task === undefined) return;
    this.#nowMs = event.timeMs;
    this.#eventCount += 1;
    this.trace.note(event.timeMs, event.source, event.what);
    try {
      event.task();
    } catch (error) {
      this.fail(event.source, error);
    }
  }
}
