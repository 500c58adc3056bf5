import { ConnectionError, EverholdError, RejectedError, type Outcome } from "@everhold/base";
import { callWithin, checkTimeout, deadlineIn, onWaitEnd, type WaitOptions } from "@everhold/env";
import { packets } from "@everhold/wire";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { readNull } from "../core/channel.ts";
import type { Body } from "../message/body.ts";
import type { StreamBody } from "../message/stream-body.ts";
import type { CoreSession } from "../session/core-session.ts";
import type { TransactionState } from "../session/transaction-state.ts";
import { IntakeConsumer, type Consumer, type ConsumerOptions } from "./consumer.ts";
import {
  ownSessionSource,
  queueTarget,
  sharedSessionSource,
  topicTarget,
  type SubscribeOptions,
} from "./consumer-sources.ts";
import { AnyProducer, type SendToOptions } from "./any-producer.ts";
import { SessionProducer, type Producer, type ProducerOptions } from "./producer.ts";

/** What a session is for. */
export interface SessionOptions {
  /** Whether sends and settlements take effect together, with `commit()`. Default false. */
  readonly transacted?: boolean;
}

/** A unit of order; a transacted one also of work that takes effect together or not at all. */
export interface Session extends AsyncDisposable {
  /** As of the connection; in a transaction `send()` settles when the message has left. */
  producer(address: string, options?: ProducerOptions): Producer;
  /** Sends to whatever address it names, as a producer for that address would. */
  send(address: string, body: Body | StreamBody, options?: SendToOptions): Promise<void>;
  /** As of the connection; in a transaction `ack()` settles when it has left, and takes effect with `commit()`. */
  consumer<T = unknown>(queue: string, options?: ConsumerOptions): Consumer<T>;
  subscribe<T = unknown>(topic: string, options?: SubscribeOptions): Consumer<T>;
  /**
   * Makes the work since the last commit take effect; settles when the broker has it safe. When the connection
   * breaks meanwhile, an Everhold broker is asked what became of it. Default: waits as long as a call may take;
   * what comes after the limit is told by `connection.outcome()`. One that has not left by then, e.g. because a
   * send of it waits for room, does not leave any more: the work is still there, to be committed or rolled back.
   *
   * @throws RejectedError EVH_TRANSACTION_ROLLED_BACK or the broker's reason: nothing took effect, and what was
   *   received comes again
   * @throws EverholdError EVH_TRANSACTION_OUTCOME_UNKNOWN: nobody could be asked in time, or the broker keeps no
   *   outcomes, as Artemis
   */
  commit(wait?: WaitOptions): Promise<void>;
  /**
   * Undoes the work since the last commit; what was received comes again, acknowledged before or not, marked as
   * redelivered and counted as an attempt. Waits for no connection, for the end of one rolls back as well; by
   * default as long as the broker may take to answer a call. What ends the wait does not take it back: the next
   * `commit()` waits for it, and says so if something went with it that was done meanwhile.
   *
   * @throws EverholdError EVH_ILLEGAL_STATE, EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED
   */
  rollback(wait?: WaitOptions): Promise<void>;
  /** Rolls back what is not committed, and closes. Idempotent. */
  close(): Promise<void>;
}

/** What `transaction(work)` gives to the work. Everything done through it takes effect together. */
export interface Transaction {
  /** Settles when the message has left; it is delivered after the commit. */
  send(address: string, body: Body | StreamBody, options?: SendToOptions): Promise<void>;
  producer(address: string, options?: ProducerOptions): Producer;
  /** A consumer whose acknowledgements belong to the transaction; it is closed with it. */
  consumer<T = unknown>(queue: string, options?: ConsumerOptions): Consumer<T>;
  subscribe<T = unknown>(topic: string, options?: SubscribeOptions): Consumer<T>;
}

/** A commit that somebody waits for. */
interface CommitAsk {
  /** Whether the broker may have got it. */
  hasLeft: boolean;
  /** Why nobody waits any longer. */
  givenUp: EverholdError | undefined;
  /** Why it did not take effect, while its work is still being undone. */
  refusal: unknown;
}

const refusedBefore = "the commit before it was refused, and what was done meanwhile went with it";
const undoneBefore =
  "the rollback before it was still under way, and what was done meanwhile went with it";

/** A {@link Session} on a CORE session. */
export class ClientSession implements Session, Transaction {
  readonly #core: ConnectionCore;
  readonly #session: CoreSession;
  readonly #onClose: (session: ClientSession) => void;
  readonly #consumers = new Set<Consumer>();
  readonly #anyProducer = new AnyProducer((address, options) => this.producer(address, options));
  /** Commits under way. */
  #commitCount = 0;
  /** How often the owner has undone work. */
  #rollbackCount = 0;
  /** What is being undone: a commit that came before the end of that would make it good. */
  #undoing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    core: ConnectionCore,
    session: CoreSession,
    onClose: (session: ClientSession) => void = () => undefined,
  ) {
    this.#core = core;
    this.#session = session;
    this.#onClose = onClose;
  }

  /** Whether it can be used for another transaction. */
  get isUsable(): boolean {
    return this.#closing === undefined && !this.#session.ended;
  }

  /** Whether there is work that has neither been committed nor undone. */
  get hasWork(): boolean {
    return this.#session.transaction?.hasWork === true;
  }

  producer(address: string, options: ProducerOptions = {}): Producer {
    return new SessionProducer(this.#core, this.#session, address, options);
  }

  async send(address: string, body: Body | StreamBody, options?: SendToOptions): Promise<void> {
    await this.#anyProducer.send(address, body, options);
  }

  consumer<T = unknown>(queue: string, options: ConsumerOptions = {}): Consumer<T> {
    return this.#consume<T>(queueTarget(queue, options), options);
  }

  subscribe<T = unknown>(topic: string, options: SubscribeOptions = {}): Consumer<T> {
    return this.#consume<T>(topicTarget(this.#core, topic, options), options);
  }

  async commit(wait: WaitOptions = {}): Promise<void> {
    const { ports, options } = this.#core;
    const timeout = checkTimeout(wait.timeout, options.callTimeoutMs);
    const bounds = { deadlineMs: deadlineIn(ports, timeout), signal: wait.signal };
    const { commits } = this.#session;
    const ask: CommitAsk = { hasLeft: false, givenUp: undefined, refusal: undefined };
    const outcome = (): Outcome => (ask.hasLeft ? "unknown" : "none");
    const committed = this.#commitOnce(ask);
    await new Promise<void>((resolve, reject) => {
      const subject = { attempt: "commit the transaction", outcome };
      const stopWaiting = (error: EverholdError): void => {
        ask.givenUp ??= error;
        // One that has left goes on by itself.
        const isInDoubt = ask.hasLeft && commits !== undefined;
        reject(ask.refusal ?? (isInDoubt ? commits.impatience(error) : error));
      };
      const forgetBounds = onWaitEnd(ports, bounds, subject, stopWaiting);
      const forgetOverdue = commits?.whenOverdue(stopWaiting);
      const forget = (): void => {
        forgetBounds();
        forgetOverdue?.();
      };
      committed.then(
        () => {
          forget();
          resolve();
        },
        (error: unknown) => {
          forget();
          reject(error);
        },
      );
    });
  }

  rollback(wait: WaitOptions = {}): Promise<void> {
    const ask = { isGivenUp: false };
    const undone = callWithin(this.#core.ports, wait, "roll the transaction back", () =>
      this.#rollBackAll(ask),
    );
    undone.catch(() => {
      ask.isGivenUp = true;
    });
    return undone;
  }

  async #rollBackAll(ask: { readonly isGivenUp: boolean }): Promise<void> {
    const transaction = this.#transaction("roll back");
    // A commit that has not left is told, and does not take nothing for a success.
    if (transaction.hasWork) this.#rollbackCount += 1;
    await this.#rollBack(transaction, () => {
      // Who waits no longer may have gone on, and is told by the next commit.
      if (ask.isGivenUp) transaction.onLost(undoneBefore);
      else transaction.onEnd();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  /** Closes the consumers, and keeps the session for another transaction. */
  async closeConsumers(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    this.#anyProducer.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #consume<T>(target: ReturnType<typeof queueTarget>, options: ConsumerOptions): Consumer<T> {
    const source =
      this.#session.transaction === undefined
        ? ownSessionSource(this.#core, target, options)
        : sharedSessionSource(this.#core, this.#session, target, options);
    const consumer = new IntakeConsumer<T>(this.#core, source, options, (closed) => {
      this.#consumers.delete(closed);
    });
    this.#consumers.add(consumer);
    return consumer;
  }

  #transaction(verb: string): TransactionState {
    const { transaction } = this.#session;
    if (transaction !== undefined && this.isUsable) return transaction;
    throw new EverholdError(
      transaction === undefined ? "EVH_ILLEGAL_STATE" : "EVH_CLOSED",
      `Cannot ${verb}: the session is ${transaction === undefined ? "not transacted" : "closed"}`,
    );
  }

  async #commitOnce(ask: CommitAsk): Promise<void> {
    const transaction = this.#transaction("commit");
    this.#commitCount += 1;
    try {
      await this.#commit(transaction, ask);
    } finally {
      this.#commitCount -= 1;
    }
  }

  async #commit(transaction: TransactionState, ask: CommitAsk): Promise<void> {
    const session = this.#session;
    const { commits } = session;
    const rollbackCount = this.#rollbackCount;
    await session.outbox.idle();
    await commits?.idle();
    if (this.#undoing !== undefined) await this.#undoing;
    // Who asked was told that nothing has taken effect, and may ask again.
    if (ask.givenUp !== undefined) throw ask.givenUp;
    if (rollbackCount !== this.#rollbackCount) throw rolledBackByOwner();
    for (const intake of session.intakes()) intake.settlement.flushAcks();
    if (transaction.isLost) {
      await this.#undoLost(transaction);
      throw transaction.error();
    }
    const { hasWork } = transaction;
    const { channel } = session;
    // Refused it can be asked for again: the work is still there.
    const refusal = hasWork && channel?.isUp === false ? session.refusal() : undefined;
    if (refusal !== undefined) throw refusal;
    transaction.onEnd();
    if (!hasWork || channel === undefined || commits === undefined) return;
    ask.hasLeft = true;
    for (const { settlement } of session.intakes()) settlement.onCommitting();
    try {
      await commits.commit(channel, session.keepsOutcomes);
      for (const { settlement } of session.intakes()) settlement.onCommitted();
    } catch (error) {
      ask.refusal = error;
      // Where its life is over, all that was received has gone back. What was done since then goes as well.
      if (channel.lostError === undefined)
        await this.#rollBack(transaction, () => void transaction.onLost(refusedBefore));
      throw error;
    }
  }

  /**
   * With the connection the broker took everything back, but not what it has delivered on the next one: whoever
   * took that could not acknowledge it, and is told now that it comes again.
   */
  async #undoLost(transaction: TransactionState): Promise<void> {
    for (const { settlement } of this.#session.intakes()) {
      if (settlement.takenCount > 0) return this.#undo(transaction);
    }
    transaction.onEnd();
  }

  async #rollBack(transaction: TransactionState, onUndone?: () => void): Promise<void> {
    this.#session.outbox.rejectWaiting(rolledBackByOwner());
    await this.#undo(transaction, onUndone);
  }

  /**
   * Has the broker take back what was done and received since the last commit. `onUndone` notes in the
   * transaction that all of its work so far is among that.
   */
  #undo(
    transaction: TransactionState,
    onUndone: () => void = () => transaction.onEnd(),
  ): Promise<void> {
    const undone = this.#undoOnce(onUndone);
    const undoing = Promise.allSettled([this.#undoing, undone]).then(() => {
      if (this.#undoing === undoing) this.#undoing = undefined;
    });
    this.#undoing = undoing;
    return undone;
  }

  async #undoOnce(onUndone: () => void): Promise<void> {
    const session = this.#session;
    onUndone();
    const { channel } = session;
    // Without a connection there is nothing left of it at the broker.
    if (channel === undefined) return;
    // What the next connection cannot find any more needs no answer.
    if (!channel.isUp) return channel.lose(rolledBackWhileBroken());
    try {
      await session.beginStandstill(channel, "roll the transaction back");
      for (const intake of session.intakes()) intake.settlement.flushAcks();
      session.beginReturn();
      // What comes after this packet belongs to the next transaction.
      onUndone();
      const value = { considerLastMessageAsDelivered: false };
      await channel.call(packets.rollback, value, "roll the transaction back", readNull);
    } catch (cause) {
      if (channel.lostError !== undefined) return;
      // The broker refused, so nobody knows what belongs to which transaction: only a fresh connection
      // can tell.
      channel.beginAnew(
        new ConnectionError(
          "EVH_DISCONNECTED",
          "Cannot roll the transaction back: beginning anew",
          { cause },
        ),
      );
      return;
    }
    if (session.channel !== channel) return;
    for (const intake of session.intakes()) intake.returnAll();
    session.endStandstill(channel);
  }

  async #closeOnce(): Promise<void> {
    // What a commit that is under way may still find acknowledged is gone for good.
    if (this.#commitCount === 0) this.#session.beginReturn();
    await this.closeConsumers();
    await this.#core.closeSession(this.#session);
    this.#onClose(this);
  }
}

function rolledBackByOwner(): RejectedError {
  return new RejectedError(
    "EVH_TRANSACTION_ROLLED_BACK",
    "The transaction was rolled back by its owner",
  );
}

function rolledBackWhileBroken(): ConnectionError {
  return new ConnectionError(
    "EVH_DISCONNECTED",
    "The transaction was rolled back while the connection was broken",
  );
}
