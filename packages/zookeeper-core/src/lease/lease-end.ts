import { Deque } from "@everhold/base";
import { leaseLimits } from "./lease-limits.ts";

/** A renewal that went through the leader and back. */
export interface AnsweredRenewal {
  /** When it left, by this machine's monotonic clock. */
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
}

/**
 * Reckons until when no server can have ended the session.
 *
 * That the leader has done a write of a session does not put off the session's end: it learns whom a follower has
 * heard of only from the follower's answers to its pings, twice in a tick. So an answered renewal proves that the
 * session lived, and, as everything between follower and leader stays in order, that the leader knows of what the
 * follower heard a tick earlier. The lease is counted from there: from the sending of the newest renewal that was
 * sent at least a tick, and the time that the newest took, before the newest. Source: ZooKeeper,
 * `LearnerHandler.run` (PING touches sessions, REQUEST does not), `SessionTrackerImpl`, `ExpiryQueue`.
 */
export class LeaseEnd {
  readonly #tickMs: number;
  /** When the renewals were sent that the lease may be counted from. */
  readonly #sentAtMs = new Deque<number>();
  #countedFromMs = -Infinity;

  /** `tickMs`: in how many milliseconds a server tells the leader whom it has heard of. */
  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  /** Until when the lease is held, by the monotonic clock; `-Infinity` before anything is proved. */
  endMs(sessionTimeoutMs: number): number {
    return this.#countedFromMs + sessionTimeoutMs * (1 - leaseLimits.driftShare);
  }

  /** A renewal was answered; in the order in which they were sent. */
  answered({ sentAtMs, answeredAtMs }: AnsweredRenewal): void {
    const provenMs = sentAtMs - Math.max(this.#tickMs, answeredAtMs - sentAtMs);
    for (let first = this.#sentAtMs.at(0); first !== undefined; first = this.#sentAtMs.at(0)) {
      if (first > provenMs) break;
      this.#countedFromMs = first;
      this.#sentAtMs.shift();
    }
    this.#sentAtMs.push(sentAtMs);
    if (this.#sentAtMs.length > leaseLimits.renewalCountMax) this.#sentAtMs.shift();
  }
}
