import { Refusal } from "./refusal.ts";

interface TrackedSession {
  readonly timeoutMs: number;
  expiresAtMs: number;
  isClosing: boolean;
  /** The server that it is connected to, as far as the leader knows. */
  owner: number | undefined;
}

/**
 * The sessions of all servers, as their leader keeps them. They end at whole ticks only: at the first one that lies
 * more than their timeout after they were last heard of. Source: ZooKeeper, `SessionTrackerImpl`, `ExpiryQueue`.
 */
export class SessionTable {
  readonly #sessions = new Map<bigint, TrackedSession>();
  readonly #tickTimeMs: number;

  readonly #patience: number;

  /** `patience` is the part of its timeout after which a session ends; all of it, but for who makes a mistake. */
  constructor(tickTimeMs: number, patience = 1) {
    this.#tickTimeMs = tickTimeMs;
    this.#patience = patience;
  }

  /** Takes a session up, or hears of it. */
  track(sessionId: bigint, timeoutMs: number, nowMs: number): void {
    if (this.touch(sessionId, nowMs)) return;
    const expiresAtMs = this.#nextTick(nowMs + timeoutMs * this.#patience);
    const session = { timeoutMs, expiresAtMs, isClosing: false, owner: undefined };
    this.#sessions.set(sessionId, session);
  }

  /** Hears of a session. False when it has ended. */
  touch(sessionId: bigint, nowMs: number): boolean {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.isClosing) return false;
    session.expiresAtMs = this.#nextTick(nowMs + session.timeoutMs * this.#patience);
    return true;
  }

  /** The session is connected to this server from now on. False when it has ended. */
  setOwner(sessionId: bigint, owner: number): boolean {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.isClosing) return false;
    session.owner = owner;
    return true;
  }

  /** @throws Refusal when the session has ended, or is connected to another server */
  check(sessionId: bigint, owner: number): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined || session.isClosing) throw new Refusal("SESSIONEXPIRED");
    session.owner ??= owner;
    if (session.owner !== owner) throw new Refusal("SESSIONMOVED");
  }

  /** Nothing is done for the session any more. */
  beginToClose(sessionId: bigint): void {
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) session.isClosing = true;
  }

  remove(sessionId: bigint): void {
    this.#sessions.delete(sessionId);
  }

  /** Sessions whose time is over. */
  expired(nowMs: number): bigint[] {
    return [...this.#sessions]
      .filter(([, { isClosing, expiresAtMs }]) => !isClosing && expiresAtMs <= nowMs)
      .map(([sessionId]) => sessionId);
  }

  /** In how many ms the next tick is. */
  msToTick(nowMs: number): number {
    return this.#nextTick(nowMs) - nowMs;
  }

  #nextTick(timeMs: number): number {
    return (Math.floor(timeMs / this.#tickTimeMs) + 1) * this.#tickTimeMs;
  }
}
