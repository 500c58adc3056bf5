import { deferred, EverholdError } from "@everhold/base";
import { onWaitEnd, type Timer, type WaitPorts } from "@everhold/env";
import type { RequestSpec, Requests, RequestWait } from "../session/request.ts";
import { LeaseEnd } from "./lease-end.ts";
import { leaseLimits } from "./lease-limits.ts";

/** How a lease is renewed. */
export interface LeaseTiming {
  /**
   * The servers' `tickTime`, in ms: how late a server may tell the leader whom it has heard of, the way there included.
   * Larger is safer and ends the lease sooner. Default: 2000.
   */
  readonly tickTime?: number;
  /** Milliseconds between two renewals; each is a write of the ensemble. Default: a sixth of the session timeout. */
  readonly renewInterval?: number;
}

/** What a {@link Lease} stands on. */
export interface LeaseParts {
  readonly ports: WaitPorts;
  readonly requests: Requests;
  /** The session that it holds in. */
  readonly epoch: number;
  /** As the server that is connected grants it; another one may grant less. */
  readonly sessionTimeoutMs: () => number;
  /**
   * When the leader heard of the session at the earliest, if it has heard of all that the server that answers did until
   * `followerMs`.
   */
  readonly heardAtMs: (followerMs: number) => number;
  /** Aborted when the session is over. */
  readonly sessionSignal: AbortSignal;
  /** A write that changes nothing and proves that the session, and what else the lease stands on, is there. */
  readonly renewal: () => RequestSpec<EverholdError | undefined>;
}

/**
 * Proof that the session was not over, good for a while and renewed by writes that go through the leader. That a server
 * answers proves nothing: one that is cut off from the leader goes on answering when the session is over.
 *
 * Ask {@link isHeld} at the moment of acting; the signal only tells of the end, and late where the process stood still.
 * A lease that has ended is never held again. It assumes that the clocks of this machine and of the leader run alike
 * within 5 % over a session timeout, and that servers tell the leader whom they have heard of within `tickTime`. What
 * must never be done twice is fenced besides, by versions or epochs: a machine that sleeps stops its clock.
 */
export class Lease {
  readonly #parts: LeaseParts;
  readonly #intervalMs: number;
  readonly #end: LeaseEnd;
  /** The least that was granted. */
  #sessionTimeoutMs: number;
  readonly #ending = new AbortController();
  readonly #held = deferred<void>();
  #renewTimer: Timer | undefined;
  #endTimer: Timer | undefined;
  #wasHeld = false;

  private constructor(parts: LeaseParts, timing: Required<LeaseTiming>) {
    this.#parts = parts;
    this.#intervalMs = timing.renewInterval;
    this.#end = new LeaseEnd(timing.tickTime, parts.heardAtMs);
    this.#sessionTimeoutMs = parts.sessionTimeoutMs();
  }

  /**
   * Takes a lease; it is held when the promise resolves: as a rule a renewal later, and where the session was busy for
   * long, up to a tick more.
   * @throws EverholdError EVH_CONFIG when the session timeout leaves no time to hold it; EVH_LEASE_LOST, EVH_TIMEOUT,
   * EVH_ABORTED
   */
  static async take(parts: LeaseParts, timing: LeaseTiming, wait: RequestWait): Promise<Lease> {
    const lease = new Lease(parts, checkedTiming(parts.sessionTimeoutMs(), timing));
    const { deadlineMs, signal } = wait;
    const subject = { attempt: "take a lease", outcome: () => "none" as const };
    const forget = onWaitEnd(parts.ports, { deadlineMs, signal }, subject, (error) =>
      lease.#finish(error),
    );
    lease.#start();
    try {
      await lease.#held.promise;
    } finally {
      forget();
    }
    return lease;
  }

  /** Whether it is held now. Ask again for each thing that is done under it. */
  isHeld(): boolean {
    if (this.#ending.signal.aborted) return false;
    if (this.#nowMs < this.#endMs) return true;
    this.#lapse();
    return false;
  }

  /** Milliseconds for which it is held, if it is not renewed; 0 when it has ended. */
  get remainingMs(): number {
    return this.isHeld() ? this.#endMs - this.#nowMs : 0;
  }

  /** Aborted when it has ended, with the reason. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** @throws EverholdError EVH_LEASE_LOST, or why it has ended */
  check(): void {
    if (!this.isHeld()) throw this.#ending.signal.reason;
  }

  /** Ends it. `reason` is what its signal tells; default: EVH_CLOSED. */
  close(reason: EverholdError = new EverholdError("EVH_CLOSED", "The lease was closed")): void {
    this.#finish(reason);
  }

  get #endMs(): number {
    this.#sessionTimeoutMs = Math.min(this.#sessionTimeoutMs, this.#parts.sessionTimeoutMs());
    return this.#end.endMs(this.#sessionTimeoutMs);
  }

  get #nowMs(): number {
    return this.#parts.ports.monotonicClock.nowMs();
  }

  #start(): void {
    const { sessionSignal } = this.#parts;
    if (this.#ending.signal.aborted) return;
    if (sessionSignal.aborted) return this.#onSessionOver();
    sessionSignal.addEventListener("abort", this.#onSessionOver, { once: true });
    this.#renew();
  }

  readonly #onSessionOver = (): void => {
    this.#finish(
      lostError("the session that it held in is over", this.#parts.sessionSignal.reason),
    );
  };

  #renew(): void {
    const { requests, epoch, renewal } = this.#parts;
    const spec = renewal();
    let sentAtMs = this.#nowMs;
    const timed: RequestSpec<EverholdError | undefined> = {
      ...spec,
      encode: (writer, asksForWatch) => {
        sentAtMs = this.#nowMs;
        spec.encode(writer, asksForWatch);
      },
    };
    requests.request(timed, { deadlineMs: Infinity, epoch, signal: this.#ending.signal }).then(
      (refusal) => {
        if (refusal !== undefined) return this.#onFailed(refusal);
        this.#onRenewed(sentAtMs);
        const dueMs = sentAtMs + this.#intervalMs;
        const latestMs = dueMs + this.#intervalMs * leaseLimits.renewalDelayShare;
        this.#renewIn(this.#end.sendAtMs(dueMs, latestMs) - this.#nowMs);
      },
      (error: unknown) => this.#onFailed(error),
    );
  }

  #renewIn(delayMs: number): void {
    if (this.#ending.signal.aborted) return;
    const { timers } = this.#parts.ports;
    this.#renewTimer = timers.after(Math.max(0, delayMs), () => this.#renew());
  }

  #onFailed(error: unknown): void {
    if (isPassing(error)) return this.#renewIn(this.#intervalMs / 4);
    const why = error instanceof Error ? error.message : String(error);
    this.#finish(lostError(`its renewal failed: ${why}`, error));
  }

  #onRenewed(sentAtMs: number): void {
    if (this.#ending.signal.aborted) return;
    // What was held may have ended before the answer came; then it is not held again.
    if (this.#wasHeld && !this.isHeld()) return;
    this.#end.answered({ sentAtMs, answeredAtMs: this.#nowMs });
    if (this.#nowMs >= this.#endMs) return;
    this.#wasHeld = true;
    this.#held.resolve();
    if (this.#endTimer === undefined) this.#watchTheEnd();
  }

  #watchTheEnd(): void {
    const delayMs = this.#endMs - this.#nowMs;
    if (delayMs <= 0) return this.#lapse();
    this.#endTimer = this.#parts.ports.timers.after(delayMs, () => this.#watchTheEnd());
  }

  #lapse(): void {
    if (this.#wasHeld) this.#finish(lostError("it was not renewed in time"));
  }

  #finish(error: EverholdError): void {
    if (this.#ending.signal.aborted) return;
    this.#renewTimer?.cancel();
    this.#endTimer?.cancel();
    this.#parts.sessionSignal.removeEventListener("abort", this.#onSessionOver);
    this.#held.reject(error);
    this.#held.promise.catch(() => undefined);
    this.#ending.abort(error);
  }
}

/** Whether the next renewal may succeed; in a session that is over none does. */
function isPassing(error: unknown): boolean {
  return EverholdError.is(error) && error.retryable && error.code !== "EVH_SESSION_EXPIRED";
}

function lostError(why: string, cause?: unknown): EverholdError {
  return new EverholdError("EVH_LEASE_LOST", `The lease is lost: ${why}`, { cause });
}

/** @throws EverholdError EVH_CONFIG */
function checkedTiming(sessionTimeoutMs: number, timing: LeaseTiming): Required<LeaseTiming> {
  const { tickTime = leaseLimits.tickMs } = timing;
  const { renewInterval = sessionTimeoutMs / leaseLimits.renewalsPerTimeout } = timing;
  for (const [name, value] of Object.entries({ tickTime, renewInterval })) {
    if (Number.isFinite(value) && value > 0) continue;
    throw new EverholdError(
      "EVH_CONFIG",
      `Cannot take a lease: option ${name} is ${value}, expected milliseconds above 0`,
    );
  }
  // Between two renewals nothing is put off: a lease that can't last that long would end with each of them.
  const heldMs = sessionTimeoutMs * (1 - leaseLimits.driftShare) - tickTime - 2 * renewInterval;
  if (heldMs > 0) return { tickTime, renewInterval };
  throw new EverholdError(
    "EVH_CONFIG",
    `Cannot take a lease: a session timeout of ${sessionTimeoutMs} ms leaves no time beside a tickTime of ` +
      `${tickTime} ms and renewals every ${renewInterval} ms`,
  );
}
