import type { Timer } from "@everhold/env";

import type { LiveQueue } from "./live-queue.ts";

/**
 * Holds a queue back until enough consumers are there, or until what was handed out has been settled.
 *
 *     closed ──enough consumers, or the delay is over, and nothing in flight──▶ open
 *       ▲────────the last consumer leaves, or groups are dealt out anew──────────┘
 *
 * Source: Artemis, `QueueImpl#canDispatch`.
 */
export class DispatchGate {
  #isOpen: boolean;
  /** When it opens however few consumers there are, in ms since 1970; infinite for never. */
  #opensAtMs = Number.POSITIVE_INFINITY;
  /** Has somebody look again at `opensAtMs`. */
  timer: Timer | undefined;

  /** One that `isOpen` from the start is that of a queue that hands out already. */
  constructor(isOpen: boolean) {
    this.#isOpen = isOpen;
  }

  /** When time alone may open it, in ms since 1970; infinite where it cannot. */
  get opensAtMs(): number {
    return this.#opensAtMs;
  }

  /** Whether a `timer` is missing, because time alone may open it. */
  needsTimer(nowMs: number): boolean {
    if (this.timer !== undefined || this.#opensAtMs === Number.POSITIVE_INFINITY) return false;
    return this.#opensAtMs > nowMs;
  }

  /** Whether messages may be handed out now; opens it where that is so. */
  opens(queue: LiveQueue, nowMs: number): boolean {
    if (this.#isOpen) return true;
    // What consumers still hold comes before what they would get now, or never comes back.
    if (queue.state.inFlightCount > 0) return false;
    const isCrowd = queue.takerCount >= queue.traits.consumersBeforeDispatch;
    this.#isOpen = isCrowd || nowMs >= this.#opensAtMs;
    return this.#isOpen;
  }

  /** A consumer came. */
  consumerAdded(queue: LiveQueue, nowMs: number): void {
    const { delayBeforeDispatchMs } = queue.traits;
    if (delayBeforeDispatchMs < 0 || this.#opensAtMs !== Number.POSITIVE_INFINITY) return;
    this.#opensAtMs = nowMs + delayBeforeDispatchMs;
  }

  /** Closes it: everything has to be settled before more is handed out. */
  close(): void {
    this.#isOpen = false;
    this.#opensAtMs = Number.POSITIVE_INFINITY;
    this.timer?.cancel();
    this.timer = undefined;
  }
}
