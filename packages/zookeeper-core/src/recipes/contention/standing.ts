import { deferred, EverholdError, listenForAbort } from "@everhold/base";
import { Backoff, pause, type WaitOptions } from "@everhold/env";
import type { Created } from "../../api/create.ts";
import type { RequestOptions } from "../../api/request-options.ts";
import { retries } from "../../api/retry-policy.ts";
import { type BoundSession, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Lease, LeaseTiming } from "../../lease/lease.ts";
import type { Acl } from "../../protocol/acl.ts";
import { childOf, nameOf } from "../../protocol/paths.ts";
import type { Stat } from "../../protocol/stat.ts";
import { contentionLimits } from "./contention-limits.ts";
import { createBeside } from "./create-beside.ts";
import type { Grant } from "./grant.ts";
import { lineOf, type Place, type Rule } from "./line.ts";
import type { Wakers } from "./wakers.ts";

/** How somebody stands in line. */
export interface Contender {
  /** What the node's name has before its number; it ends with one of the line's kinds. */
  readonly nameStart: string;
  readonly rule: Rule;
  /**
   * Whether who has its turn says so, by writing its node: for a rule by which others may have theirs at the same time,
   * because then it is not enough to wait for the one before. Default false.
   */
  readonly announces?: boolean;
  /**
   * A grant beside whose node this one stands, with the same number and token, where that node is still there. Default:
   * it stands at the end.
   */
  readonly beside?: Pick<Grant, "path" | "token">;
}

/** The line, and what stands in it. */
export interface LineParts {
  readonly path: string;
  readonly kinds: readonly string[];
  readonly data: Uint8Array | null;
  readonly acl: readonly Acl[] | undefined;
  readonly timing: LeaseTiming;
  readonly wakers: Wakers;
  /**
   * How long whoever is told to stand no more waits until its node is gone. Default: it does not wait, and the node goes
   * a moment later.
   */
  readonly leaveWait?: () => WaitOptions;
}

/** One whose turn it is. */
export interface Standing {
  readonly node: Created;
  readonly lease: Lease;
}

/**
 * Stands in line until its turn comes, in one session. A node that somebody deletes, with all of the line or alone, is
 * made again, at the end. When `ended` is aborted, or the session is over, it leaves the line and throws the reason.
 *
 * @throws ZooKeeperError with reason NOAUTH, … ; EverholdError EVH_CONFIG when there can be no lease
 */
export async function standInLine(
  line: LineParts,
  contender: Contender,
  bound: BoundSession,
  ended: AbortSignal,
): Promise<Standing> {
  const ending = new AbortController();
  const forgets = [ended, bound.signal].map((signal) => follow(signal, ending));
  const { signal } = ending;
  const { ports } = ZooKeeper.callerOf(bound.client).context;
  const { pauseMsMin: minMs, pauseMsMax: maxMs } = contentionLimits;
  const backoff = new Backoff({ minMs, maxMs }, ports.random);
  try {
    for (;;) {
      const visit = new Visit(line, contender, bound, signal);
      const standing = await visit.takeTurn();
      if (standing !== undefined) return standing;
      // Whoever deletes every node that appears would otherwise be kept busy.
      await pause(ports, backoff.nextMs(), signal);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    for (const forget of forgets) forget();
  }
}

/** Deletes the node of one who stands in line. What can't be known in the time of `wait` is done afterwards. */
export async function leaveLine(
  client: ZooKeeper,
  { path, stat: { czxid } }: Created,
  wait: WaitOptions,
): Promise<void> {
  // Nobody else has a node of this name, so its version, which anybody may have changed, does not matter.
  const expected = { czxid, version: -1 };
  for (;;) {
    try {
      return await client.delete(path, { ...wait, expected, ifExists: true, guaranteed: true });
    } catch (error) {
      // The session is over, and the node goes with it.
      if (EverholdError.is(error, "EVH_SESSION_EXPIRED") || EverholdError.is(error, "EVH_CLOSED")) {
        return;
      }
      // An answer was lost, and the node is still there.
      if (!isReason(error, "BADVERSION")) throw error;
    }
  }
}

/** One node's time in line. */
class Visit {
  readonly #line: LineParts;
  readonly #contender: Contender;
  readonly #bound: BoundSession;
  readonly #signal: AbortSignal;
  /** Of each request: it ends when the visit does, and not because servers are away. */
  readonly #request: RequestOptions;

  constructor(line: LineParts, contender: Contender, bound: BoundSession, signal: AbortSignal) {
    this.#line = line;
    this.#contender = contender;
    this.#bound = bound;
    this.#signal = signal;
    const retry = retries.exponential({ maxMs: contentionLimits.pauseMsMax });
    this.#request = { signal, timeout: Infinity, retry };
  }

  /** `undefined` where its node has gone. */
  async takeTurn(): Promise<Standing | undefined> {
    if (this.#signal.aborted) throw this.#signal.reason;
    const node = await this.#enter();
    try {
      const lease = await this.#awaitTurn(node);
      return lease === undefined ? undefined : { node, lease };
    } catch (error) {
      const { leaveWait } = this.#line;
      // What fails here is done afterwards.
      const leaving = leaveLine(this.#bound.client, node, leaveWait?.() ?? {}).catch(
        () => undefined,
      );
      if (leaveWait !== undefined) await leaving;
      throw error;
    }
  }

  #enter(): Promise<Created> {
    const { path, data, acl } = this.#line;
    const { beside } = this.#contender;
    if (beside !== undefined) return this.#enterBeside(beside.path);
    return this.#bound.client.create(childOf(path, this.#contender.nameStart), data, {
      ...this.#request,
      ...(acl === undefined ? {} : { acl }),
      mode: "ephemeralSequential",
      protected: true,
      parents: "container",
    });
  }

  async #enterBeside(besidePath: string): Promise<Created> {
    const forgets: (() => void)[] = [];
    const { client } = this.#bound;
    const entering = createBeside(client, this.#line, this.#contender.nameStart, besidePath);
    try {
      return await Promise.race([entering, aborted(this.#signal, forgets)]);
    } catch (error) {
      entering.then((node) => leaveLine(client, node, {})).catch(() => undefined);
      throw error;
    } finally {
      for (const forget of forgets) forget();
    }
  }

  async #awaitTurn(node: Created): Promise<Lease | undefined> {
    for (;;) {
      const places = await this.#read();
      const ownName = nameOf(node.path);
      const ownIndex = places.findIndex(({ name }) => name === ownName);
      if (ownIndex < 0) return undefined;
      const awaited = this.#contender.rule(places, ownIndex);
      if (awaited === undefined) return this.#begin(node);
      await this.#untilChanged(awaited, places.slice(0, ownIndex));
    }
  }

  /** Who stands in line: at least everybody who came before a node of this session that was made before. */
  async #read(): Promise<readonly Place[]> {
    const { path, kinds } = this.#line;
    try {
      const { children } = await this.#bound.client.getChildren(path, this.#request);
      return lineOf(children, kinds);
    } catch (error) {
      if (isReason(error, "NONODE")) return [];
      throw error;
    }
  }

  /** It is its turn. The lease proves that its node is there, of this session, which is not over. */
  async #begin(node: Created): Promise<Lease | undefined> {
    const { path } = node;
    const { client, sessionId } = this.#bound;
    const found = await client.exists(path, this.#request);
    if (!isSame(found, node.stat, sessionId)) return undefined;
    let lease: Lease | undefined;
    try {
      const { timing, data } = this.#line;
      lease = await this.#bound.lease({ ...timing, path, timeout: Infinity, signal: this.#signal });
      if (this.#contender.announces === true) await client.setData(path, data, this.#request);
      if (this.#signal.aborted) throw this.#signal.reason;
      return lease;
    } catch (error) {
      lease?.close();
      const reason = EverholdError.is(error, "EVH_LEASE_LOST") ? error.cause : error;
      if (isReason(reason, "NONODE")) return undefined;
      throw error;
    }
  }

  /** Waits for a change of the one that is awaited; where that one has its turn already, of any before. */
  async #untilChanged(awaited: Place, before: readonly Place[]): Promise<void> {
    const changed = deferred<void>();
    const wake = (): void => changed.resolve();
    const forgets: (() => void)[] = [];
    try {
      const stat = await this.#watch(awaited, wake, forgets);
      if (stat === undefined) return;
      const hasItsTurn = this.#contender.announces === true && stat.version > 0;
      for (const place of hasItsTurn ? before : []) {
        if (place.name === awaited.name) continue;
        if ((await this.#watch(place, wake, forgets)) === undefined) return;
      }
      await Promise.race([changed.promise, aborted(this.#signal, forgets)]);
    } finally {
      for (const forget of forgets) forget();
    }
  }

  /** Reads a node, so that `wake` is called when it has changed; `undefined` where it is gone. */
  async #watch(
    { name }: Place,
    wake: () => void,
    forgets: (() => void)[],
  ): Promise<Stat | undefined> {
    const { path: parent, wakers } = this.#line;
    const path = childOf(parent, name);
    forgets.push(wakers.add(path, wake));
    try {
      // By getData, which leaves no watch where there is no node.
      const request = { ...this.#request, watch: wakers.watch };
      return (await this.#bound.client.getData(path, request)).stat;
    } catch (error) {
      if (isReason(error, "NONODE")) return undefined;
      throw error;
    }
  }
}

/** Whether it is the node that was created, and not of a session before. */
function isSame(found: Stat | null, { czxid }: Stat, sessionId: bigint): boolean {
  return found !== null && found.czxid === czxid && found.ephemeralOwner === sessionId;
}

/** Rejects when the signal is aborted. */
function aborted(signal: AbortSignal, forgets: (() => void)[]): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    forgets.push(listenForAbort(signal, () => reject(signal.reason)));
  });
}

/** Aborts `ending` when `signal` is. */
function follow(signal: AbortSignal, ending: AbortController): () => void {
  if (signal.aborted) {
    ending.abort(signal.reason);
    return () => undefined;
  }
  return listenForAbort(signal, () => ending.abort(signal.reason));
}
