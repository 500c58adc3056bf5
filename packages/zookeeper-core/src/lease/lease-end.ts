import { Deque } from "@everhold/base";
import { leaseLimits } from "./lease-limits.ts";

/** What the end of a lease is reckoned from. */
export interface LeaseTimes {
  /** Milliseconds after which the leader ends a session that it does not hear of. */
  readonly sessionTimeoutMs: number;
  /** Milliseconds in which a server tells the leader whom it has heard of. */
  readonly tickMs: number;
}

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
  readonly #times: LeaseTimes;
  readonly #sentAtMs = new Deque<number>();
  #endMs = -Infinity;

  constructor(times: LeaseTimes) {
    this.#times = times;
  }

  /** Until when the lease is held, by the monotonic clock; `-Infinity` before anything is proved. */
  get endMs(): number {
    return this.#endMs;
  }

  /** A renewal was answered; in the order in which they were sent. */
  answered({ sentAtMs, answeredAtMs }: AnsweredRenewal): void {
    const { sessionTimeoutMs, tickMs } = this.#times;
    const provenMs = sentAtMs - Math.max(tickMs, answeredAtMs - sentAtMs);
    let countedFromMs: number | undefined;
    for (let first = this.#sentAtMs.at(0); first !== undefined; first = this.#sentAtMs.at(0)) {
      if (first > provenMs) break;
      countedFromMs = first;
      this.#sentAtMs.shift();
    }
    if (countedFromMs !== undefined) {
      this.#sentAtMs.unshift(countedFromMs);
      const lastsMs = sessionTimeoutMs * (1 - leaseLimits.driftShare);
      this.#endMs = Math.max(this.#endMs, countedFromMs + lastsMs);
    }
    this.#sentAtMs.push(sentAtMs);
    if (this.#sentAtMs.length > leaseLimits.renewalCountMax) this.#sentAtMs.shift();
  }
}
