/**
 * The memory that all resend caches share. A cache may hold as much as is left for the others: so a client
 * that confirms nothing loses its own cache, and never those of the many that hold little.
 */
export class ResendRoom {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that the caches hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A cache takes so many bytes, or gives them back when they are less than none. */
  take(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether there is room for a cache that holds so many of them. */
  isEnoughFor(bytes: number): boolean {
    return bytes <= this.#bytesMax - this.#bytes;
  }
}
