import type { Timer } from "@everhold/env";

import { limits } from "../limits.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { LiveQueue } from "./live-queue.ts";

/** A delivery whose consumer is to come. */
interface HeldDelivery {
  readonly consumerId: number;
  readonly queue: LiveQueue;
  readonly messageId: number;
  readonly key: number;
}

/**
 * Messages that the application of a returning session has in its hands: its consumers get them as their
 * deliveries, unsent, when they are opened. Those for whose consumer nobody comes go back to their queues, as
 * deliveries that failed.
 *
 * Meanwhile a queue whose messages are not for everybody, by their groups or because it is exclusive, hands out
 * nothing: what follows would overtake what is held.
 */
export class HeldDeliveries {
  readonly #engine: Engine;
  #held: HeldDelivery[] = [];
  /** Queues that lost a consumer, and are to have one again. */
  #kept: LiveQueue[] = [];
  #timer: Timer | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Holds a delivery, which is in flight, behind those that are held already. */
  add(consumerId: number, queue: LiveQueue, messageId: number, key: number): void {
    this.#held.push({ consumerId, queue, messageId, key });
    queue.heldCount += 1;
    this.#start();
  }

  /** The queue stays as if it had a consumer, until the one comes that follows. */
  keep(queue: LiveQueue): void {
    if (this.#kept.includes(queue)) return;
    this.#kept.push(queue);
    queue.keptCount += 1;
    this.#start();
  }

  /** The consumer has come: what was held for it is in its hands. */
  giveTo(consumer: Consumer): void {
    const { queue } = consumer;
    for (const { consumerId, queue: its, messageId, key } of this.#held) {
      if (consumerId !== consumer.id || its !== queue) continue;
      consumer.deliveries.push(messageId, key);
      consumer.deliveredCount += 1;
      this.#letGo(queue);
      const group = queue.groups === undefined ? 0 : queue.state.groupOf(key);
      if (group !== 0) queue.groups?.assign(group, "", consumer);
      queue.resumeTaker(consumer);
    }
    this.#held = this.#held.filter((one) => one.consumerId !== consumer.id || one.queue !== queue);
    if (this.#kept.includes(queue)) {
      this.#kept = this.#kept.filter((one) => one !== queue);
      queue.keptCount -= 1;
    }
    if (this.#held.length === 0 && this.#kept.length === 0) this.stop();
  }

  /** Nobody comes any more: all goes back. `isAttempt`: it counts as a delivery that failed. */
  release(isAttempt: boolean): void {
    this.stop();
    for (const { queue, key } of this.#held.splice(0)) {
      this.#letGo(queue);
      this.#engine.redelivery.giveBack(queue, key, isAttempt);
    }
    for (const queue of this.#kept.splice(0)) {
      queue.keptCount -= 1;
      this.#engine.catalog.endIfUnused(queue);
    }
  }

  /** Waits no more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#engine.returns.setHolding(this, false);
  }

  #start(): void {
    if (this.#timer !== undefined) return;
    this.#engine.returns.setHolding(this, true);
    this.#timer = this.#engine.after(limits.resumeHoldMs, () => {
      this.release(true);
    });
  }

  #letGo(queue: LiveQueue): void {
    queue.heldCount -= 1;
    this.#engine.touch(queue);
  }
}
