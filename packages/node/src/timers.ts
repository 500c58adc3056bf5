import type { Timer, Timers } from "@everhold/env";
import { limits } from "./limits.ts";

/** Timers of the event loop; the end of a turn is its check phase, after all input that was ready. */
export class NodeTimers implements Timers {
  #turnTasks: (() => void)[] = [];
  #turnScheduled = false;
  readonly #runTurnTasks = (): void => {
    const tasks = this.#turnTasks;
    this.#turnTasks = [];
    this.#turnScheduled = false;
    let done = 0;
    try {
      for (const task of tasks) {
        done += 1;
        task();
      }
    } finally {
      // Reached early only when a task threw: the others are not lost with it.
      for (const task of tasks.slice(done)) this.atTurnEnd(task);
    }
  };

  after(delayMs: number, task: () => void): Timer {
    return new NodeTimer(delayMs, task);
  }

  atTurnEnd(task: () => void): void {
    this.#turnTasks.push(task);
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(this.#runTurnTasks);
  }
}

class NodeTimer implements Timer {
  readonly #task: () => void;
  readonly #dueMs: number;
  #handle: NodeJS.Timeout | undefined;

  constructor(delayMs: number, task: () => void) {
    this.#task = task;
    this.#dueMs = performance.now() + delayMs;
    this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  /** Node turns a delay above 2^31 − 1 ms into 1 ms, and rounds down: both would be too early. */
  #arm(delayMs: number): void {
    const stepMs = Math.min(Math.max(Math.ceil(delayMs), 0), limits.timerStepMsMax);
    this.#handle = setTimeout(() => {
      const leftMs = this.#dueMs - performance.now();
      if (leftMs > 0) {
        this.#arm(leftMs);
        return;
      }
      this.#handle = undefined;
      this.#task();
    }, stepMs);
  }
}
