import type { Timer } from "@everhold/env";

import { limits } from "../limits.ts";
import type { Consumer } from "./consumer.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Session } from "./session.ts";

/** A delivery whose consumer is to come. */
interface HeldDelivery {
  readonly consumerId: number;
  readonly key: number;
}

/**
 * Messages that the application of a returning session has in its hands: its consumers get them as their
 * deliveries, unsent, when they are opened. Those for whose consumer nobody comes go back to their queues, as
 * deliveries that failed; where the session's connection has broken, when nobody comes back for that either.
 *
 * Meanwhile a queue whose messages are not for everybody, by their groups or because it is exclusive, hands out
 * nothing: what follows would overtake what is held.
 */
export class HeldDeliveries {
  readonly #session: Session;
  /** By queue and message id, in the order in which they were delivered. */
  readonly #held = new Map<LiveQueue, Map<number, HeldDelivery>>();
  /** Queues that lost a consumer, and are to have one again. */
  #kept: LiveQueue[] = [];
  #timer: Timer | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Queues that stay as if they had a consumer. */
  get keptQueues(): readonly LiveQueue[] {
    return this.#kept;
  }

  /** Holds a delivery, which is in flight, behind those that are held already. */
  add(consumerId: number, queue: LiveQueue, messageId: number, key: number): void {
    const held = this.#held.get(queue) ?? new Map<number, HeldDelivery>();
    this.#held.set(queue, held.set(messageId, { consumerId, key }));
    queue.heldCount += 1;
    this.#start();
  }

  /** Holds a message no more, which stays in flight; its key, or −1 when it is not held. */
  take(queue: LiveQueue, messageId: number): number {
    const found = this.#held.get(queue)?.get(messageId);
    if (found === undefined) return -1;
    this.#letGo(queue, messageId);
    return found.key;
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
    for (const [messageId, { consumerId, key }] of this.#held.get(queue) ?? []) {
      if (consumerId !== consumer.id) continue;
      consumer.deliveries.push(messageId, key);
      consumer.deliveredCount += 1;
      this.#letGo(queue, messageId);
      const group = queue.groups === undefined ? 0 : queue.state.groupOf(key);
      if (group !== 0) queue.groups?.assign(group, "", consumer);
      queue.resumeTaker(consumer);
    }
    if (this.#kept.includes(queue)) {
      this.#kept = this.#kept.filter((one) => one !== queue);
      queue.keptCount -= 1;
    }
    if (this.#held.size === 0 && this.#kept.length === 0) this.stop();
  }

  /** Nobody comes any more: all goes back. `isAttempt`: it counts as a delivery that failed. */
  release(isAttempt: boolean): void {
    this.stop();
    const { redelivery, catalog } = this.#session.engine;
    for (const [queue, held] of this.#held) {
      for (const [messageId, { key }] of held) {
        this.#letGo(queue, messageId);
        redelivery.giveBack(queue, key, isAttempt);
      }
    }
    for (const queue of this.#kept.splice(0)) {
      queue.keptCount -= 1;
      catalog.endIfUnused(queue);
    }
  }

  /** Waits no more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#session.engine.returns.setHolding(this, false);
  }

  #start(): void {
    if (this.#timer !== undefined) return;
    const { engine, sink } = this.#session;
    engine.returns.setHolding(this, true);
    this.#timer = engine.after(limits.resumeHoldMs, () => {
      this.#timer = undefined;
      // Its client may come back to it, and its end is the end of this.
      if (sink.link.isParked) this.#start();
      else this.release(true);
    });
  }

  #letGo(queue: LiveQueue, messageId: number): void {
    const held = this.#held.get(queue);
    held?.delete(messageId);
    if (held?.size === 0) this.#held.delete(queue);
    queue.heldCount -= 1;
    this.#session.engine.touch(queue);
  }
}
