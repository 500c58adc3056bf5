import { limits } from "../limits.ts";

/**
 * Ids of messages that the application has had, and that are not its any more. Not every broker knows of it: they are to come
 * again counted and marked.
 */
export class SeenIds {
  /** Those of which the next life tells the broker. */
  #untold: number[] = [];
  /** Those that have gone back and have not come again. */
  readonly #expected = new Set<number>();
  /** What the transaction acknowledges, and what the commit under way does. */
  #acked: number[] = [];
  #committing: number[] = [];

  /** Those of which the next life is to tell the broker. */
  get untold(): readonly number[] {
    return this.#untold;
  }

  /** All of which the broker may not know. */
  *unknown(): IterableIterator<number> {
    yield* this.#untold;
    yield* this.#committing;
    yield* this.#acked;
  }

  /** A new life begins: the broker has been told, and they may come. */
  onAttached(): void {
    this.#makeRoom();
    for (const messageId of this.#untold) this.#expected.add(messageId);
    this.#untold = [];
  }

  /** The life is over. Of what the transaction acknowledges the broker may not have heard. */
  onDetached(): void {
    this.#untold.unshift(...this.#committing, ...this.#acked);
    this.forgetTransaction();
  }

  /** One goes back with the life that is over. */
  noteUntold(messageId: number): void {
    this.#untold.push(messageId);
  }

  /** One goes back in this life. */
  noteReturned(messageId: number): void {
    this.#makeRoom();
    this.#expected.add(messageId);
  }

  /** So that it comes again marked, should the broker not have heard of it. Of many the oldest were heard. */
  noteAcknowledged(messageId: number): void {
    const { unheardAckCountMax } = limits;
    if (this.#acked.length >= unheardAckCountMax) {
      this.#acked.splice(0, 1 + (unheardAckCountMax >> 1));
    }
    this.#acked.push(messageId);
  }

  /** What was acknowledged until now takes effect with the commit that leaves. */
  onCommitting(): void {
    this.#committing = this.#acked;
    this.#acked = [];
  }

  /** The commit took effect. */
  onCommitted(): void {
    this.#committing = [];
  }

  /** The transaction is over. */
  forgetTransaction(): void {
    this.#committing = [];
    this.#acked = [];
  }

  /** The count of a delivery: at least 2 where the application has had it. */
  countOf(messageId: number, deliveryCount: number): number {
    if (this.#expected.size === 0 || !this.#expected.delete(messageId)) return deliveryCount;
    return Math.max(2, deliveryCount);
  }

  #makeRoom(): void {
    if (this.#expected.size >= limits.unheardAckCountMax) this.#expected.clear();
  }
}
