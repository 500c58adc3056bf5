import type { Prefetch } from "../options.ts";
import { limits } from "../limits.ts";

/** What a consumer holds, as far as its credit goes. */
export interface Held {
  /** Messages in the client's buffer and, not settled, in the application's hands. */
  readonly messageCount: number;
  /** Frames of those in the buffer. */
  readonly bufferedBytes: number;
  /** Whether a large message has begun and is not whole. */
  readonly isMidMessage: boolean;
  /** Who waits for a message. */
  readonly takerCount: number;
}

/**
 * How many bytes the broker may still deliver to one consumer, as both sides count them:
 * it delivers while the balance is above 0 and then subtracts the frame, so it may fall below.
 *
 * CORE knows credit in bytes only. But no delivery takes fewer than `limits.deliveryBytesMin`, so that a
 * balance brings no more messages than it has times as many bytes, begun ones included. That bounds
 * messages exactly, and small ones still come several at a time.
 */
export class ConsumerCredit {
  #bytesMax = 0;
  #messagesMax = 0;
  #granted = 0;
  #spent = 0;

  constructor(prefetch: Prefetch) {
    this.reset(prefetch);
  }

  /** A fresh consumer on the broker: it has no credit yet, and perhaps a window of the broker's choice. */
  reset(prefetch: Prefetch): void {
    const { bytes, messages } = windowOf(prefetch);
    this.#bytesMax = bytes;
    this.#messagesMax = messages;
    this.#granted = 0;
    this.#spent = 0;
  }

  /** Bytes granted since the consumer was opened. */
  get granted(): number {
    return this.#granted;
  }

  /** Bytes delivered since the consumer was opened. */
  get spent(): number {
    return this.#spent;
  }

  /** Whether nothing is to be delivered that nobody waits for. */
  get isPull(): boolean {
    return this.#messagesMax === 0;
  }

  /** Messages that may be held. */
  get messagesMax(): number {
    return this.#messagesMax;
  }

  /** Whether the broker may deliver something. */
  get isOpen(): boolean {
    return this.#granted > this.#spent;
  }

  /** A frame was delivered. */
  spend(frameBytes: number): void {
    this.#spent += frameBytes;
  }

  /** The broker has set what was left to zero, and everything delivered before that has come. */
  withdraw(): void {
    this.#granted = this.#spent;
  }

  /**
   * What to put into SESS_FLOWTOKEN now; 0 for nothing. The rest of a large message that has begun is let
   * in part by part whatever is held: others wait for its end.
   */
  due(held: Held): number {
    const balance = this.#granted - this.#spent;
    const windowed = this.#windowDue(balance, held);
    return windowed === 0 && held.isMidMessage && balance <= 0
      ? this.#grant(1 - balance)
      : windowed;
  }

  #windowDue(balance: number, held: Held): number {
    if (this.#bytesMax === Infinity && this.#messagesMax === Infinity) {
      if (balance === Infinity) return 0;
      this.#granted = Infinity;
      return -1;
    }
    const room = this.isPull ? held.takerCount : this.#messagesMax - held.messageCount;
    if (room <= 0) return 0;
    // The last of them may be begun with a single byte, however large it is.
    const forCount = 1 + (room - 1) * limits.deliveryBytesMin;
    const forBytes = this.#bytesMax - held.bufferedBytes;
    const missing = Math.min(forCount, forBytes) - balance;
    const step = forBytes < forCount ? Math.max(1, this.#bytesMax >> 1) : Math.max(1, forCount / 2);
    const isWorthIt = missing >= step || (balance <= 0 && forCount <= forBytes);
    return isWorthIt && missing > 0 ? this.#grant(missing) : 0;
  }

  #grant(credits: number): number {
    this.#granted += credits;
    return credits;
  }
}

/** Both bounds of a prefetch; `Infinity` for none. */
function windowOf(prefetch: Prefetch): { readonly bytes: number; readonly messages: number } {
  if (typeof prefetch === "number") return { bytes: Infinity, messages: prefetch };
  const { bytes, messages } = prefetch;
  if (bytes === 0) return { bytes: Infinity, messages: 0 };
  if (bytes < 0) return { bytes: Infinity, messages: messages ?? Infinity };
  return { bytes, messages: messages ?? limits.heldMessageCountMax };
}
