import {
  ClosedError,
  deferred,
  type Deferred,
  EventHub,
  EverholdError,
  listenForAbort,
} from "@everhold/base";
import { Backoff, checkTimeout, deadlineIn, pause, waitFor, type WaitOptions } from "@everhold/env";
import type { CallContext } from "../../api/caller.ts";
import { bytesOfData, optionError } from "../../api/request-options.ts";
import { type BoundSession, type ReadOptions, ZooKeeper } from "../../api/zookeeper.ts";
import { isReason } from "../../errors.ts";
import type { Lease } from "../../lease/lease.ts";
import { asEverholdError } from "../../session/session-errors.ts";
import { Grant } from "../contention/grant.ts";
import { oneAtATime } from "../contention/line.ts";
import { watchOwnNode } from "../contention/own-node.ts";
import { readParticipants } from "../contention/participants.ts";
import { leaveLine, type LineParts, type Standing, standInLine } from "../contention/standing.ts";
import { Wakers } from "../contention/wakers.ts";
import {
  type Candidate,
  type CandidateOptions,
  candidatesOf,
  checkCandidate,
  isOfConnection,
} from "./candidate.ts";
import { leadershipLimits } from "./leadership-limits.ts";

/** How a latch stands for an election. */
export interface LeaderLatchOptions extends CandidateOptions {
  /** Whether `close` tells a leader's listeners `notLeader`: `notify`, or does not: `silent`. Default `notify`. */
  readonly closeMode?: "notify" | "silent";
}

/** What happens to a latch; of `leader` and `notLeader` one follows the other. */
export type LeaderLatchEvent =
  /** This one leads. */
  | { readonly type: "leader"; readonly grant: Grant }
  /** It leads no more, or may not: `grant.signal.reason` says why. It stands in line, or will. */
  | { readonly type: "notLeader"; readonly grant: Grant }
  /** Standing for the election failed; that is tried again, except where a client of one session has outlived it. */
  | { readonly type: "error"; readonly error: EverholdError }
  /** It is closed, by itself or with its client, or with the session of a client of one session; the last event. */
  | { readonly type: "closed" };

/** As Curator names them: its `LeaderLatch` stands in the same line. */
const kind = "latch-";

/**
 * Stands for an election until it is closed: of all that do at one path, one leads, and then the one that came next.
 *
 * Ask {@link isLeader}, or the grant that `leader` tells, at the moment of acting: events come late to a process that
 * stood still. Leading stands on a lease that is renewed through the quorum, so it ends before any server can have
 * ended the session, while a connection that works proves nothing. Where only the lease has ended, and the session
 * lives, the same node leads again, with the same token, as nobody else can have led meanwhile. In another session, and
 * where somebody deleted the node, alone or with all of its path, it stands at the end of the line.
 *
 * Without a fencing token, whoever asks before each thing that is done knows that nobody else led at that moment, as far
 * as the clocks of the machines run alike within 5 %, and as nobody deletes the leader's node or ends its session by
 * hand: that is not waited for, and until the leader hears of it two lead. What is done may also take effect later,
 * under another leader. With `grant.token`, which grows from leader to leader, whoever receives what is done refuses
 * that of former ones.
 *
 * A session has to last a while before its candidate can lead (a `tickTime` and a renewal), and between sessions that
 * end before that there are pauses that grow: sessions that come and go make no elections at that pace. Nor does
 * somebody who deletes the leader's node again and again.
 *
 * @example
 * const latch = new LeaderLatch(client, "/leaders/billing", { id: "host 7" });
 * latch.on("leader", ({ grant }) => console.log("leading, token", grant.token));
 * latch.start();
 * if (latch.isLeader()) await bill();
 */
export class LeaderLatch {
  readonly path: string;
  readonly #client: ZooKeeper;
  readonly #context: CallContext;
  readonly #report: (error: unknown) => void;
  readonly #line: LineParts;
  readonly #isSilent: boolean;
  readonly #ending = new AbortController();
  readonly #waiters = new Set<Deferred<Grant>>();
  readonly #backoff: Backoff;
  /** Between nodes that somebody deletes. */
  readonly #renewal: Backoff;
  /** How long `close` waits until its node is gone. */
  #leaveWait: WaitOptions = {};
  readonly #events = new EventHub<LeaderLatchEvent>({
    last: "closed",
    unreadCountMax: leadershipLimits.unreadEventCountMax,
  });
  #grant: Grant | undefined;
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /** Stands for nothing before `start`. @throws TypeError; ZooKeeperError EVH_PATH; EverholdError EVH_CONFIG */
  constructor(client: ZooKeeper, path: string, options: LeaderLatchOptions = {}) {
    const attempt = "stand for an election";
    const { id = "", acl, closeMode = "notify", tickTime, renewInterval } = options;
    checkCandidate(attempt, path, options);
    if (closeMode !== "notify" && closeMode !== "silent") {
      throw optionError(attempt, "closeMode", closeMode, '"notify" or "silent"');
    }
    const timing = {
      ...(tickTime === undefined ? {} : { tickTime }),
      ...(renewInterval === undefined ? {} : { renewInterval }),
    };
    this.path = path;
    this.#client = client;
    this.#context = ZooKeeper.callerOf(client).context;
    this.#report = ZooKeeper.reporterOf(client);
    this.#isSilent = closeMode === "silent";
    const data = bytesOfData(attempt, id);
    const leaveWait = (): WaitOptions => this.#leaveWait;
    this.#line = { path, kinds: [kind], data, acl, timing, wakers: new Wakers(), leaveWait };
    const { pauseMsMin: minMs, pauseMsMax: maxMs } = leadershipLimits;
    this.#backoff = new Backoff({ minMs, maxMs }, this.#context.ports.random);
    this.#renewal = new Backoff({ minMs, maxMs }, this.#context.ports.random);
  }

  /** Begins to stand for the election. Idempotent. @throws EverholdError EVH_CLOSED */
  start(): void {
    this.#checkOpen();
    this.#running ??= this.#run();
  }

  /** Whether it leads now. Ask again for each thing that only a leader may do. */
  isLeader(): boolean {
    return this.#grant?.isHeld() ?? false;
  }

  /** What it leads by; `undefined` while it does not lead. `release()` of it stands at the end of the line again. */
  get grant(): Grant | undefined {
    return this.isLeader() ? this.#grant : undefined;
  }

  /**
   * Waits until it leads; no time limit by default.
   * @throws EverholdError EVH_TIMEOUT, EVH_ABORTED; EVH_CLOSED when it, or its client, is closed; why it can't stand for
   * the election, which it goes on to try
   */
  async awaitLeadership(wait: WaitOptions = {}): Promise<Grant> {
    this.#checkOpen();
    const { ports, closed } = this.#context;
    const deadlineMs = deadlineIn(ports, checkTimeout(wait.timeout, Infinity));
    const { grant } = this;
    if (grant !== undefined) return grant;
    const waiter = deferred<Grant>();
    // Before it is started it notices nothing else of its client.
    const onClosed = (): void => waiter.reject(this.#closedError());
    if (closed.aborted) throw this.#closedError();
    const forget = listenForAbort(closed, onClosed);
    this.#waiters.add(waiter);
    const subject = { attempt: `lead at ${this.path}`, outcome: () => "none" as const };
    try {
      return await waitFor(ports, { deadlineMs, signal: wait.signal }, subject, waiter.promise);
    } finally {
      forget();
      this.#waiters.delete(waiter);
    }
  }

  /** Everybody who stands for the election, the one who leads, or is about to, first. */
  async participants(options: ReadOptions = {}): Promise<readonly Candidate[]> {
    return candidatesOf(await readParticipants(this.#client, this.#line, options));
  }

  /** The one who leads, or is about to; `undefined` where nobody stands for it. */
  async leader(options: ReadOptions = {}): Promise<Candidate | undefined> {
    return (await this.participants(options))[0];
  }

  /** What happens to it from now on; ends when it is closed. */
  events(): AsyncIterableIterator<LeaderLatchEvent> {
    return this.#events.read();
  }

  /** Calls `listener` at each event of one type, until the returned function is called. */
  on<K extends LeaderLatchEvent["type"]>(
    type: K,
    listener: (event: Extract<LeaderLatchEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#events.on(type, listener);
  }

  /**
   * Leads no more, and leaves the line. Idempotent. Resolves when others may lead, but for one that is closed while its
   * node is being made: that goes a moment later. Where it can't be known in time (default: the client's
   * `requestTimeout`) its node is deleted afterwards, for as long as the client lives.
   */
  async close(wait: WaitOptions = {}): Promise<void> {
    checkTimeout(wait.timeout, Infinity);
    this.#closing ??= this.#close(wait);
    await this.#closing;
  }

  /** As {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(wait: WaitOptions): Promise<void> {
    this.#leaveWait = wait;
    const error = this.#closedError();
    this.#ending.abort(error);
    this.#rejectWaiters(error);
    if (this.#running === undefined) this.#emit({ type: "closed" });
    await this.#running;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { ports, closed } = this.#context;
    const forget = listenForAbort(closed, () => this.#ending.abort());
    const { signal } = this.#ending;
    const wait = { timeout: Infinity, signal };
    while (!signal.aborted && !closed.aborted) {
      try {
        await this.#client.inSession((bound) => this.#stand(bound), wait);
      } catch (error) {
        if (!signal.aborted && !closed.aborted) this.#onStandFailed(error);
      }
      await pause(ports, this.#backoff.nextMs(), signal);
    }
    forget();
    this.#rejectWaiters(this.#closedError());
    this.#emit({ type: "closed" });
  }

  /** Stands for the election in one session, until that is over. */
  async #stand(bound: BoundSession): Promise<void> {
    const contender = { nameStart: kind, rule: oneAtATime };
    const { ports } = this.#context;
    const { signal } = this.#ending;
    for (;;) {
      const standing = await standInLine(this.#line, contender, bound, signal);
      const sinceMs = ports.monotonicClock.nowMs();
      let end: "given up" | "lost" = "lost";
      try {
        end = await this.#lead(standing, bound);
      } finally {
        standing.lease.close();
        // Where it can't be known, that goes on by itself.
        await leaveLine(bound.client, standing.node, this.#leaveWait).catch(() => undefined);
      }
      const ledMs = ports.monotonicClock.nowMs() - sinceMs;
      if (ledMs >= leadershipLimits.steadyMsMin) this.#renewal.reset();
      else if (end === "lost") await pause(ports, this.#renewal.nextMs(), signal);
    }
  }

  /** Leads while the node is there: again where only the lease has ended. */
  async #lead({ node, lease: first }: Standing, bound: BoundSession): Promise<"given up" | "lost"> {
    const { client, epoch, signal: sessionSignal } = bound;
    const { path, stat } = node;
    let lease: Lease | undefined = first;
    let isGivenUp = false;
    const release = (wait: WaitOptions): Promise<void> => {
      isGivenUp = true;
      // Also of a grant that was lost before the same node led again: now that ends, too, before the node goes.
      lease?.close();
      return leaveLine(client, node, wait);
    };
    while (lease !== undefined) {
      const held: Lease = lease;
      const grant = new Grant({ path, token: stat.czxid, epoch, lease: held, release });
      // Before the client asks a server to end its session, which lets others lead at once.
      const forget = listenForAbort(this.#ending.signal, () => held.close());
      if (this.#ending.signal.aborted) held.close();
      const watching = watchOwnNode(client, path, grant.signal, held);
      await this.#leadBy(grant);
      forget();
      await watching;
      if (isGivenUp) return "given up";
      if (sessionSignal.aborted || this.#ending.signal.aborted) return "lost";
      lease = await this.#leaseAgain(path, bound);
      if (!isGivenUp) continue;
      // While it was asked for.
      lease?.close();
      return "given up";
    }
    return "lost";
  }

  /** `undefined` where the node, or the session, is gone. */
  async #leaseAgain(path: string, { lease }: BoundSession): Promise<Lease | undefined> {
    const { signal } = this.#ending;
    try {
      return await lease({ ...this.#line.timing, path, timeout: Infinity, signal });
    } catch (error) {
      const reason = EverholdError.is(error, "EVH_LEASE_LOST") ? error.cause : error;
      if (isReason(reason, "NONODE") || isOfConnection(error)) return undefined;
      throw error;
    }
  }

  /** Leads until the grant has ended. */
  async #leadBy(grant: Grant): Promise<void> {
    const ended = deferred<void>();
    const end = (): void => {
      if (this.#grant === grant) {
        this.#grant = undefined;
        const isSilent = this.#isSilent && this.#ending.signal.aborted;
        if (!isSilent) this.#emit({ type: "notLeader", grant });
      }
      ended.resolve();
    };
    if (grant.signal.aborted) return;
    // The listener stays as long as the grant: it is told of the end once.
    listenForAbort(grant.signal, end);
    this.#backoff.reset();
    this.#grant = grant;
    this.#emit({ type: "leader", grant });
    for (const waiter of this.#waiters) waiter.resolve(grant);
    await ended.promise;
  }

  /** It stands again after a pause, except where the client is that of one session, which is over. */
  #onStandFailed(error: unknown): void {
    const isOver = EverholdError.is(error, "EVH_SESSION_EXPIRED");
    const isEnd = isOver && this.#context.epoch !== undefined;
    // That there will be another session the client tells.
    if (isOver && !isEnd) return;
    const told = asEverholdError(error);
    if (isEnd || !isOfConnection(error)) this.#rejectWaiters(told);
    this.#emit({ type: "error", error: told });
    if (isEnd) this.#ending.abort();
  }

  #rejectWaiters(error: EverholdError): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }

  #checkOpen(): void {
    if (this.#ending.signal.aborted) throw this.#closedError();
  }

  #closedError(): ClosedError {
    return new ClosedError("EVH_CLOSED", `The latch at ${this.path} is closed`);
  }

  #emit(event: LeaderLatchEvent): void {
    this.#events.emit(event, this.#report);
  }
}
