import type { Timer, Timers } from "@everhold/env";

import { limits } from "../limits.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";

/** Messages of one queue whose time has come, and where the journal says so. */
interface DueBatch {
  readonly queue: LiveQueue;
  readonly keys: readonly number[];
  readonly position: number;
}

/**
 * Hands scheduled messages on when their time has come, by the time of day. One timer serves all of them.
 *
 *     scheduled ──time──▶ due (a DUE record is written) ──commit──▶ ready
 *
 * The time of day may be set in either direction: it is looked at when a message falls due, and while
 * anything is scheduled at least every `limits.scheduleCheckMs`.
 */
export class Scheduler {
  readonly #engine: Engine;
  readonly #timers: Timers;
  #timer: Timer | undefined;
  /** The due time for which the timer is set; infinite without a timer. */
  #armedForMs = Number.POSITIVE_INFINITY;
  /** In the order of their positions. */
  #uncommitted: DueBatch[] = [];
  #isStopped = false;

  constructor(engine: Engine, timers: Timers) {
    this.#engine = engine;
    this.#timers = timers;
  }

  /**
   * Until when a message waits that asks for a time; 0 for at once. One whose time has just passed goes
   * with those that were sent before it for the same time or an earlier one and are still scheduled.
   */
  dueMsOf(askedMs: number): number {
    if (askedMs <= 0) return 0;
    const isOver = askedMs <= this.#engine.nowMs() && askedMs < this.#engine.state.nextDueMs;
    return isOver ? 0 : askedMs;
  }

  /** Sees to it that the next message is not missed. Called at the end of each step. */
  arm(): void {
    const nextMs = this.#engine.state.nextDueMs;
    if (nextMs >= this.#armedForMs || this.#isStopped) return;
    this.#timer?.cancel();
    this.#armedForMs = nextMs;
    const delayMs = Math.max(0, nextMs - this.#engine.nowMs());
    this.#timer = this.#timers.after(Math.min(delayMs, limits.scheduleCheckMs), this.#onTimer);
  }

  /** Makes ready what fell due and is committed as such. */
  onCommitted(commitPosition: number): void {
    let count = 0;
    for (const batch of this.#uncommitted) {
      if (batch.position >= commitPosition) break;
      count += 1;
      this.#show(batch);
    }
    if (count > 0) this.#uncommitted.splice(0, count);
  }

  /** Nothing falls due any more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  readonly #onTimer = (): void => {
    if (this.#isStopped) return;
    this.#timer = undefined;
    const { state } = this.#engine;
    const count = state.fallDue(this.#engine.nowMs(), limits.dueRowsPerStep, (queue, keys, at) => {
      const live = this.#engine.catalog.findQueue(queue.definition.name);
      if (live !== undefined) this.#onDue({ queue: live, keys, position: at });
    });
    // The timer counts as set until the next turn, which is soon enough for what else is due.
    if (count === limits.dueRowsPerStep) this.#timers.atTurnEnd(this.#onTimer);
    else this.#armedForMs = Number.POSITIVE_INFINITY;
    this.#engine.endStep();
  };

  #onDue(batch: DueBatch): void {
    const { queue, keys, position } = batch;
    if (position < 0) {
      // The message itself may still wait for its commit, where other queues keep it in the journal.
      this.#engine.awaitCommit(queue);
      this.#show(batch);
      return;
    }
    this.#uncommitted.push(batch);
    if (queue.takerCount === 0) return;
    // The dispatch limits are written together with the record, so that nobody waits for a second write.
    for (const key of keys) this.#engine.state.prepareDispatch(queue.state, key);
  }

  #show({ queue, keys }: DueBatch): void {
    for (const key of keys) this.#engine.redelivery.showDue(queue, key);
  }
}
