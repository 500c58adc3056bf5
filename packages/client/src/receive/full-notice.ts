import { EverholdError } from "@everhold/base";
import { limits } from "../limits.ts";

/**
 * Tells, once each time, that a consumer gets no more because of what the application holds. Where it
 * said nothing of how many messages it may hold, it may wonder why none come.
 */
export class FullNotice {
  readonly #queue: string;
  readonly #onError: (error: EverholdError) => void;
  #isTold = false;

  constructor(queue: string, onError: (error: EverholdError) => void) {
    this.#queue = queue;
    this.#onError = onError;
  }

  /** Looks at how many messages are held, of at most how many. */
  update(messageCount: number, messagesMax: number): void {
    const isFull = messageCount >= limits.heldMessageCountMax;
    const isStuck = isFull && messagesMax === limits.heldMessageCountMax;
    const wasTold = this.#isTold;
    // Before anybody hears of it: who is told may ask for another message, and so come here again.
    this.#isTold = isStuck;
    if (!isStuck || wasTold) return;
    this.#onError(
      new EverholdError(
        "EVH_OVERLOADED",
        `Cannot receive more from ${this.#queue}: found ${messageCount} messages that are not ` +
          `settled, at most ${limits.heldMessageCountMax} are held; settle some, or set prefetch.messages`,
      ),
    );
  }
}
