import { Deque } from "@everhold/base";
import type { PendingSend } from "./pending-send.ts";

/**
 * The sends that have left and have not been answered, in the order in which they left: what must be
 * repeated after a reconnect. Bounded by bytes and by count.
 */
export class SendWindow {
  readonly #bytesMax: number;
  readonly #sends = new Deque<PendingSend>();
  /** Answers that came before those of earlier sends. */
  readonly #answered = new Set<PendingSend>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** How many have left and are not answered. */
  get length(): number {
    return this.#sends.length - this.#answered.size;
  }

  /** Whether a send of so many bytes may leave beside others. One always may, however large it is. */
  hasRoom(bytes: number, countMax: number): boolean {
    if (this.#sends.length === 0) return true;
    return this.#sends.length < countMax && this.#bytes + bytes <= this.#bytesMax;
  }

  /** Notes that a send leaves. */
  add(send: PendingSend): void {
    this.#sends.push(send);
    this.#bytes += send.bytes;
  }

  /** Takes out the send of this correlation id; `undefined` when there is none. */
  answer(correlationId: number): PendingSend | undefined {
    const first = this.#sends.at(0);
    if (first === undefined) return undefined;
    // Correlation ids are given in order, so the place is known.
    const send = this.#sends.at(correlationId - first.correlationId);
    if (send === undefined || send.correlationId !== correlationId) return undefined;
    if (this.#answered.has(send)) return undefined;
    this.#bytes -= send.bytes;
    if (send !== first) {
      this.#answered.add(send);
      return send;
    }
    this.#sends.shift();
    this.#dropAnswered();
    return send;
  }

  /** All that are not answered, in order. */
  all(): PendingSend[] {
    const all: PendingSend[] = [];
    for (let index = 0; index < this.#sends.length; index += 1) {
      const send = this.#sends.at(index);
      if (send !== undefined && !this.#answered.has(send)) all.push(send);
    }
    return all;
  }

  /** Takes all out, in order. */
  drain(): PendingSend[] {
    const all = this.#sends.drain().filter((send) => !this.#answered.has(send));
    this.#answered.clear();
    this.#bytes = 0;
    return all;
  }

  #dropAnswered(): void {
    if (this.#answered.size === 0) return;
    for (let send = this.#sends.at(0); send !== undefined; send = this.#sends.at(0)) {
      if (!this.#answered.delete(send)) return;
      this.#sends.shift();
    }
  }
}
