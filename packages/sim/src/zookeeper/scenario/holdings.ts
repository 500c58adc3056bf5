import type { EnsembleEvent } from "../ensemble-types.ts";

/** What somebody takes for held, as whoever asks before acting would find out. */
export interface Claim {
  readonly token: bigint;
  isHeld(): boolean;
}

/** Who holds how much of what. */
export interface Holding {
  /** The path of the line. */
  readonly lock: string;
  readonly who: string;
  readonly sessionId: bigint;
  readonly claim: Claim;
  /** How many of `permitsMax` it holds. */
  readonly permits: number;
  /** How many may be held at one moment. Everybody says the same. */
  readonly permitsMax: number;
  /** Whether its process stands still: then nobody asks, and nothing is done under it. */
  readonly standsStill: () => boolean;
}

type EndCause = Extract<EnsembleEvent, { type: "sessionEnded" }>["cause"];

/** Who had it before, and with which token. */
interface LastToken {
  readonly token: bigint;
  readonly who: string;
}

/**
 * Knows who holds which lock as far as they know, and finds those of which more is held at one moment of the world's own
 * time than there is, those that outlive their session, and tokens that do not grow.
 */
export class Holdings {
  readonly counts = { grants: 0, actsUnderGrants: 0 };
  readonly #fail: (text: string) => void;
  readonly #holdings = new Set<Holding>();
  readonly #lastTokens = new Map<string, LastToken>();
  readonly #ended = new Map<bigint, EndCause>();
  /** What was found to be held no more. */
  readonly #lapsed = new WeakSet<Claim>();

  constructor(fail: (text: string) => void) {
    this.#fail = fail;
  }

  /** Somebody holds something until the returned function is called. */
  begin(holding: Holding): () => void {
    if (this.#isExcused(holding) || !holding.claim.isHeld()) return () => undefined;
    this.counts.grants += 1;
    if (holding.permitsMax === 1) this.#checkToken(holding);
    this.#holdings.add(holding);
    this.check();
    return () => void this.#holdings.delete(holding);
  }

  /** Somebody asks whether it is held, and does something under it if it is. */
  act(holding: Holding): void {
    if (this.#isExcused(holding) || !this.#isHeld(holding)) return;
    this.counts.actsUnderGrants += 1;
    if (this.#ended.has(holding.sessionId)) this.#failOutlived(holding);
    this.check();
  }

  /** Who holds something, as far as they know. */
  holders(lock?: string): string[] {
    return [...this.#holdings]
      .filter((holding) => (lock === undefined || holding.lock === lock) && this.#isHeld(holding))
      .map(({ who }) => who);
  }

  /** Looks whether more is held than there is. */
  check(): void {
    const held = [...this.#holdings].filter((one) => this.#isHeld(one));
    for (const lock of new Set(held.map((one) => one.lock))) {
      const ofLock = held.filter((one) => one.lock === lock);
      const count = ofLock.reduce((sum, { permits }) => sum + permits, 0);
      if (count <= (ofLock[0]?.permitsMax ?? 0)) continue;
      const names = ofLock.map(({ who }) => who).join(" and ");
      this.#fail(`lock: ${count} of ${lock} held at one moment by ${names}`);
    }
  }

  /** The servers have ended a session. */
  sessionEnded(sessionId: bigint, cause: EndCause): void {
    this.#ended.set(sessionId, cause);
    for (const holding of this.#holdings) {
      if (holding.sessionId !== sessionId) continue;
      if (this.#isExcused(holding)) this.#holdings.delete(holding);
      else if (this.#isHeld(holding)) this.#failOutlived(holding);
    }
  }

  /** The servers count anew. */
  wiped(): void {
    this.#lastTokens.clear();
  }

  /** Nobody can know beforehand that somebody else ends a session, or that its servers forget it: only a token helps. */
  #isExcused({ sessionId }: Holding): boolean {
    const cause = this.#ended.get(sessionId);
    return cause === "killed" || cause === "wiped";
  }

  /** Who stands still asks nothing. What has ended is never held again. */
  #isHeld({ claim, standsStill, who, lock }: Holding): boolean {
    if (standsStill()) return false;
    const isHeld = claim.isHeld();
    if (!isHeld) this.#lapsed.add(claim);
    else if (this.#lapsed.has(claim)) this.#fail(`lease: ${who} holds ${lock} again after its end`);
    return isHeld;
  }

  #failOutlived({ who, lock }: Holding): void {
    this.#fail(`lease: ${who} takes ${lock} for held, and its session is over`);
  }

  #checkToken({ lock, who, claim: { token } }: Holding): void {
    const last = this.#lastTokens.get(lock);
    const isSame = token === last?.token && who === last.who;
    if (last !== undefined && token <= last.token && !isSame) {
      this.#fail(`token: ${who} got ${token} for ${lock} after ${last.token} of ${last.who}`);
    }
    this.#lastTokens.set(lock, { token, who });
  }
}
