import type { Timer, Timers } from "@everhold/env";
import { limits } from "./limits.ts";

/**
 * Timers of a page. The end of a turn is the next task of the browser's queue, by a message to ourselves: a
 * `setTimeout` would wait for 4 ms, and in a hidden page for a second.
 */
export class BrowserTimers implements Timers {
  readonly #pending = new Set<BrowserTimer>();
  readonly #channel = new MessageChannel();
  #turnTasks: (() => void)[] = [];

  after(delayMs: number, task: () => void): Timer {
    const timer = new BrowserTimer(delayMs, task, this.#pending);
    this.#pending.add(timer);
    return timer;
  }

  atTurnEnd(task: () => void): void {
    this.#turnTasks.push(task);
    if (this.#turnTasks.length > 1) return;
    // Nobody listens for longer than there is something to do: a listener may keep its world alive.
    this.#channel.port1.addEventListener("message", this.#runTurnTasks);
    this.#channel.port1.start();
    this.#channel.port2.postMessage(null);
  }

  /** Runs what is overdue, in its order. For when the page is awake and its timers are not. */
  catchUp(): void {
    const nowMs = performance.now();
    const overdue = [...this.#pending].filter((timer) => timer.dueMs <= nowMs);
    for (const timer of overdue.toSorted((one, other) => one.dueMs - other.dueMs)) timer.run();
  }

  readonly #runTurnTasks = (): void => {
    const tasks = this.#turnTasks;
    this.#turnTasks = [];
    this.#channel.port1.removeEventListener("message", this.#runTurnTasks);
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
}

class BrowserTimer implements Timer {
  readonly dueMs: number;
  readonly #task: () => void;
  readonly #pending: Set<BrowserTimer>;
  #handle: ReturnType<typeof setTimeout> | undefined;

  constructor(delayMs: number, task: () => void, pending: Set<BrowserTimer>) {
    this.dueMs = performance.now() + delayMs;
    this.#task = task;
    this.#pending = pending;
    this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#handle);
    this.#pending.delete(this);
  }

  run(): void {
    // A task that ran before it may have cancelled it.
    if (!this.#pending.has(this)) return;
    this.cancel();
    this.#task();
  }

  /** Browsers turn a delay above 2^31 − 1 ms into none, and may round down: both would be too early. */
  #arm(delayMs: number): void {
    const stepMs = Math.min(Math.max(Math.ceil(delayMs), 0), limits.timerStepMsMax);
    this.#handle = setTimeout(() => {
      const leftMs = this.dueMs - performance.now();
      if (leftMs > 0) this.#arm(leftMs);
      else this.run();
    }, stepMs);
  }
}
