import type { Engine } from "./engine.ts";
import type { LiveAddress, LiveQueue } from "./live-queue.ts";

/** Deletes what was made automatically and nobody needs any more, each after the delay that holds for it. */
export class AutomaticDeletion {
  readonly #engine: Engine;
  /** Addresses that have lost their last queue, and go in a while. */
  readonly #leaving = new Set<LiveAddress>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** An address has lost its last queue, or was found without one: unless it gets another, it goes in a while. */
  addressEmptied(address: LiveAddress): void {
    address.emptySinceMs = this.#engine.nowMs();
    this.#leaving.add(address);
  }

  /** An address is gone. */
  addressDeleted(address: LiveAddress): void {
    this.#leaving.delete(address);
  }

  /** Deletes what is unused and may go by itself. Called every now and then. */
  deleteUnused(): void {
    const { catalog } = this.#engine;
    for (const queue of [...catalog.queues()]) this.#deleteIfUnused(queue);
    const nowMs = this.#engine.nowMs();
    for (const address of this.#leaving) {
      const { autoDeleteAddresses, autoDeleteAddressesDelay } = address.settings;
      const isEmpty = !address.isDeleted && address.state.queues.length === 0;
      if (!isEmpty || !address.state.autoCreated || !autoDeleteAddresses) {
        this.#leaving.delete(address);
      } else if (address.emptySinceMs > nowMs) address.emptySinceMs = nowMs;
      else if (nowMs - address.emptySinceMs >= autoDeleteAddressesDelay) {
        catalog.deleteAddress(address);
      }
    }
  }

  /**
   * Deletes a queue that was made automatically, has been consumed from, and was found empty and without
   * consumers twice in a row, as long apart as it says; so a consumer that comes back soon finds it again. It may
   * say that it need not be empty. Source: Artemis, `QueueManagerImpl`, `auto-delete-queues`.
   */
  #deleteIfUnused(queue: LiveQueue): void {
    if (!mayDeleteAutomatically(queue) || !queue.wasConsumed) return;
    const { messageCount, pendingCount } = queue.state;
    const { autoDeleteDelay, autoDeleteMessageCount } = queue.state.definition;
    const countMax = autoDeleteMessageCount ?? 0;
    const isHeld = messageCount > countMax && countMax !== -1;
    if (queue.consumers.length > 0 || isHeld || pendingCount > 0) {
      queue.unusedSinceMs = undefined;
      return;
    }
    const nowMs = this.#engine.nowMs();
    // The clock may have been set back.
    if (queue.unusedSinceMs === undefined || queue.unusedSinceMs > nowMs) {
      queue.unusedSinceMs = nowMs;
    } else if (nowMs - queue.unusedSinceMs >= (autoDeleteDelay ?? 0))
      this.#engine.catalog.deleteQueue(queue);
  }
}

/** Whether the queue is one that goes when nobody needs it. */
export function mayDeleteAutomatically(queue: LiveQueue): boolean {
  const { autoCreated, autoDelete, temporary } = queue.state.definition;
  const { autoDeleteQueues } = queue.address.settings;
  return (autoDelete ?? (autoCreated && autoDeleteQueues)) && !temporary;
}
