import type { Prefetch } from "../options.ts";

/**
 * How many bytes the broker may still deliver to one consumer, as both sides count them:
 * it delivers while the balance is above 0 and then subtracts the frame, so it may fall below.
 */
export class ConsumerCredit {
  #prefetch: Prefetch;
  #granted = 0;
  #spent = 0;

  constructor(prefetch: Prefetch) {
    this.#prefetch = prefetch;
  }

  /** A fresh consumer on the broker: it has no credit yet, and perhaps a window of the broker's choice. */
  reset(prefetch: Prefetch): void {
    this.#prefetch = prefetch;
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

  /** A frame was delivered. */
  spend(frameBytes: number): void {
    this.#spent += frameBytes;
  }

  /**
   * What to put into SESS_FLOWTOKEN now; 0 for nothing. `heldCount` counts the messages in the client's
   * buffer and in the application's hands, `bufferedBytes` the frames of those in the buffer. The rest
   * of a large message that has begun is let in part by part whatever is held: others wait for its end.
   */
  due(heldCount: number, bufferedBytes: number, isMidMessage: boolean): number {
    const balance = this.#granted - this.#spent;
    const windowed = this.#windowDue(balance, heldCount, bufferedBytes);
    return windowed === 0 && isMidMessage && balance <= 0 ? this.#grant(1 - balance) : windowed;
  }

  #windowDue(balance: number, heldCount: number, bufferedBytes: number): number {
    if (typeof this.#prefetch === "number") {
      // Credit of one byte brings exactly one message, however large it is.
      if (heldCount >= this.#prefetch || balance > 0) return 0;
      return this.#grant(1 - balance);
    }
    const windowBytes = this.#prefetch.bytes;
    if (windowBytes < 0) {
      if (balance === Infinity) return 0;
      this.#granted = Infinity;
      return -1;
    }
    const missing = windowBytes - bufferedBytes - balance;
    return missing < Math.max(1, windowBytes >> 1) ? 0 : this.#grant(missing);
  }

  #grant(credits: number): number {
    this.#granted += credits;
    return credits;
  }
}
