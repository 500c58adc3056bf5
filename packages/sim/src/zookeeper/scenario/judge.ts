import type { Outcome } from "@everhold/base";
import type { Grant, Stat } from "@everhold/zookeeper-core";
import type { EnsembleEvent } from "../ensemble-types.ts";
import type { ModelEnsemble } from "../model-ensemble.ts";

/** What became of a write: `applied`, or what its error says. */
export type WriteOutcome = Outcome;

/** What a client has been told, in the order of transactions. */
export interface View {
  /** The newest transaction that the client has seen the effect of. */
  seenZxid: bigint;
}

/** A grant and who has it. */
interface Holding {
  readonly who: string;
  readonly sessionId: bigint;
  readonly grant: Grant;
}

/** What was seen, by words for it. */
export interface JudgeCounts {
  writesApplied: number;
  writesWithoutEffect: number;
  writesInDoubt: number;
  reads: number;
  freshReads: number;
  grants: number;
  actsUnderGrants: number;
  sessionsExpired: number;
}

/** The change of a path that a read must show at least. */
interface PathChange {
  readonly zxid: bigint;
  readonly isDeletion: boolean;
}

/**
 * Knows what the servers have decided, hears what clients were told, and says where the two do not fit: writes that
 * took effect though they were said not to, or twice; reads older than what the client knew; two that hold a lock at one
 * moment of the world's own time; leases that outlive their session.
 */
export class Judge {
  readonly counts: JudgeCounts = {
    ...{ writesApplied: 0, writesWithoutEffect: 0, writesInDoubt: 0, reads: 0, freshReads: 0 },
    ...{ grants: 0, actsUnderGrants: 0, sessionsExpired: 0 },
  };
  readonly #fail: (text: string) => void;
  /** How often each text was written. */
  readonly #writtenCounts = new Map<string, number>();
  readonly #outcomes = new Map<string, WriteOutcome>();
  readonly #changes = new Map<string, PathChange[]>();
  readonly #holdings = new Set<Holding>();
  #lastToken = 0n;

  constructor(ensemble: ModelEnsemble, fail: (text: string) => void) {
    this.#fail = fail;
    ensemble.listen((event) => this.#onEvent(event));
  }

  /** A client was told what became of what it wrote. */
  writeEnded(text: string, outcome: WriteOutcome): void {
    this.#outcomes.set(text, outcome);
    if (outcome === "applied") this.counts.writesApplied += 1;
    else if (outcome === "none") this.counts.writesWithoutEffect += 1;
    else this.counts.writesInDoubt += 1;
  }

  /** The newest change of a path that is decided; 0n when there was none. */
  lastChange(path: string): bigint {
    return this.#changes.get(path)?.at(-1)?.zxid ?? 0n;
  }

  /**
   * A read was answered, with `null` where there is no node. It must show every change up to `sinceZxid`: what its
   * client had seen when it asked, or all that was decided by then.
   */
  read(view: View, path: string, stat: Stat | null, sinceZxid: bigint): void {
    this.counts.reads += 1;
    const changes = this.#changes.get(path) ?? [];
    const least = changes.findLast(({ zxid }) => zxid <= sinceZxid);
    if (stat !== null && stat.mzxid > view.seenZxid) view.seenZxid = stat.mzxid;
    if (least === undefined) return;
    const isShown =
      stat === null
        ? changes.some(({ zxid, isDeletion }) => isDeletion && zxid >= least.zxid)
        : stat.mzxid >= least.zxid;
    if (isShown) return;
    const found = stat === null ? "no node" : `what 0x${stat.mzxid.toString(16)} wrote`;
    const expected = `the change 0x${least.zxid.toString(16)}, which was known before`;
    this.#fail(`stale read: of ${path} came ${found}, expected ${expected}`);
  }

  /** Somebody holds the lock from now on. */
  granted(who: string, sessionId: bigint, grant: Grant): () => void {
    this.counts.grants += 1;
    if (grant.token <= this.#lastToken) {
      this.#fail(`token: ${who} got ${grant.token} after ${this.#lastToken}`);
    }
    this.#lastToken = grant.token;
    const holding = { who, sessionId, grant };
    this.#holdings.add(holding);
    return () => void this.#holdings.delete(holding);
  }

  /** Who holds the lock, as far as they know. */
  get holders(): string[] {
    return [...this.#holdings].filter(({ grant }) => grant.isHeld()).map(({ who }) => who);
  }

  /** Somebody does something under the lock, having asked whether it is held. */
  acted(): void {
    this.counts.actsUnderGrants += 1;
    this.#checkHolders();
  }

  /** At the end: what everybody was told of their writes. */
  addUp(): void {
    for (const [text, outcome] of this.#outcomes) {
      const count = this.#writtenCounts.get(text) ?? 0;
      const [min, max] = { applied: [1, 1], none: [0, 0], unknown: [0, 1] }[outcome];
      if (count >= (min ?? 0) && count <= (max ?? 0)) continue;
      this.#fail(
        `effect: ${text} was written ${count} times, its outcome was said to be ${outcome}`,
      );
    }
  }

  #onEvent(event: EnsembleEvent): void {
    if (event.type === "committed") {
      for (const { type, path, data } of event.changes) {
        if (type === "aclChanged") continue;
        const changes = this.#changes.get(path) ?? [];
        this.#changes.set(path, changes);
        changes.push({ zxid: event.zxid, isDeletion: type === "deleted" });
        if (data === undefined || data === null || data.length === 0) continue;
        const text = new TextDecoder().decode(data);
        this.#writtenCounts.set(text, (this.#writtenCounts.get(text) ?? 0) + 1);
      }
      this.#checkHolders();
    }
    if (event.type !== "sessionEnded") return;
    if (event.cause === "expired") this.counts.sessionsExpired += 1;
    for (const holding of this.#holdings) {
      const { who, sessionId, grant } = holding;
      if (sessionId !== event.sessionId || !grant.isHeld()) continue;
      // Nobody can know beforehand that somebody else will end a session: only the token helps then.
      if (event.cause === "killed") this.#holdings.delete(holding);
      else this.#fail(`lease: ${who} takes the lock for held, and its session is over`);
    }
  }

  #checkHolders(): void {
    const { holders } = this;
    if (holders.length > 1) this.#fail(`lock: held at one moment by ${holders.join(" and ")}`);
  }
}
