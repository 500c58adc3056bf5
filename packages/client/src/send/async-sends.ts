/**
 * The asynchronous sends of one producer that the broker has not answered, and how many bytes of them it
 * may have. A send waits while there are that many; it is counted only then, so that the bytes exceed the
 * window by less than one message. Sends that wait for their answer are not counted.
 * Source: ActiveMQ Classic, `MemoryUsage.waitForSpace` in `ActiveMQMessageProducer`.
 */
export class AsyncSends {
  /** Bytes; 0 for no window. */
  readonly windowBytes: number;
  #count = 0;
  #bytes = 0;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(windowBytes: number) {
    this.windowBytes = windowBytes;
  }

  /** Whether another send of the producer may leave, of whatever kind. */
  get hasRoom(): boolean {
    return this.windowBytes === 0 || this.#bytes < this.windowBytes;
  }

  /** Bytes that the broker has not answered. */
  get bytes(): number {
    return this.#bytes;
  }

  /** One left. */
  add(bytes: number): void {
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** One was answered, or nobody will answer it any more. */
  remove(bytes: number): void {
    this.#count -= 1;
    this.#bytes -= bytes;
    if (this.#count > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Settles when none is unanswered. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}
