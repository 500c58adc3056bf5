import { assert, EverholdError } from "@everhold/base";
import { scanMessage } from "@everhold/wire";

import { limits } from "../limits.ts";
import { parseFilter } from "../selector/selector.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { ProducerNumber } from "../state/producer-marks.ts";
import type { SessionSink } from "./client-link.ts";
import { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import type { HeldDeliveries } from "./held-deliveries.ts";
import type { LiveQueue } from "./live-queue.ts";
import { withAddress, withoutBridgeId } from "./message-rewrites.ts";
import { SessionMetadata } from "./session-metadata.ts";
import { SessionProducers } from "./session-producers.ts";
import { Settlement } from "./settlement.ts";
import { Transaction } from "./transaction.ts";
import type { DeferredWork } from "./waiters.ts";
import type { Branch } from "./xa/branch.ts";

/** How a session was created. */
export interface SessionOptions {
  readonly name: string;
  /** Who logged in; `null` for nobody. */
  readonly user: string | null;
  /** Whether it works for branches of distributed transactions; outside of one it commits at once. */
  readonly isXa: boolean;
  readonly autoCommitSends: boolean;
  readonly autoCommitAcks: boolean;
  readonly preAcknowledge: boolean;
  readonly defaultAddress: string | undefined;
}

/** What a client asks for when it opens a consumer. */
export interface ConsumerRequest {
  readonly id: number;
  readonly queueName: string;
  readonly filter: string | null;
  readonly isBrowser: boolean;
  readonly priority: number;
}

const logNameChars = 8;

/**
 * One session: a client's unit of order, acknowledgement and transaction.
 *
 * Methods that change something durable return nothing: the caller waits for the journal's end position
 * where it moved. Methods that refuse throw a typed error.
 */
export class Session {
  readonly engine: Engine;
  readonly sink: SessionSink;
  readonly name: string;
  readonly user: string | null;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  readonly isPreAcknowledged: boolean;
  readonly producers = new SessionProducers();
  readonly metadata: SessionMetadata;
  /** What becomes of what its consumers were handed. */
  readonly settlement: Settlement;
  /** Where messages without an address go: as the client said, else the first address used. */
  defaultAddress: string | undefined;
  isStarted = false;
  isClosed = false;
  /** Its client comes back to it, and has said so. */
  isReturning = false;
  /**
   * What it can say of messages that are gone: they were its `own`; of the session that it goes on for it is `known`
   * that nobody else got what that held; or that had been `forgotten`.
   */
  past: "own" | "known" | "forgotten" = "own";
  /** The journal knows that it consumes from some queues. */
  isRecorded = false;
  /** An older session of the same name that has not ended yet. */
  namesake: Session | undefined;
  /** Deliveries of the session before it whose consumers are to come. */
  held: HeldDeliveries | undefined;
  /** The branch of a distributed transaction that it works for. */
  branch: Branch | undefined;
  /** For how long the branches that it begins may last before they are prepared. */
  branchTimeoutMs: number = limits.branchTimeoutMs;
  readonly #isXa: boolean;
  readonly #autoCommitSends: boolean;
  readonly #autoCommitAcks: boolean;
  readonly #consumers = new Map<number, Consumer>();
  #transaction: Transaction | undefined;

  constructor(engine: Engine, sink: SessionSink, options: SessionOptions) {
    this.engine = engine;
    this.sink = sink;
    this.name = options.name;
    this.user = options.user;
    this.createdMs = engine.nowMs();
    this.isPreAcknowledged = options.preAcknowledge;
    this.defaultAddress = options.defaultAddress;
    this.#isXa = options.isXa;
    this.#autoCommitSends = options.autoCommitSends;
    this.#autoCommitAcks = options.autoCommitAcks;
    this.metadata = new SessionMetadata(this);
    this.settlement = new Settlement(this);
  }

  /** What logs say of it: whoever knows the whole name may come back for the session. */
  get logName(): string {
    return this.name.length > logNameChars ? `${this.name.slice(0, logNameChars)}…` : this.name;
  }

  get consumers(): IterableIterator<Consumer> {
    return this.#consumers.values();
  }

  /**
   * Takes the message `MSG` at `bytes[start … end)`. True when its answer has to wait until everything in
   * the journal so far is committed.
   * @throws EverholdError when it is refused
   */
  send(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
    const { router, requests } = this.engine;
    scanMessage(view, start, end, router.scan);
    if (router.scan.addressStart < 0 && this.defaultAddress !== undefined) {
      // Consumers are to see where it was sent, and clients of 2.0 name an address only once.
      const addressed = withAddress(bytes, start, end, this.defaultAddress);
      const itsView = new DataView(addressed.buffer, addressed.byteOffset, addressed.length);
      return this.send(addressed, itsView, 0, addressed.length);
    }
    if (requests.isRequest(router.scan, bytes)) return requests.receive(this, bytes, start, end);
    const isTransacted = this.#transactsSends;
    if (router.scan.bridgeIdStart >= 0) {
      const id = bytes.slice(router.scan.bridgeIdStart, router.scan.bridgeIdEnd);
      const bare = withoutBridgeId(bytes, start, end);
      const itsView = new DataView(bare.buffer, bare.byteOffset, bare.length);
      scanMessage(itsView, 0, bare.length, router.scan);
      if (!isTransacted) return router.sendBridged(this, id, bare, itsView);
      this.currentTransaction().addSend(bare, itsView, 0, bare.length, id);
      return false;
    }
    if (!isTransacted) return this.engine.router.send(this, bytes, view, start, end);
    this.currentTransaction().addSend(bytes, view, start, end);
    return false;
  }

  /** As {@link send} for a message whose body is large, and stays the caller's to release. */
  sendLarge(message: Uint8Array, body: LargeBody): boolean {
    const { router } = this.engine;
    router.largeBody = body;
    try {
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      return this.send(message, view, 0, message.length);
    } finally {
      router.largeBody = undefined;
    }
  }

  /**
   * Runs `work` once everything so far is committed, together with the open transaction where sends are
   * transacted. What is rolled back is not run.
   */
  afterCommit(work: DeferredWork): void {
    if (!this.#transactsSends) this.sink.afterCommit(work);
    else this.currentTransaction().addWork(work);
  }

  /** A message was refused before it was whole. */
  refuseHeaders(headers: Uint8Array, error: EverholdError): void {
    if (!this.#transactsSends) this.engine.router.refuseHeaders(this, headers, error);
    else this.failTransaction(error);
  }

  /**
   * Opens a consumer.
   * @throws EverholdError EVH_QUEUE_DOES_NOT_EXIST, EVH_INVALID_FILTER, EVH_MAX_CONSUMERS, EVH_SECURITY,
   * EVH_ILLEGAL_STATE
   */
  createConsumer(queue: LiveQueue, request: ConsumerRequest): Consumer {
    const { definition } = queue.state;
    if (this.#consumers.has(request.id)) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot open the consumer ${request.id}: the session has one with this id`,
      );
    }
    if (this.#consumers.size >= limits.consumersPerSessionMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot open a consumer: the session has ${this.#consumers.size}, which is the limit`,
      );
    }
    if (queue.owner !== undefined && queue.owner !== this.sink.link) {
      throw new EverholdError(
        "EVH_SECURITY",
        `cannot consume from "${queue.name}": it is a temporary queue of another connection`,
      );
    }
    const { maxConsumers } = definition;
    if (!request.isBrowser && maxConsumers >= 0 && queue.takerCount >= maxConsumers) {
      throw new EverholdError(
        "EVH_MAX_CONSUMERS",
        `cannot consume from "${queue.name}": it has ${queue.takerCount} consumers, which is the limit`,
      );
    }
    const consumer = new Consumer(this, queue, {
      id: request.id,
      selector: parseFilter(request.filter),
      isBrowser: request.isBrowser,
      priority: request.priority,
    });
    this.#consumers.set(consumer.id, consumer);
    queue.addConsumer(consumer);
    this.engine.slowConsumers.watch(queue);
    this.engine.notifications.consumerChanged("CONSUMER_CREATED", consumer);
    this.engine.returns.consumerAdded(this, consumer);
    this.held?.giveTo(consumer);
    return consumer;
  }

  /** The consumer of an id, if it is open. */
  findConsumer(id: number): Consumer | undefined {
    return this.#consumers.get(id);
  }

  /** Closes a consumer in order: what it has not settled goes back, uncounted. */
  closeConsumer(consumer: Consumer): void {
    this.#endConsumer(consumer, 0);
  }

  /** Drops a consumer whose queue is gone. */
  forgetConsumer(consumer: Consumer): void {
    this.engine.large.abort(consumer);
    consumer.isClosed = true;
    this.#consumers.delete(consumer.id);
  }

  /** Gives a consumer credit. An unknown one is ignored. */
  addCredits(consumerId: number, bytes: number): void {
    const consumer = this.#consumers.get(consumerId);
    if (consumer === undefined) return;
    consumer.addCredits(bytes);
    this.engine.touch(consumer.queue);
  }

  /** Asks for a marker behind all that can be delivered. */
  forceDelivery(consumerId: number, sequence: number): void {
    const consumer = this.#consumers.get(consumerId);
    if (consumer === undefined) return;
    consumer.awaitedMarkers.add(sequence);
    consumer.queue.mayAwaitMarker = true;
    this.engine.touch(consumer.queue);
  }

  /** Deliveries may begin. */
  start(): void {
    if (this.isStarted) return;
    this.isStarted = true;
    for (const consumer of this.#consumers.values()) this.engine.touch(consumer.queue);
  }

  /** Nothing is delivered from now on, except to browsers. */
  stop(): void {
    this.isStarted = false;
  }

  /**
   * Commits what was sent and acknowledged since the last boundary, all of it or nothing. `number` is used up
   * with it; see `commitAs`.
   * @throws EverholdError with the reason for which it was rolled back instead
   */
  commit(number?: ProducerNumber): void {
    this.checkNoBranch();
    const transaction = this.#transaction;
    this.settlement.keepRead();
    this.#transaction = undefined;
    if (transaction !== undefined) transaction.commit(number);
    else if (number !== undefined) this.engine.state.applyNumber(number);
  }

  /** @throws EverholdError EVH_ILLEGAL_STATE while it works for a branch of a distributed transaction */
  checkNoBranch(): void {
    if (this.branch === undefined) return;
    throw new EverholdError(
      "EVH_ILLEGAL_STATE",
      "cannot commit: the session works for a branch, which its transaction manager decides",
    );
  }

  /**
   * Rolls back: what was sent is dropped; what was acknowledged, and what was delivered and not
   * acknowledged, goes back to its queues.
   */
  rollback(countsFirstDelivery: boolean): void {
    this.#transaction?.rollback();
    this.#transaction = undefined;
    if (this.branch !== undefined && !this.branch.isRolledBack) {
      const why = "the session rolled back while it worked for the branch";
      this.branch.transaction?.fail(new EverholdError("EVH_TRANSACTION_ROLLED_BACK", why));
      this.branch.transaction?.rollback();
    }
    this.settlement.giveBackDeliveries(countsFirstDelivery);
  }

  /** A request of the open transaction failed: COMMIT will roll back and say why. */
  failTransaction(error: EverholdError): void {
    if (this.branch !== undefined) this.branch.transaction?.fail(error);
    else if (this.#transactsSends || this.transactsAcks) this.currentTransaction().fail(error);
  }

  /** Whether what is acknowledged now belongs to a transaction. */
  get transactsAcks(): boolean {
    return !this.#autoCommitAcks && (!this.#isXa || this.branch !== undefined);
  }

  /**
   * The transaction that is open, or begins now.
   * @throws EverholdError EVH_TRANSACTION_ROLLED_BACK when the branch that it worked for is
   */
  currentTransaction(): Transaction {
    const { branch } = this;
    if (branch?.isRolledBack === true) {
      throw new EverholdError(
        "EVH_TRANSACTION_ROLLED_BACK",
        "the branch that the session works for was rolled back",
      );
    }
    if (branch?.transaction !== undefined) return branch.transaction;
    this.#transaction ??= new Transaction(this);
    return this.#transaction;
  }

  /** Its client has come back: what is in flight now was so before. */
  noteReturn(): void {
    for (const consumer of this.#consumers.values()) {
      consumer.countAtReturn = consumer.deliveries.count;
    }
  }

  /**
   * Ends the session. After a failure of the connection, what was in flight counts as attempted; of a client that
   * has come back only to close it (`hasJustReturned`), what was so before.
   */
  close(isFailure: boolean, hasJustReturned = false): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isStarted = false;
    this.#transaction?.rollback();
    this.#transaction = undefined;
    this.engine.branches.sessionClosed(this, isFailure || hasJustReturned);
    for (const consumer of [...this.#consumers.values()]) {
      // With the last that takes messages its queue may have gone, and with that its browsers.
      if (consumer.isClosed) continue;
      const returnedCount = hasJustReturned ? consumer.countAtReturn : 0;
      this.#endConsumer(consumer, isFailure ? Infinity : returnedCount);
    }
    this.held?.release(isFailure || hasJustReturned);
    this.engine.returns.sessionClosed(this);
    this.metadata.release();
    this.engine.credits.forget(this);
  }

  get #transactsSends(): boolean {
    return !this.#autoCommitSends && (!this.#isXa || this.branch !== undefined);
  }

  /** What it holds goes back; of that the oldest `attemptCount` count as attempted. */
  #endConsumer(consumer: Consumer, attemptCount: number): void {
    assert(!consumer.isClosed, "a consumer is closed once");
    consumer.isClosed = true;
    this.#consumers.delete(consumer.id);
    this.engine.large.abort(consumer);
    const { queue } = consumer;
    queue.removeConsumer(consumer);
    this.engine.notifications.consumerChanged("CONSUMER_CLOSED", consumer);
    this.settlement.forget(consumer);
    let attemptsLeft = attemptCount;
    for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
      if (!consumer.readsOnly) this.engine.redelivery.giveBack(queue, key, attemptsLeft > 0);
      attemptsLeft -= 1;
    }
    if (!consumer.isBrowser) this.engine.catalog.endIfUnused(queue);
    this.engine.touch(queue);
  }
}
