import { ClosedError, EverholdError, RejectedError, type Outcome } from "@everhold/base";
import { checkTimeout, deadlineIn, type WaitOptions } from "@everhold/env";
import { packets } from "@everhold/wire";
import type { ConnectionCore, WaitBounds } from "../connection/connection-core.ts";
import type { Channel } from "../core/channel.ts";
import { noteDoubt } from "../core/doubts.ts";
import { branchOutcomeFeature, type ProducerNumber } from "../core/number-calls.ts";
import { callCommitBranchAs, callSetTimeout, callXa, type Xid } from "../core/xa-calls.ts";
import type { Body } from "../message/body.ts";
import type { StreamBody } from "../message/stream-body.ts";
import type { CoreSession } from "../session/core-session.ts";
import type { SendToOptions } from "./any-producer.ts";
import type { SubscribeOptions } from "./consumer-sources.ts";
import type { Consumer, ConsumerOptions } from "./consumer.ts";
import type { Producer, ProducerOptions } from "./producer.ts";
import { ClientSession, type Transaction } from "./session.ts";
import type { TwoPhase } from "./two-phase.ts";

/** What can be set about a branch. */
export interface BranchOptions {
  /**
   * Milliseconds that it may last before it is prepared; then the broker rolls it back. Default: as the
   * broker has it, 5 minutes.
   */
  readonly timeLimit?: number;
}

/** What `prepare()` comes to: the branch waits for its decision, or there is nothing to decide. */
export type Vote = "prepared" | "readOnly";

/**
 * One branch of a distributed transaction: what is done through it takes effect with `commit()`, together
 * with the work of others when it was prepared before. The manager is whoever holds it.
 *
 * Leaving it without a decision rolls it back, unless it is prepared: that lasts until it is decided, by this
 * connection or another one (`connection.twoPhase.recover()`).
 *
 *     working ──prepare()──> prepared, or in doubt ──commit(), rollback()──> ended
 *        └────────commit(), rollback(), connection lost───────────────────> ended
 */
export interface Branch extends Transaction, AsyncDisposable {
  /** How everybody names it. */
  readonly xid: Xid;
  /**
   * Makes the work durable without deciding. Consumers of the branch close first. When the connection breaks
   * meanwhile, the client finds out what became of it. Default: waits as long as a call may take, as the next two.
   *
   * @throws RejectedError EVH_TRANSACTION_ROLLED_BACK, EVH_DUPLICATE_ID or the broker's reason: it is rolled back
   * @throws EverholdError with the outcome `none`: it had not been asked for, and the branch is rolled back;
   *   EVH_TRANSACTION_OUTCOME_UNKNOWN: nobody could be asked in time. `twoPhase.recover()` tells later whether it is
   *   prepared; `rollback()` undoes it in either case
   */
  prepare(wait?: WaitOptions): Promise<Vote>;
  /**
   * Makes the work take effect. Of a prepared branch it is repeated until the answer is known; one that is not
   * prepared is committed in one phase.
   *
   * @throws RejectedError EVH_TRANSACTION_ROLLED_BACK, EVH_BRANCH_DECIDED, or the broker's reason
   * @throws EverholdError EVH_TRANSACTION_OUTCOME_UNKNOWN: the connection broke during the one phase, and nobody could
   *   be asked in time: `connection.outcome()` asks later. Artemis keeps no outcome of that: where it has to be known
   *   there, `prepare()` first
   */
  commit(wait?: WaitOptions): Promise<void>;
  /**
   * Undoes the work. Of a branch that is not prepared it waits no longer than it may: its session ends, and it with
   * that. @throws RejectedError EVH_BRANCH_DECIDED
   */
  rollback(wait?: WaitOptions): Promise<void>;
}

/** `inDoubt`: it may be prepared. */
type BranchState = "working" | "prepared" | "inDoubt" | "ended";

/** A request that ends the work of a branch. */
interface EndAsk {
  readonly bounds: WaitBounds;
  /** Whether the broker may have got it. */
  hasLeft: boolean;
  /** Why nobody waits any longer; it must not leave then. */
  isGivenUp: boolean;
}

/** A {@link Branch} on a session of its own, which ends with the work; the second phase needs none. */
export class ClientBranch implements Branch {
  readonly xid: Xid;
  readonly #core: ConnectionCore;
  readonly #session: CoreSession;
  readonly #work: ClientSession;
  readonly #owner: TwoPhase;
  #state: BranchState = "working";
  /** Whether the broker may have got what was to become of it. */
  #hasLeft = false;
  /** Under which a commit in one phase has left. */
  #number: ProducerNumber | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Begins it on a session that was opened for it.
   * @throws RejectedError EVH_ILLEGAL_STATE for an id that is taken
   */
  static async begin(
    owner: TwoPhase,
    core: ConnectionCore,
    session: CoreSession,
    xid: Xid,
    { timeLimit }: BranchOptions,
  ): Promise<ClientBranch> {
    const { channel, transaction } = session;
    if (channel === undefined || transaction === undefined) {
      throw new ClosedError("EVH_CLOSED", "Cannot begin a branch: the connection broke");
    }
    if (timeLimit !== undefined) await callSetTimeout(channel, Math.ceil(timeLimit / 1_000));
    // From here on a loss of the connection is a loss of the branch, whatever was done in it: also one that
    // comes together with the answer. The session's next life works for no branch.
    transaction.onWork();
    await callXa(channel, packets.xaStart, { xid }, "begin the branch");
    return new ClientBranch(owner, core, session, xid);
  }

  constructor(owner: TwoPhase, core: ConnectionCore, session: CoreSession, xid: Xid) {
    this.#owner = owner;
    this.#core = core;
    this.#session = session;
    this.#work = new ClientSession(core, session);
    this.xid = xid;
  }

  async send(address: string, body: Body | StreamBody, options?: SendToOptions): Promise<void> {
    await this.#working("send").send(address, body, options);
  }

  producer(address: string, options?: ProducerOptions): Producer {
    return this.#working("open a producer").producer(address, options);
  }

  consumer<T = unknown>(queue: string, options?: ConsumerOptions): Consumer<T> {
    return this.#working("open a consumer").consumer<T>(queue, options);
  }

  subscribe<T = unknown>(topic: string, options?: SubscribeOptions): Consumer<T> {
    return this.#working("subscribe").subscribe<T>(topic, options);
  }

  async prepare(wait: WaitOptions = {}): Promise<Vote> {
    this.#working("prepare");
    const bounds = this.#bounds(wait);
    this.#state = "ended";
    try {
      const value = { xid: this.xid };
      const isReadOnly = await this.#endWith(packets.xaPrepare, value, "prepare", bounds);
      if (isReadOnly) return "readOnly";
    } catch (error) {
      if (!isLost(error)) throw error;
      // The answer was lost, and with the connection the branch, unless it had been prepared.
      if (!(await this.#isPrepared(bounds))) throw rolledBack(error);
    }
    this.#state = "prepared";
    return "prepared";
  }

  async commit(wait: WaitOptions = {}): Promise<void> {
    if (this.#state === "prepared") {
      await this.#owner.commit(this.xid, wait);
      this.#state = "ended";
      return;
    }
    this.#working("commit");
    const bounds = this.#bounds(wait);
    this.#state = "ended";
    try {
      const value = { xid: this.xid, onePhase: true };
      await this.#endWith(packets.xaCommit, value, "commit", bounds);
    } catch (error) {
      if (!isLost(error) || EverholdError.is(error, "EVH_TRANSACTION_OUTCOME_UNKNOWN")) throw error;
      // It broke while the work was being ended, and the commit had not been asked for.
      if (!this.#hasLeft) throw lostBefore("commit the branch", error);
      throw unknownOutcome(error, this.#number);
    }
  }

  async rollback(wait: WaitOptions = {}): Promise<void> {
    if (this.#state === "ended") return;
    if (this.#state === "prepared" || this.#state === "inDoubt") {
      try {
        // It waits for its decision until the broker has one.
        await this.#owner.rollback(this.xid, wait);
      } catch (error) {
        if (this.#state === "prepared" || !isGone(error)) throw error;
      }
      this.#state = "ended";
      return;
    }
    const bounds = this.#bounds(wait);
    this.#state = "ended";
    this.#session.outbox.rejectWaiting(
      new RejectedError("EVH_TRANSACTION_ROLLED_BACK", "The branch was rolled back by its owner"),
    );
    try {
      await this.#endWith(packets.xaRollback, { xid: this.xid }, "roll back", bounds);
    } catch (error) {
      // With its session, or at its time, the broker rolls it back by itself.
      if (!isLost(error) && !isGone(error) && !isLate(error)) throw error;
    }
  }

  /** Rolls back what is neither decided nor prepared. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#state === "working" ? this.rollback() : Promise.resolve();
    return this.#closing;
  }

  #working(verb: string): ClientSession {
    if (this.#state === "working") return this.#work;
    const state = { prepared: "prepared", inDoubt: "in doubt", ended: "over" }[this.#state];
    throw new EverholdError("EVH_ILLEGAL_STATE", `Cannot ${verb}: the branch is ${state}`);
  }

  #bounds({ timeout, signal }: WaitOptions): WaitBounds {
    const { ports, options } = this.#core;
    const limitMs = checkTimeout(timeout, options.callTimeoutMs);
    return { deadlineMs: deadlineIn(ports, limitMs), signal };
  }

  async #isPrepared({ deadlineMs, signal }: WaitBounds): Promise<boolean> {
    const timeout = Math.max(0, deadlineMs - this.#core.ports.monotonicClock.nowMs());
    try {
      const wait = signal === undefined ? { timeout } : { timeout, signal };
      return await this.#owner.settlePrepare(this.xid, wait);
    } catch (cause) {
      this.#state = "inDoubt";
      throw unknownPrepare(cause);
    }
  }

  /** Ends the work, asks for what is to become of it, and closes the session. */
  async #endWith(
    definition: typeof packets.xaPrepare | typeof packets.xaCommit | typeof packets.xaRollback,
    value: { readonly xid: Xid; readonly onePhase?: boolean },
    verb: string,
    bounds: WaitBounds,
  ): Promise<boolean> {
    const session = this.#session;
    const ask: EndAsk = { bounds, hasLeft: false, isGivenUp: false };
    const outcome = (): Outcome => {
      ask.isGivenUp = true;
      return ask.hasLeft ? "unknown" : "none";
    };
    const attempt = `${verb} the branch`;
    try {
      const ending = this.#end(definition, value, attempt, ask);
      return await this.#core.waitFor(bounds, { attempt, outcome }, ending);
    } finally {
      const closing = this.#core.closeSession(session);
      if (ask.isGivenUp) closing.catch(this.#core.reportError);
      else await closing;
    }
  }

  async #end(
    definition: typeof packets.xaPrepare | typeof packets.xaCommit | typeof packets.xaRollback,
    { xid, onePhase = false }: { readonly xid: Xid; readonly onePhase?: boolean },
    attempt: string,
    ask: EndAsk,
  ): Promise<boolean> {
    const session = this.#session;
    await session.outbox.idle();
    const isRollback = definition.id === packets.xaRollback.id;
    if (isRollback) session.beginReturn();
    await this.#work.closeConsumers();
    // What is only kept for another connection may never be sent. The end of the session undoes it as well.
    const isUp = (): boolean => session.channel?.isUp !== false;
    if (!isUp() && isRollback) return false;
    if (!isUp()) await this.#core.whenStanding(ask.bounds, { attempt, outcome: () => "none" });
    const { channel, transaction } = session;
    if (transaction?.isLost === true) throw transaction.error();
    if (channel === undefined || ask.isGivenUp) throw lostBefore(attempt);
    await callXa(channel, packets.xaEnd, { xid, failed: false }, "end the work of the branch");
    // Whoever waited was told that nothing has been asked for.
    if (ask.isGivenUp) throw lostBefore(attempt);
    ask.hasLeft = true;
    this.#hasLeft = true;
    if (definition.id === packets.xaCommit.id) {
      if (this.#core.features?.has(branchOutcomeFeature) === true) {
        await this.#commitNumbered(channel, attempt);
        return false;
      }
      return callXa(channel, packets.xaCommit, { xid, onePhase }, attempt);
    }
    return definition.id === packets.xaPrepare.id
      ? callXa(channel, packets.xaPrepare, { xid }, attempt)
      : callXa(channel, packets.xaRollback, { xid }, attempt);
  }

  /** Settles when it is known what became of it, if need be from the session's next life. */
  async #commitNumbered(channel: Channel, attempt: string): Promise<void> {
    const { xid } = this;
    const commits = this.#owner.takeCommits();
    this.#session.commits = commits;
    const commit = (): Promise<void> =>
      commits.commitBy(channel, (number) => {
        this.#number = number;
        return callCommitBranchAs(channel, { xid, ...number }, attempt);
      });
    try {
      await commit();
    } catch (error) {
      // The broker has forgotten whose numbers these are, and has done nothing; now they are another's.
      if (!EverholdError.is(error, "EVH_PRODUCER_UNKNOWN")) throw error;
      await commit();
    }
    this.#owner.giveBackCommits(commits);
  }
}

/** Whether the connection broke while the answer was waited for. */
function isLost(error: unknown): boolean {
  return EverholdError.is(error) && error.outcome === "unknown";
}

/** Whether nobody waits for it any longer. */
function isLate(error: unknown): boolean {
  return EverholdError.is(error, "EVH_TIMEOUT") || EverholdError.is(error, "EVH_NOT_CONNECTED");
}

function isGone(error: unknown): boolean {
  return (
    EverholdError.is(error, "EVH_BRANCH_UNKNOWN") ||
    EverholdError.is(error, "EVH_TRANSACTION_ROLLED_BACK")
  );
}

function lostBefore(attempt: string, cause?: unknown): RejectedError {
  return new RejectedError(
    "EVH_TRANSACTION_ROLLED_BACK",
    `Cannot ${attempt}: the connection broke, and the broker has rolled it back`,
    { cause },
  );
}

function rolledBack(cause: unknown): RejectedError {
  return new RejectedError(
    "EVH_TRANSACTION_ROLLED_BACK",
    "Cannot prepare the branch: the connection broke, and the broker has rolled it back",
    { cause },
  );
}

function unknownPrepare(cause: unknown): EverholdError {
  return new EverholdError(
    "EVH_TRANSACTION_OUTCOME_UNKNOWN",
    "Cannot tell whether the branch was prepared: nobody could be asked in time",
    { cause, outcome: "unknown" },
  );
}

function unknownOutcome(cause: unknown, number: ProducerNumber | undefined): EverholdError {
  const error = new EverholdError(
    "EVH_TRANSACTION_OUTCOME_UNKNOWN",
    "Cannot tell whether the branch was committed: the connection broke before the answer" +
      (number === undefined ? "" : "; connection.outcome() asks later"),
    { cause, outcome: "unknown" },
  );
  return noteDoubt(error, number);
}
