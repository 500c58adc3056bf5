import type { ReceiveFrame } from "@everhold/wire";
import type { ReceivedMessage } from "./received-message.ts";

/**
 * Messages of earlier lives of a consumer that the application has in hand, or that it settled without
 * an answer. When the broker delivers one again it is recognised, so that nobody handles it twice.
 */
export class HeldMessages {
  readonly #byId = new Map<number, ReceivedMessage>();

  /** How many are held. */
  get size(): number {
    return this.#byId.size;
  }

  /** Holds a message. */
  add(message: ReceivedMessage): void {
    this.#byId.set(message.messageId, message);
  }

  /** Holds it no more; it may be delivered as any other. */
  remove(message: ReceivedMessage): void {
    if (this.#byId.get(message.messageId) === message) this.#byId.delete(message.messageId);
  }

  /** Whether this very message is held. */
  has(message: ReceivedMessage): boolean {
    return this.#byId.get(message.messageId) === message;
  }

  /** All that are held, in the order in which they came. */
  all(): Iterable<ReceivedMessage> {
    return this.#byId.values();
  }

  /** Takes all out. */
  drain(): ReceivedMessage[] {
    const all = [...this.#byId.values()];
    this.#byId.clear();
    return all;
  }

  /**
   * Takes out the held message that this delivery repeats. Ids of messages that were never stored may be
   * given again, so the bytes must agree, and of such a message a delivery that counts 1 repeats nothing.
   * Of a durable one it may: Artemis forgets its deliveries when it dies.
   */
  takeRedelivered(
    messageId: number,
    deliveryCount: number,
    bytes: Uint8Array,
    frame: ReceiveFrame,
  ): ReceivedMessage | undefined {
    if (this.#byId.size === 0) return undefined;
    const held = this.#byId.get(messageId);
    if (held === undefined) return undefined;
    if (deliveryCount <= 1 && !held.durable) return undefined;
    if (!equal(held.bytes, bytes, frame.messageStart, frame.messageEnd)) return undefined;
    this.#byId.delete(messageId);
    return held;
  }
}

function equal(held: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (held.length !== end - start) return false;
  for (let index = 0; index < held.length; index += 1) {
    if (held[index] !== bytes[start + index]) return false;
  }
  return true;
}
