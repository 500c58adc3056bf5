import { assert } from "@everhold/base";
import type { Timer } from "@everhold/env";
import { Progress } from "./progress.ts";
import type { SessionIdentity } from "./session-identity.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts } from "./session-settings.ts";

/**
 * The sessions of one client, one after the other: which one there is, what the application was told of it, and until
 * when the servers keep it.
 */
export class SessionLife {
  /** How far the client has come. */
  readonly progress = new Progress();
  readonly #ports: Pick<SessionPorts, "monotonicClock" | "timers">;
  readonly #askedTimeoutMs: number;
  #identity: SessionIdentity | undefined;
  #epoch = 0;
  /** The epoch that the application was told of last. */
  #announcedEpoch = 0;
  #overTimer: Timer | undefined;

  constructor(ports: Pick<SessionPorts, "monotonicClock" | "timers">, askedTimeoutMs: number) {
    this.#ports = ports;
    this.#askedTimeoutMs = askedTimeoutMs;
  }

  /** The session there is. */
  get identity(): SessionIdentity | undefined {
    return this.#identity;
  }

  /** Which of this client's sessions it is or was, from 1; 0 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Whether the application was told of a session, this one or another. */
  get wasAnnounced(): boolean {
    return this.#announcedEpoch > 0;
  }

  /** Milliseconds after which the servers end a session that they do not hear of; as asked for while there is none. */
  get timeoutMs(): number {
    return this.#identity?.timeoutMs ?? this.#askedTimeoutMs;
  }

  /** Whether the session of an epoch is over. */
  isOver(epoch: number): boolean {
    return epoch !== this.#epoch || this.#identity === undefined;
  }

  /** A server has granted a session. */
  begin(granted: Pick<SessionIdentity, "id" | "password" | "timeoutMs">): void {
    assert(this.#identity === undefined, "a client has one session at a time");
    this.#epoch += 1;
    this.#identity = { ...granted, epoch: this.#epoch, isAnnounced: false };
  }

  /** The application is told of the session. Says what it knew before. */
  announce(identity: SessionIdentity): {
    readonly isFirst: boolean;
    readonly sessionChanged: boolean;
  } {
    const isFirst = !this.wasAnnounced;
    const sessionChanged = identity.epoch !== this.#announcedEpoch;
    identity.isAnnounced = true;
    this.#announcedEpoch = identity.epoch;
    return { isFirst, sessionChanged };
  }

  /** It is over. Gives back what it was. */
  end(): SessionIdentity | undefined {
    const identity = this.#identity;
    this.#identity = undefined;
    this.stopClock();
    return identity;
  }

  /** While no server is connected only the clock can tell that the session may be over. */
  watchClock(onOver: () => void): void {
    this.stopClock();
    if (this.#identity === undefined) return;
    this.#overTimer = this.#ports.timers.after(Math.max(0, this.#leftMs), onOver);
  }

  /** A server is connected, or nobody cares any more. */
  stopClock(): void {
    this.#overTimer?.cancel();
  }

  /** Milliseconds for one server: while a session is at stake, so few that every server has its turn before it is lost. */
  attemptMs(serverCount: number): number {
    const leftMs = this.#identity === undefined ? Infinity : this.#leftMs;
    return Math.max(limits.attemptMsMin, Math.min(this.timeoutMs, leftMs) / serverCount);
  }

  /** Until the servers may have ended the session, unless one of them hears of it before. */
  get #leftMs(): number {
    return this.progress.touchedAtMs + this.timeoutMs - this.#ports.monotonicClock.nowMs();
  }
}
