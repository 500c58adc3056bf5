import type { Outcome } from "@everhold/base";
import type { Stat } from "@everhold/zookeeper-core";
import type { EnsembleEvent, ZooKeeperEnsemble } from "../ensemble-types.ts";
import { Counting } from "./counting.ts";
import { Holdings } from "./holdings.ts";

/** What a client has been told, in the order of transactions. */
export interface View {
  /** The newest transaction that the client has seen the effect of. */
  seenZxid: bigint;
  /** How often the servers had lost everything by then. */
  era: number;
}

/** A read that was asked for. */
export interface Look {
  readonly path: string;
  /** Every change up to this one is to be shown. */
  readonly sinceZxid: bigint;
  readonly era: number;
}

/** What a cache shows. */
export interface Shown {
  readonly generation: bigint;
  /** Whether it says that this is the tree as it was at `generation`. */
  readonly isExact: boolean;
  /** The stat of a node; `undefined` where none is shown. */
  statOf(path: string): Pick<Stat, "mzxid"> | undefined;
}

/** What was seen, by words for it. */
export interface JudgeCounts {
  writesApplied: number;
  writesWithoutEffect: number;
  writesInDoubt: number;
  reads: number;
  freshReads: number;
  cacheLooks: number;
  exactCacheLooks: number;
  sessionsExpired: number;
}

/** A change of a path that a read must show at least. */
interface PathChange {
  readonly zxid: bigint;
  readonly isDeletion: boolean;
}

/** A text that somebody writes once. */
interface Write {
  count: number;
  /** What its writer was told; `undefined` while it was told nothing. */
  outcome: Outcome | undefined;
  /** Whether the servers lost everything meanwhile: nobody can know what they had done before. */
  isExcused: boolean;
}

/** Whatever is written there was told to the judge before. */
const writtenBelow = "/data/";

/** How often a write may have been done, by what its writer was told. */
const effects = { applied: [1, 1], none: [0, 0], unknown: [0, 1] } as const;

/**
 * Knows what the servers have decided, hears what clients were told, and says where the two do not fit: writes that
 * took effect though they were said not to, or twice; reads older than what the client knew; caches that show less than
 * they say. What is held is the matter of {@link Holdings}, what is counted that of {@link Counting}.
 */
export class Judge {
  readonly counts: JudgeCounts = {
    ...{ writesApplied: 0, writesWithoutEffect: 0, writesInDoubt: 0, reads: 0, freshReads: 0 },
    ...{ cacheLooks: 0, exactCacheLooks: 0, sessionsExpired: 0 },
  };
  readonly holdings: Holdings;
  readonly counting: Counting;
  readonly #fail: (text: string) => void;
  readonly #writes = new Map<string, Write>();
  readonly #changes = new Map<string, PathChange[]>();
  /** How often the servers had lost everything when a session began. */
  readonly #eras = new Map<bigint, number>();
  #era = 0;

  constructor(ensemble: Pick<ZooKeeperEnsemble, "listen">, fail: (text: string) => void) {
    this.#fail = fail;
    this.holdings = new Holdings(fail);
    this.counting = new Counting(fail);
    ensemble.listen((event) => this.#onEvent(event));
  }

  /** A client that knows nothing. */
  newView(): View {
    return { seenZxid: 0n, era: this.#era };
  }

  /** How often the servers had lost everything when the session began. */
  eraOf(sessionId: bigint): number {
    return this.#eras.get(sessionId) ?? 0;
  }

  /** Whether the session was begun since the servers lost everything last. */
  isOfThisEra(sessionId: bigint): boolean {
    return this.#eras.get(sessionId) === this.#era;
  }

  /** A client writes a text that nobody has written before. */
  writeBegan(text: string): void {
    this.#writes.set(text, { count: 0, outcome: undefined, isExcused: false });
  }

  /** It was told what became of it; `zxid` is the transaction where it is known. */
  writeEnded(text: string, outcome: Outcome, told?: { readonly view: View; zxid: bigint }): void {
    const write = this.#writes.get(text);
    if (write === undefined) return this.#fail(`effect: ${text} ended, and was never begun`);
    write.outcome = outcome;
    if (outcome === "applied") this.counts.writesApplied += 1;
    else if (outcome === "none") this.counts.writesWithoutEffect += 1;
    else this.counts.writesInDoubt += 1;
    if (told !== undefined && !write.isExcused) this.#see(told.view, told.zxid);
  }

  /** A client reads: with `isFresh` all that is decided by now, else what it has seen. */
  look(view: View, path: string, isFresh: boolean): Look {
    const sinceZxid = isFresh
      ? (this.#changes.get(path)?.at(-1)?.zxid ?? 0n)
      : seenBy(view, this.#era);
    if (isFresh) this.counts.freshReads += 1;
    return { path, sinceZxid, era: this.#era };
  }

  /** The read was answered, with `null` where there is no node. */
  looked(view: View, { path, sinceZxid, era }: Look, stat: Pick<Stat, "mzxid"> | null): void {
    this.counts.reads += 1;
    if (era !== this.#era) return;
    if (stat !== null) this.#see(view, stat.mzxid);
    this.#checkShown("stale read", { path, sinceZxid, stat: stat ?? undefined });
  }

  /** What a cache of the session `sessionId` shows of some paths: all up to its generation, and nothing later if it says so. */
  cacheShows(shown: Shown, paths: readonly string[]): void {
    const { generation, isExact } = shown;
    this.counts.cacheLooks += 1;
    if (isExact) this.counts.exactCacheLooks += 1;
    for (const path of paths) {
      const stat = shown.statOf(path);
      this.#checkShown("generation", { path, sinceZxid: generation, stat });
      if (!isExact) continue;
      const last = this.#lastChange(path, generation);
      const expected = last === undefined || last.isDeletion ? undefined : last.zxid;
      if (stat?.mzxid === expected) continue;
      this.#fail(
        `generation: at ${hex(generation)} ${path} is shown as of ${hex(stat?.mzxid)}, and was as of ${hex(expected)}`,
      );
    }
  }

  /** At the end: what everybody was told of their writes, and those who were told nothing. */
  addUp(): void {
    for (const [text, { count, outcome, isExcused }] of this.#writes) {
      if (isExcused) continue;
      const [min, max] = effects[outcome ?? "unknown"];
      if (count >= min && count <= max) continue;
      const said = outcome === undefined ? "never said" : `said to be ${outcome}`;
      this.#fail(`effect: ${text} was written ${count} times, its outcome was ${said}`);
    }
  }

  #see(view: View, zxid: bigint): void {
    const seenZxid = seenBy(view, this.#era);
    view.era = this.#era;
    view.seenZxid = zxid > seenZxid ? zxid : seenZxid;
  }

  #lastChange(path: string, upToZxid: bigint): PathChange | undefined {
    return this.#changes.get(path)?.findLast(({ zxid }) => zxid <= upToZxid);
  }

  #checkShown(
    promise: string,
    seen: { readonly path: string; sinceZxid: bigint; stat: Pick<Stat, "mzxid"> | undefined },
  ): void {
    const { path, sinceZxid, stat } = seen;
    const least = this.#lastChange(path, sinceZxid);
    if (least === undefined) return;
    const changes = this.#changes.get(path) ?? [];
    const isShown =
      stat === undefined
        ? changes.some(({ zxid, isDeletion }) => isDeletion && zxid >= least.zxid)
        : stat.mzxid >= least.zxid;
    if (isShown) return;
    const found = stat === undefined ? "no node" : `what ${hex(stat.mzxid)} wrote`;
    this.#fail(`${promise}: of ${path} came ${found}, expected the change ${hex(least.zxid)}`);
  }

  #onEvent(event: EnsembleEvent): void {
    if (event.type === "sessionBegan") this.#eras.set(event.sessionId, this.#era);
    if (event.type === "committed") this.#onCommitted(event);
    if (event.type === "wiped") this.#onWiped();
    if (event.type !== "sessionEnded") return;
    if (event.cause === "expired") this.counts.sessionsExpired += 1;
    this.holdings.sessionEnded(event.sessionId, event.cause);
  }

  #onCommitted({ zxid, changes }: Extract<EnsembleEvent, { type: "committed" }>): void {
    for (const { type, path, data } of changes) {
      if (type === "aclChanged") continue;
      const ofPath = this.#changes.get(path) ?? [];
      this.#changes.set(path, ofPath);
      ofPath.push({ zxid, isDeletion: type === "deleted" });
      const write = data === undefined ? undefined : this.#writes.get(textOf(data));
      if (write !== undefined) write.count += 1;
      else if (path.startsWith(writtenBelow) && data !== undefined) {
        this.#fail(`effect: ${path} holds ${JSON.stringify(textOf(data))}, which nobody wrote`);
      }
    }
    this.holdings.check();
  }

  #onWiped(): void {
    this.#era += 1;
    this.#changes.clear();
    for (const write of this.#writes.values()) write.isExcused ||= write.outcome === undefined;
    this.holdings.wiped();
    this.counting.wiped();
  }
}

function seenBy({ seenZxid, era }: View, now: number): bigint {
  return era === now ? seenZxid : 0n;
}

function textOf(data: Uint8Array | null): string {
  return new TextDecoder().decode(data ?? undefined);
}

function hex(zxid: bigint | undefined): string {
  return zxid === undefined ? "nothing" : `0x${zxid.toString(16)}`;
}
