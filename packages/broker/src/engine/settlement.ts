import { EverholdError } from "@everhold/base";

import { limits } from "../limits.ts";
import type { Consumer } from "./consumer.ts";
import type { Engine } from "./engine.ts";
import { settleExactly, type SettleRequest } from "./exact-settlement.ts";
import type { LiveQueue } from "./live-queue.ts";
import type { Session } from "./session.ts";

/**
 * What becomes of what the consumers of one session were handed: acknowledged at once or in the open
 * transaction, settled one by one, expired, or given back. A consumer that takes nothing away settles only
 * for itself.
 */
export class Settlement {
  readonly #session: Session;
  readonly #engine: Engine;
  /** Keys that consumers which take nothing away acknowledged since the last boundary. */
  readonly #read = new Map<Consumer, number[]>();

  constructor(session: Session) {
    this.#session = session;
    this.#engine = session.engine;
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
    const keys = this.#engine.keyScratch(count);
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
    const keys = this.#engine.keyScratch(1);
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
    const consumer = this.#session.findConsumer(consumerId);
    if (consumer?.isBrowser === true || this.#session.isPreAcknowledged) return;
    settleExactly(this.#engine, consumer, request, this.#session.transactsAcks);
  }

  /** The client found the message expired. Unknown ones are ignored: nobody waits for an answer. */
  expire(consumerId: number, messageId: number): void {
    const consumer = this.#session.findConsumer(consumerId);
    const key = consumer?.deliveries.remove(messageId) ?? -1;
    if (consumer === undefined || key < 0) return;
    // Where consumers take nothing away, another one may have found it before.
    if (consumer.readsOnly && !consumer.queue.state.isReady(key)) return;
    this.#engine.expire(consumer.queue, key);
  }

  /** What consumers that take nothing away have read stays so: what it belongs to is committed. */
  keepRead(): void {
    this.#read.clear();
  }

  /** Gives back what was delivered and not acknowledged. */
  giveBackDeliveries(countsFirstDelivery: boolean): void {
    for (const consumer of this.#session.consumers) {
      this.#engine.large.abort(consumer);
      let isAttempt = countsFirstDelivery;
      if (consumer.readsOnly) {
        this.#recallRead(consumer, isAttempt);
        continue;
      }
      for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
        this.#engine.redelivery.giveBack(consumer.queue, key, isAttempt);
        isAttempt = false;
      }
    }
  }

  /** Forgets what a consumer has read: it is closed. */
  forget(consumer: Consumer): void {
    this.#read.delete(consumer);
  }

  /** A consumer that takes nothing away is through with some messages, for good once that is committed. */
  #noteRead(consumer: Consumer, keys: Float64Array): void {
    if (!this.#session.transactsAcks) return;
    const read = this.#read.get(consumer) ?? [];
    for (const key of keys) read.push(key);
    this.#read.set(consumer, read);
    if (read.length > limits.transactionAcksMax) {
      this.#session
        .currentTransaction()
        .fail(new EverholdError("EVH_REJECTED", "the transaction holds too many acknowledgements"));
    }
  }

  /** What such a consumer acknowledged since the last boundary, and what it holds, comes to it again. */
  #recallRead(consumer: Consumer, isAttempt: boolean): void {
    const keys = this.#read.get(consumer) ?? [];
    this.#read.delete(consumer);
    for (let key = consumer.deliveries.shift(); key >= 0; key = consumer.deliveries.shift()) {
      keys.push(key);
    }
    this.#engine.redelivery.recall(consumer, keys, isAttempt);
  }

  /** Settles deliveries at once, or with the open transaction. */
  #settle(queue: LiveQueue, keys: Float64Array, count: number, canWait: boolean): void {
    if (queue.isDeleted) return;
    const session = this.#session;
    if (queue.gate !== undefined) this.#engine.touch(queue);
    if (!session.transactsAcks) this.#engine.state.acknowledge(queue.state, keys, count, canWait);
    else if (session.branch?.isRolledBack === true) {
      for (const key of keys.slice(0, count)) this.#engine.redelivery.giveBack(queue, key, true);
    } else session.currentTransaction().addAcknowledgements(queue, keys, count);
  }

  /** The consumer whose delivery is settled; `undefined` where settling means nothing. */
  #settlingConsumer(consumerId: number, messageId: number): Consumer | undefined {
    const consumer = this.#session.findConsumer(consumerId);
    if (consumer === undefined) throw this.#refuseSettlement(consumerId, messageId);
    return consumer.isBrowser || this.#session.isPreAcknowledged ? undefined : consumer;
  }

  #refuseSettlement(consumerId: number, messageId: number): EverholdError {
    const error = new EverholdError(
      "EVH_ILLEGAL_STATE",
      `cannot acknowledge the message ${messageId}: the consumer ${consumerId} does not hold it`,
    );
    this.#session.failTransaction(error);
    return error;
  }
}
