import type { Prng } from "@everhold/base";
import type { DiskFaultCounts, DiskFaults } from "./disk-faults.ts";

/** Runs a task later, in simulated time. What the simulated world gives to its disks. */
export interface DiskScheduler {
  after(delayMs: number, task: () => void): unknown;
}

/** What becomes of operations under way when a process dies. */
export type InFlightFate = "random" | "lost" | "applied" | "torn";

/** One step of an operation, for tests that crash at a chosen moment. */
export interface DiskEvent {
  readonly operation:
    | "write"
    | "read"
    | "sync"
    | "create"
    | "rename"
    | "remove"
    | "truncate"
    | "link";
  readonly phase: "started" | "done";
  readonly name: string;
  readonly position: number;
  readonly bytes: number;
}

/** What an operation does when the process dies before its end. */
export type CrashEffect = (fate: InFlightFate, power: boolean) => void;

/** The operations of one disk that are under way, and the life of the process that started them. */
export class DiskMachine {
  readonly prng: Prng;
  readonly faults: DiskFaults;
  readonly counts: DiskFaultCounts;
  observer: ((event: DiskEvent) => void) | undefined = undefined;
  readonly #scheduler: DiskScheduler;
  readonly #underWay = new Set<{ readonly onCrash: CrashEffect }>();
  #generation = 0;
  /** What was due since it answers nothing; undefined: it answers. */
  #held: (() => void)[] | undefined;

  constructor(prng: Prng, scheduler: DiskScheduler, faults: DiskFaults, counts: DiskFaultCounts) {
    this.prng = prng;
    this.#scheduler = scheduler;
    this.faults = faults;
    this.counts = counts;
  }

  /** Grows with each crash; handles of an earlier one are dead. */
  get generation(): number {
    return this.#generation;
  }

  /** From now on nothing ends, also not what is under way, until {@link wake}. A crash decides it as ever. */
  hang(): void {
    this.#held ??= [];
  }

  /** It answers again, and first what it did not answer. */
  wake(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    // Each is an event of its own.
    for (const end of held) this.#scheduler.after(0, end);
  }

  get isHung(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Runs `effect` after the disk's delay and then `settle`, unless the process dies first: then
   * `onCrash` decides what is left, and nobody is told.
   */
  start(
    event: Omit<DiskEvent, "phase">,
    effect: () => void,
    settle: () => void,
    onCrash: CrashEffect,
  ): void {
    const generation = this.#generation;
    const operation = { onCrash };
    this.#underWay.add(operation);
    this.observer?.({ ...event, phase: "started" });
    const { delayMsMin, delayMsMax } = this.faults;
    const delayMs = delayMsMin + (delayMsMax - delayMsMin) * this.prng.fraction();
    const end = (): void => {
      if (this.#held !== undefined) {
        this.#held.push(end);
        return;
      }
      if (!this.#underWay.delete(operation)) return;
      effect();
      this.observer?.({ ...event, phase: "done" });
      // The observer may have ended the process.
      if (generation === this.#generation) settle();
    };
    this.#scheduler.after(delayMs, end);
  }

  /** As {@link start}, for operations that a crash either stores whole or not at all. */
  run(event: Omit<DiskEvent, "phase">, effect: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      const attempt = (): void => {
        try {
          effect();
        } catch (error) {
          failure =
            error instanceof Error ? error : new Error("an effect failed", { cause: error });
        }
      };
      this.start(
        event,
        attempt,
        () => {
          if (failure === undefined) resolve();
          else reject(failure);
        },
        (fate) => {
          if (fate === "applied" || (fate !== "lost" && this.prng.chance(0.5))) attempt();
        },
      );
    });
  }

  /** Ends the process: decides every operation under way. */
  crash(fate: InFlightFate, power: boolean): void {
    this.#generation += 1;
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    for (const operation of underWay) operation.onCrash(fate, power);
  }
}
