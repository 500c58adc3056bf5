import { ClosedError, EverholdError, RejectedError } from "@everhold/base";
import { packets } from "@everhold/wire";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { callSetTimeout, callXa, type Xid } from "../core/xa-calls.ts";
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
 *     working ──prepare()──> prepared ──commit(), rollback()──> ended
 *        └────commit(), rollback(), connection lost──────────> ended
 */
export interface Branch extends Transaction, AsyncDisposable {
  /** How everybody names it. */
  readonly xid: Xid;
  /**
   * Makes the work durable without deciding. Consumers of the branch close first. When the connection breaks
   * meanwhile, the client finds out what became of it.
   *
   * @throws RejectedError EVH_TRANSACTION_ROLLED_BACK, EVH_DUPLICATE_ID or the broker's reason: it is rolled back
   */
  prepare(): Promise<Vote>;
  /**
   * Makes the work take effect. Of a prepared branch it is repeated until the answer is known; one that is not
   * prepared is committed in one phase.
   *
   * @throws RejectedError EVH_TRANSACTION_ROLLED_BACK, EVH_BRANCH_DECIDED, or the broker's reason
   * @throws EverholdError EVH_TRANSACTION_OUTCOME_UNKNOWN: the connection broke during the one phase
   */
  commit(): Promise<void>;
  /** Undoes the work. @throws RejectedError EVH_BRANCH_DECIDED */
  rollback(): Promise<void>;
}

type BranchState = "working" | "prepared" | "ended";

/** A {@link Branch} on a session of its own, which ends with the work; the second phase needs none. */
export class ClientBranch implements Branch {
  readonly xid: Xid;
  readonly #core: ConnectionCore;
  readonly #session: CoreSession;
  readonly #work: ClientSession;
  readonly #owner: TwoPhase;
  #state: BranchState = "working";
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

  async prepare(): Promise<Vote> {
    this.#working("prepare");
    this.#state = "ended";
    try {
      const isReadOnly = await this.#endWith(packets.xaPrepare, { xid: this.xid }, "prepare");
      if (isReadOnly) return "readOnly";
    } catch (error) {
      if (!isLost(error)) throw error;
      // The answer was lost, and with the connection the branch, unless it had been prepared.
      if (!(await this.#owner.settlePrepare(this.xid))) throw rolledBack(error);
    }
    this.#state = "prepared";
    return "prepared";
  }

  async commit(): Promise<void> {
    if (this.#state === "prepared") {
      await this.#owner.commit(this.xid);
      this.#state = "ended";
      return;
    }
    this.#working("commit");
    this.#state = "ended";
    try {
      await this.#endWith(packets.xaCommit, { xid: this.xid, onePhase: true }, "commit");
    } catch (error) {
      throw isLost(error) ? unknownOutcome(error) : error;
    }
  }

  async rollback(): Promise<void> {
    if (this.#state === "ended") return;
    if (this.#state === "prepared") {
      // It waits for its decision until the broker has one.
      await this.#owner.rollback(this.xid);
      this.#state = "ended";
      return;
    }
    this.#state = "ended";
    this.#session.outbox.rejectWaiting(
      new RejectedError("EVH_TRANSACTION_ROLLED_BACK", "The branch was rolled back by its owner"),
    );
    try {
      await this.#endWith(packets.xaRollback, { xid: this.xid }, "roll back");
    } catch (error) {
      // With its connection, or at its time, the broker has rolled it back by itself.
      if (!isLost(error) && !isGone(error)) throw error;
    }
  }

  /** Rolls back what is neither decided nor prepared. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#state === "working" ? this.rollback() : Promise.resolve();
    return this.#closing;
  }

  #working(verb: string): ClientSession {
    if (this.#state === "working") return this.#work;
    const state = this.#state === "prepared" ? "prepared" : "over";
    throw new EverholdError("EVH_ILLEGAL_STATE", `Cannot ${verb}: the branch is ${state}`);
  }

  /** Ends the work, asks for what is to become of it, and closes the session. */
  async #endWith(
    definition: typeof packets.xaPrepare | typeof packets.xaCommit | typeof packets.xaRollback,
    value: { readonly xid: Xid; readonly onePhase?: boolean },
    verb: string,
  ): Promise<boolean> {
    const session = this.#session;
    const attempt = `${verb} the branch`;
    try {
      await session.outbox.idle();
      if (definition.id === packets.xaRollback.id) session.beginReturn();
      await this.#work.closeConsumers();
      const { channel, transaction } = session;
      if (transaction?.isLost === true) throw transaction.error();
      if (channel === undefined) throw lostBefore(attempt);
      const { xid } = value;
      await callXa(channel, packets.xaEnd, { xid, failed: false }, "end the work of the branch");
      const onePhase = value.onePhase ?? false;
      if (definition.id === packets.xaCommit.id) {
        return await callXa(channel, packets.xaCommit, { xid, onePhase }, attempt);
      }
      return definition.id === packets.xaPrepare.id
        ? await callXa(channel, packets.xaPrepare, { xid }, attempt)
        : await callXa(channel, packets.xaRollback, { xid }, attempt);
    } finally {
      await this.#core.closeSession(session);
    }
  }
}

/** Whether the connection broke while the answer was waited for. */
function isLost(error: unknown): boolean {
  return EverholdError.is(error) && error.outcome === "unknown";
}

function isGone(error: unknown): boolean {
  return (
    EverholdError.is(error, "EVH_BRANCH_UNKNOWN") ||
    EverholdError.is(error, "EVH_TRANSACTION_ROLLED_BACK")
  );
}

function lostBefore(attempt: string): RejectedError {
  return new RejectedError(
    "EVH_TRANSACTION_ROLLED_BACK",
    `Cannot ${attempt}: the connection broke, and the broker has rolled it back`,
  );
}

function rolledBack(cause: unknown): RejectedError {
  return new RejectedError(
    "EVH_TRANSACTION_ROLLED_BACK",
    "Cannot prepare the branch: the connection broke, and the broker has rolled it back",
    { cause },
  );
}

function unknownOutcome(cause: unknown): EverholdError {
  return new EverholdError(
    "EVH_TRANSACTION_OUTCOME_UNKNOWN",
    "Cannot tell whether the branch was committed: the connection broke before the answer",
    { cause, outcome: "unknown" },
  );
}
