import { assert, EverholdError } from "@everhold/base";
import {
  ByteReader,
  ByteWriter,
  propertyNames,
  readMessage,
  scanMessage,
  writeMessage,
} from "@everhold/wire";

import { limits } from "../limits.ts";
import { parseFilter } from "../selector/selector.ts";
import type { LargeBody } from "../state/large-body.ts";
import type { SessionSink } from "./client-link.ts";
import { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import { settleExactly, type SettleRequest } from "./exact-settlement.ts";
import type { LiveQueue } from "./live-queue.ts";
import { SessionProducers } from "./session-producers.ts";
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
  readonly metadata = new Map<string, string>();
  /** Where messages without an address go: as the client said, else the first address used. */
  defaultAddress: string | undefined;
  isStarted = false;
  isClosed = false;
  /** The branch of a distributed transaction that it works for. */
  branch: Branch | undefined;
  /** For how long the branches that it begins may last before they are prepared. */
  branchTimeoutMs: number = limits.branchTimeoutMs;
  readonly #isXa: boolean;
  readonly #autoCommitSends: boolean;
  readonly #autoCommitAcks: boolean;
  readonly #consumers = new Map<number, Consumer>();
  #transaction: Transaction | undefined;
  /** Keys that consumers which take nothing away acknowledged since the last boundary. */
  readonly #read = new Map<Consumer, number[]>();

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
      this.#currentTransaction().addSend(bare, itsView, 0, bare.length, id);
      return false;
    }
    if (!isTransacted) return this.engine.router.send(this, bytes, view, start, end);
    this.#currentTransaction().addSend(bytes, view, start, end);
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
    else this.#currentTransaction().addWork(work);
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
    return consumer;
  }

  /** The consumer of an id, if it is open. */
  findConsumer(id: number): Consumer | undefined {
    return this.#consumers.get(id);
  }

  /** Closes a consumer in order: what it has not settled goes back, uncounted. */
  closeConsumer(consumer: Consumer): void {
    this.#endConsumer(consumer, false);
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
    if (consumer.forcedDeliveries.length >= limits.forcedDeliveriesMax) {
      throw new EverholdError(
        "EVH_PROTOCOL",
        `the consumer ${consumerId} waits for ${limits.forcedDeliveriesMax} forced deliveries, which is the limit`,
      );
    }
    consumer.forcedDeliveries.push(sequence);
    consumer.queue.mayAwaitMarker = true;
    this.engine.touch(consumer.queue);
  }

  /**
   * Acknowledges what a consumer was handed up to and including a message. `canWait`: nobody waits for it.
   * @throws EverholdError EVH_ILLEGAL_STATE for a message that it does not have
   */
  acknowledge(consumerId: number, messageId: number, canWait: boolean): void {
    const consumer = this.#settlingConsumer(consumerId, messageId);
    if (consumer === undefined) return;
    const count = consumer.deliveries.countThrough(messageId);
    if (count === 0) throw this.#refuseSettlement(consumerId, messageId);
    const keys = this.engine.keyScratch(count);
    for (let index = 0; index < count; index += 1) keys[index] = consumer.deliveries.shift();
    consumer.acknowledgedCount += count;
    if (consumer.readsOnly) return this.#noteRead(consumer, keys.subarray(0, count));
    this.#settle(consumer.queue, keys, count, canWait);
  }

  /**
   * Acknowledges one message. `canWait`: nobody waits for it.
   * @throws EverholdError EVH_ILLEGAL_STATE for a message that the consumer does not have
   */
  acknowledgeOne(consumerId: number, messageId: number, canWait: boolean): void {
    const consumer = this.#settlingConsumer(consumerId, messageId);
    if (consumer === undefined) return;
    const key = consumer.deliveries.remove(messageId);
    if (key < 0) throw this.#refuseSettlement(consumerId, messageId);
    const keys = this.engine.keyScratch(1);
    keys[0] = key;
    consumer.acknowledgedCount += 1;
    if (consumer.readsOnly) return this.#noteRead(consumer, keys.subarray(0, 1));
    this.#settle(consumer.queue, keys, 1, canWait);
  }

  /**
   * Settles exactly one delivery, in a transaction as well as outside of one.
   * @throws EverholdError EVH_ILLEGAL_STATE for a message that it does not have, EVH_REJECTED
   */
  settleExactly(consumerId: number, request: SettleRequest): void {
    const consumer = this.#consumers.get(consumerId);
    if (consumer?.isBrowser === true || this.isPreAcknowledged) return;
    settleExactly(this.engine, consumer, request, this.#transactsAcks);
  }

  /** The client found the message expired. Unknown ones are ignored: nobody waits for an answer. */
  expire(consumerId: number, messageId: number): void {
    const consumer = this.#consumers.get(consumerId);
    const key = consumer?.deliveries.remove(messageId) ?? -1;
    if (consumer === undefined || key < 0) return;
    // Where consumers take nothing away, another one may have found it before.
    if (consumer.readsOnly && !consumer.queue.state.isReady(key)) return;
    this.engine.expire(consumer.queue, key);
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
   * Commits what was sent and acknowledged since the last boundary, all of it or nothing.
   * @throws EverholdError with the reason for which it was rolled back instead
   */
  commit(): void {
    if (this.branch !== undefined) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        "cannot commit: the session works for a branch, which its transaction manager decides",
      );
    }
    const transaction = this.#transaction;
    this.#read.clear();
    if (transaction === undefined) return;
    this.#transaction = undefined;
    transaction.commit();
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
    this.giveBackDeliveries(countsFirstDelivery);
  }

  /** What consumers that take nothing away have read stays so: the branch that it belongs to is committed. */
  keepRead(): void {
    this.#read.clear();
  }

  /** Gives back what was delivered and not acknowledged. */
  giveBackDeliveries(countsFirstDelivery: boolean): void {
    for (const consumer of this.#consumers.values()) {
      this.engine.large.abort(consumer);
      let isAttempt = countsFirstDelivery;
      if (consumer.readsOnly) {
        this.#recallRead(consumer, isAttempt);
        continue;
      }
      for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
        this.engine.redelivery.giveBack(consumer.queue, key, isAttempt);
        isAttempt = false;
      }
    }
  }

  /** A request of the open transaction failed: COMMIT will roll back and say why. */
  failTransaction(error: EverholdError): void {
    if (this.branch !== undefined) this.branch.transaction?.fail(error);
    else if (this.#transactsSends || this.#transactsAcks) this.#currentTransaction().fail(error);
  }

  /** Ends the session. After a failure of the connection, what was in flight counts as attempted. */
  close(isFailure: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isStarted = false;
    this.#transaction?.rollback();
    this.#transaction = undefined;
    this.engine.branches.sessionClosed(this, isFailure);
    for (const consumer of [...this.#consumers.values()]) this.#endConsumer(consumer, isFailure);
    for (const [key, value] of this.metadata) this.#releaseMetadata(key, value);
    this.engine.credits.forget(this);
  }

  /**
   * Notes a pair of metadata; `isUnique` that no other session may have it.
   * @throws EverholdError EVH_DUPLICATE_METADATA, EVH_ILLEGAL_STATE above the limit
   */
  addMetadata(key: string, value: string, isUnique: boolean): void {
    const isNew = !this.metadata.has(key);
    if (isNew && this.metadata.size >= limits.metadataPerSessionMax) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `cannot note "${key}": the session has ${this.metadata.size} entries, which is the limit`,
      );
    }
    const unique = uniqueKey(key, value);
    const holder = this.engine.uniqueMetadata.get(unique);
    if (isUnique && holder !== undefined && holder !== this) {
      throw new EverholdError(
        "EVH_DUPLICATE_METADATA",
        `cannot use ${key} "${value}": another session has it`,
      );
    }
    const replaced = this.metadata.get(key);
    if (replaced !== undefined) this.#releaseMetadata(key, replaced);
    if (holder === undefined || holder === this) this.engine.uniqueMetadata.set(unique, this);
    this.metadata.set(key, value);
    if (key === clientIdKey) this.sink.link.clientId = value;
  }

  /** Others may have this pair of metadata from now on. */
  #releaseMetadata(key: string, value: string): void {
    const { uniqueMetadata } = this.engine;
    const unique = uniqueKey(key, value);
    if (uniqueMetadata.get(unique) === this) uniqueMetadata.delete(unique);
  }

  /** A consumer that takes nothing away is through with some messages, for good once that is committed. */
  #noteRead(consumer: Consumer, keys: Float64Array): void {
    if (!this.#transactsAcks) return;
    const read = this.#read.get(consumer) ?? [];
    for (const key of keys) read.push(key);
    this.#read.set(consumer, read);
    if (read.length > limits.transactionAcksMax) {
      this.#currentTransaction().fail(
        new EverholdError("EVH_REJECTED", "the transaction holds too many acknowledgements"),
      );
    }
  }

  /** What such a consumer acknowledged since the last boundary, and what it holds, comes to it again. */
  #recallRead(consumer: Consumer, isAttempt: boolean): void {
    const keys = this.#read.get(consumer) ?? [];
    this.#read.delete(consumer);
    for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
      keys.push(key);
    }
    this.engine.redelivery.recall(consumer, keys, isAttempt);
  }

  #settle(queue: LiveQueue, keys: Float64Array, count: number, canWait: boolean): void {
    if (queue.isDeleted) return;
    if (queue.gate !== undefined) this.engine.touch(queue);
    if (!this.#transactsAcks) this.engine.state.acknowledge(queue.state, keys, count, canWait);
    else if (this.branch?.isRolledBack === true) {
      for (const key of keys.slice(0, count)) this.engine.redelivery.giveBack(queue, key, true);
    } else this.#currentTransaction().addAcknowledgements(queue, keys, count);
  }

  /** The consumer whose delivery is settled; `undefined` where settling means nothing. */
  #settlingConsumer(consumerId: number, messageId: number): Consumer | undefined {
    const consumer = this.#consumers.get(consumerId);
    if (consumer === undefined) throw this.#refuseSettlement(consumerId, messageId);
    return consumer.isBrowser || this.isPreAcknowledged ? undefined : consumer;
  }

  #refuseSettlement(consumerId: number, messageId: number): EverholdError {
    const error = new EverholdError(
      "EVH_ILLEGAL_STATE",
      `cannot acknowledge the message ${messageId}: the consumer ${consumerId} does not hold it`,
    );
    this.failTransaction(error);
    return error;
  }

  get #transactsSends(): boolean {
    return !this.#autoCommitSends && (!this.#isXa || this.branch !== undefined);
  }

  get #transactsAcks(): boolean {
    return !this.#autoCommitAcks && (!this.#isXa || this.branch !== undefined);
  }

  /** @throws EverholdError EVH_TRANSACTION_ROLLED_BACK when the branch that it worked for is */
  #currentTransaction(): Transaction {
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

  #endConsumer(consumer: Consumer, isFailure: boolean): void {
    assert(!consumer.isClosed, "a consumer is closed once");
    consumer.isClosed = true;
    this.#consumers.delete(consumer.id);
    this.engine.large.abort(consumer);
    const { queue } = consumer;
    queue.removeConsumer(consumer);
    this.engine.notifications.consumerChanged("CONSUMER_CLOSED", consumer);
    this.#read.delete(consumer);
    for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
      if (!consumer.readsOnly) this.engine.redelivery.giveBack(queue, key, isFailure);
    }
    const isLast = !consumer.isBrowser && queue.takerCount === 0;
    if (isLast && queue.isTransient && !queue.isDeleted) {
      this.engine.catalog.deleteQueue(queue);
      return;
    }
    if (isLast && queue.state.definition.purgeOnNoConsumers) this.engine.redelivery.purge(queue);
    this.engine.touch(queue);
  }
}

/** What JMS clients say their client id under. Source: Artemis, `ClientSession`. */
const clientIdKey = "jms-client-id";

function uniqueKey(key: string, value: string): string {
  return `${key.length}:${key}${value}`;
}

/** The message `MSG` at `bytes[start … end)` with an address. */
function withAddress(bytes: Uint8Array, start: number, end: number, address: string): Uint8Array {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  const writer = new ByteWriter(end - start + 64);
  writeMessage(writer, { ...message, address });
  return writer.written();
}

/** The id is of this way between two brokers only: who passes the message on must not repeat it. */
function withoutBridgeId(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const message = readMessage(new ByteReader(bytes.subarray(start, end)));
  const properties = new Map(message.properties);
  properties.delete(propertyNames.bridgeDuplicateId);
  const writer = new ByteWriter(end - start);
  writeMessage(writer, { ...message, properties });
  return writer.written();
}
