import { limits } from "../limits.ts";

/** A producer as its client names it, for people to see. Nothing depends on it. */
export interface Producer {
  readonly id: number;
  /** Where it sends to; `null` when each message says it. */
  readonly address: string | null;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Messages it sent, refused ones included. */
  sentCount: number;
}

/** The producers of one session. Takes no memory until there is one. */
export class SessionProducers {
  #byId: Map<number, Producer> | undefined;
  #last: Producer | undefined;

  get count(): number {
    return this.#byId?.size ?? 0;
  }

  all(): Iterable<Producer> {
    return this.#byId?.values() ?? [];
  }

  /** Notes a producer. One too many is not noted. */
  add(id: number, address: string | null, nowMs: number): void {
    this.#byId ??= new Map();
    if (this.#byId.size >= limits.producersPerSessionMax) return;
    this.#byId.set(id, { id, address, createdMs: nowMs, sentCount: 0 });
  }

  remove(id: number): void {
    this.#byId?.delete(id);
    if (this.#last?.id === id) this.#last = undefined;
  }

  /** Counts a message. Unknown producers are normal: old clients name none. */
  countSend(id: number): void {
    if (this.#last?.id !== id) this.#last = this.#byId?.get(id);
    if (this.#last !== undefined) this.#last.sentCount += 1;
  }
}
