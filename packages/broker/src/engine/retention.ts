import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";

/**
 * Lets old messages go where new ones come: of ring queues. Whoever adds a row to such a queue says so;
 * at the end of the step what is too much goes, in the same write as what came.
 *
 * What consumers hold, and what waits for its time, does not count and does not go. When it comes back to
 * a full ring, it goes itself. Source: Artemis, `QueueImpl#enforceRing`.
 */
export class Retention {
  readonly #engine: Engine;
  #changed: LiveQueue[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The queue, of which `limitsItself` is true, has a message more. */
  added(queue: LiveQueue): void {
    if (queue.isOverfull) return;
    queue.isOverfull = true;
    this.#changed.push(queue);
  }

  /** The message came back from a consumer, or its time has come: it gives way before others do. */
  returned(queue: LiveQueue, key: number): void {
    queue.returnedKeys.push(key);
    this.added(queue);
  }

  /** Lets go what is too much. Called at the end of a step. */
  enforce(): void {
    while (this.#changed.length > 0) {
      const changed = this.#changed;
      this.#changed = [];
      for (const queue of changed) {
        queue.isOverfull = false;
        if (!queue.isDeleted) this.#trimRing(queue);
        queue.returnedKeys.length = 0;
      }
    }
  }

  #trimRing(queue: LiveQueue): void {
    const { ringSize } = queue.traits;
    if (ringSize < 0) return;
    let excess = queue.state.readyCount - ringSize;
    for (const key of queue.returnedKeys) {
      if (excess <= 0) return;
      if (!queue.state.isReady(key)) continue;
      this.#drop(queue, key);
      excess -= 1;
    }
    for (; excess > 0; excess -= 1) this.#drop(queue, queue.state.nextReady());
  }

  #drop(queue: LiveQueue, key: number): void {
    queue.counts.replacedTotal += 1;
    this.#engine.acknowledgeOne(queue, key);
  }
}
