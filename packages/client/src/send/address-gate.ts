import { Deque } from "@everhold/base";
import type { SendTarget } from "../message/send-options.ts";
import type { PendingSend } from "./pending-send.ts";

/**
 * One address that a session sends to: the credit that the broker granted for it, and the sends that
 * wait for more.
 *
 *     closed ──open──> opening ──opened──> open ──connection lost──> closed
 *
 * As Artemis' client does it: half the window is asked for at the start and whenever balance and what is on
 * its way fall below it; a message larger than that asks for its own size.
 */
export class AddressGate {
  readonly target: SendTarget;
  readonly waiting = new Deque<PendingSend>();
  state: "closed" | "opening" | "open" = "closed";
  /** The id of its CREATE_PRODUCER on this session; given once and kept over reconnects. */
  readonly producerId: number;
  /** Since when the first send waits for credit; `Infinity` when none does. */
  blockedSinceMs = Infinity;
  /** Whether the application was told that sends wait. */
  blockedTold = false;
  readonly #halfWindowBytes: number;
  #balance = 0;
  #arriving = 0;

  constructor(target: SendTarget, producerId: number, windowBytes: number) {
    this.target = target;
    this.producerId = producerId;
    this.#halfWindowBytes = windowBytes < 0 ? -1 : Math.max(1, windowBytes >> 1);
  }

  get address(): string {
    return this.target.address;
  }

  /** Forgets all credit: the connection is gone. */
  reset(): void {
    this.state = "closed";
    this.#balance = 0;
    this.#arriving = 0;
    this.blockedSinceMs = Infinity;
  }

  /** How much to ask the broker for, so that a send of `bytes` can follow; 0 for nothing. */
  creditToRequest(bytes: number): number {
    if (this.#halfWindowBytes < 0) return 0;
    const needed = Math.max(bytes, this.#halfWindowBytes);
    const missing = needed - this.#balance - this.#arriving;
    if (missing <= 0) return 0;
    this.#arriving += missing;
    return missing;
  }

  /** Whether a send of `bytes` may leave as far as credit goes. */
  allows(bytes: number): boolean {
    return this.#halfWindowBytes < 0 || this.#balance >= bytes;
  }

  /** A send of `bytes` leaves. */
  take(bytes: number): void {
    if (this.#halfWindowBytes >= 0) this.#balance -= bytes;
  }

  /** The broker granted credit. */
  grant(credits: number): void {
    this.#balance += credits;
    this.#arriving = Math.max(0, this.#arriving - credits);
  }

  /** The broker refused credit because the address is full: what was granted is worth nothing more. */
  refuse(): void {
    this.#balance = 0;
    this.#arriving = 0;
  }
}
