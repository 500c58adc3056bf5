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
 * follower heard a tick earlier. The lease is counted from there: from the sending of the newest thing, a renewal or
 * anything else, that was answered at least a tick, and the time that the newest renewal took, before the newest; or from
 * the hello that the server has granted, which the leader heard of itself. Source: ZooKeeper, `LearnerHandler.run`
 * (PING touches sessions, REQUEST does not), `SessionTrackerImpl`, `ExpiryQueue`.
 */
export class LeaseEnd {
  readonly #tickMs: number;
  readonly #heardAtMs: (followerMs: number) => number;
  /** When the renewals were sent that the lease may be counted from. */
  readonly #answered = new Deque<AnsweredRenewal>();
  #countedFromMs = -Infinity;

  /**
   * `tickMs`: in how many milliseconds a server tells the leader whom it has heard of. `heardAtMs`: when the leader
   * heard of the session at the earliest, if it knows of what the server that answers heard until then.
   */
  constructor(tickMs: number, heardAtMs: (followerMs: number) => number = () => -Infinity) {
    this.#tickMs = tickMs;
    this.#heardAtMs = heardAtMs;
  }

  /** Until when the lease is held, by the monotonic clock; `-Infinity` before anything is proved. */
  endMs(sessionTimeoutMs: number): number {
    return this.#countedFromMs + sessionTimeoutMs * (1 - leaseLimits.driftShare);
  }

  /** A renewal was answered; in the order in which they were sent. */
  answered({ sentAtMs, answeredAtMs }: AnsweredRenewal): void {
    const provenMs = sentAtMs - Math.max(this.#tickMs, answeredAtMs - sentAtMs);
    for (let first = this.#answered.at(0); first !== undefined; first = this.#answered.at(0)) {
      // What was sent may have been held up on its way; what was answered had been heard.
      if (first.answeredAtMs > provenMs) break;
      this.#count(first.sentAtMs);
      this.#answered.shift();
    }
    this.#count(this.#heardAtMs(provenMs));
    this.#answered.push({ sentAtMs, answeredAtMs });
    if (this.#answered.length > leaseLimits.renewalCountMax) this.#answered.shift();
  }

  /**
   * When to send the next renewal: at `dueMs`, or a little later, until `latestMs`, where its answer then lets the lease be
   * counted from a newer one. Renewals that are punctual every tick would miss each other by the time that one takes.
   */
  sendAtMs(dueMs: number, latestMs: number): number {
    let atMs = dueMs;
    for (let index = 0; index < this.#answered.length; index += 1) {
      // Timers may be early by less than one.
      const countsMs = (this.#answered.at(index)?.answeredAtMs ?? Infinity) + this.#tickMs + 1;
      if (countsMs > dueMs && countsMs <= latestMs) atMs = countsMs;
    }
    return atMs;
  }

  #count(fromMs: number): void {
    this.#countedFromMs = Math.max(this.#countedFromMs, fromMs);
  }
}
