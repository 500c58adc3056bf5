import { EverholdError } from "@everhold/base";

/** What a look at a client's signs of life needs to know. */
export interface Circumstances {
  /** It has not said yet what it speaks, for which it has so long; `undefined` when it has. */
  readonly handshakeTimeoutMs: number | undefined;
  /** It has had a session, so each byte is a sign of life; else only a whole packet is. */
  readonly isKnown: boolean;
  /** More waits for it than it may leave lying. */
  readonly isBehind: boolean;
  /** It is not read, or waits for an answer itself: then it need not say anything. */
  readonly isPaused: boolean;
  readonly isWaiting: boolean;
}

/** When a client was last heard of, and whether it takes what it is sent. */
export class SignsOfLife {
  /** How long it may be silent; −1 for ever. */
  ttlMs: number;
  #lastActivityMs: number;
  #isActive = false;
  #hasTaken = false;
  /** Since when the client has taken nothing of what waits for it. */
  #stalledSinceMs: number;

  constructor(ttlMs: number, nowMs: number) {
    this.ttlMs = ttlMs;
    this.#lastActivityMs = nowMs;
    this.#stalledSinceMs = nowMs;
  }

  /** It has sent something. */
  heard(): void {
    this.#isActive = true;
  }

  /** It has taken something. */
  taken(): void {
    this.#hasTaken = true;
  }

  /** Why the client is to be given up, if it is. Called every now and then. */
  check(nowMs: number, its: Circumstances): EverholdError | undefined {
    const { handshakeTimeoutMs } = its;
    if (handshakeTimeoutMs !== undefined && nowMs >= this.#lastActivityMs + handshakeTimeoutMs) {
      return silence("say what it speaks", handshakeTimeoutMs);
    }
    if (this.#hasTaken || !its.isBehind) {
      this.#hasTaken = false;
      this.#stalledSinceMs = nowMs;
    } else if (this.#isOver(this.#stalledSinceMs, nowMs)) {
      return silence("take a byte of what waits for it", this.ttlMs);
    }
    // Who waits for us to check a password is not silent.
    if (this.#isActive || its.isWaiting) {
      this.#isActive = false;
      this.#lastActivityMs = nowMs;
    } else if (this.#isOver(this.#lastActivityMs, nowMs) && !its.isPaused) {
      return silence(its.isKnown ? "send a byte" : "send a whole packet", this.ttlMs);
    }
    return undefined;
  }

  #isOver(sinceMs: number, nowMs: number): boolean {
    return this.ttlMs >= 0 && nowMs >= sinceMs + this.ttlMs;
  }
}

function silence(what: string, ms: number): EverholdError {
  return new EverholdError("EVH_CONNECTION_TIMEOUT", `the client did not ${what} within ${ms} ms`);
}
