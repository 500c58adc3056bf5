/** A task that has been asked for and has not run yet. */
export interface Timer {
  /** Forgets the task. Harmless when it has run or was cancelled before. */
  cancel(): void;
}

/** Runs tasks later. A task never runs inside the call that asked for it. */
export interface Timers {
  /** Runs `task` once, `delayMs` (0 or more) of monotonic time from now or later. */
  after(delayMs: number, task: () => void): Timer;
  /**
   * Runs `task` once, when all input that is ready now has been handled. The place for work that is
   * cheaper done once for many inputs: one write, one sync, one flush a turn.
   */
  atTurnEnd(task: () => void): void;
}
