import { Deque } from "@everhold/base";
import type { ReceivedMessage } from "./received-message.ts";

/** What one consumer was delivered and nobody has taken, in its order. */
export class MessageBuffer {
  readonly #messages = new Deque<ReceivedMessage>();
  #bytes = 0;

  /** How many messages are in it. */
  get length(): number {
    return this.#messages.length;
  }

  /** What they take of the prefetch window. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds one at the end. */
  push(message: ReceivedMessage): void {
    this.#messages.push(message);
    this.#bytes += message.frameBytes;
  }

  /** Takes the first one out; `undefined` when there is none. */
  shift(): ReceivedMessage | undefined {
    const message = this.#messages.shift();
    if (message !== undefined) this.#bytes -= message.frameBytes;
    return message;
  }

  /** Forgets the last `count`, all where nothing is said. */
  drop(count = this.#messages.length): void {
    const kept = this.#messages.drain();
    kept.splice(kept.length - count, count);
    this.#bytes = 0;
    for (const message of kept) this.push(message);
  }
}
