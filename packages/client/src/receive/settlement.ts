import {
  ClosedError,
  ConnectionError,
  deferred,
  EverholdError,
  type Deferred,
} from "@everhold/base";
import type { Compression } from "@everhold/env";
import { packets, unsaidDelay, type ReceiveFrame } from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import { limits } from "../limits.ts";
import type { Body } from "../message/body.ts";
import type { SendOptions } from "../message/send-options.ts";
import { AckQueue, type AckListener } from "./ack-queue.ts";
import { HeldMessages } from "./held-messages.ts";
import { inflateBody } from "./inflate-body.ts";
import type { ReleaseOptions } from "./message.ts";
import type { ReceivedMessage, Settler } from "./received-message.ts";
import { sendGiveBack, sendQuietRelease, sendReject, sendRelease } from "./settle-packets.ts";
import { lostAckError, lostError, stateError, transactedError } from "./settle-errors.ts";

/** What the settlement of one consumer's deliveries needs. */
export interface SettlementHost {
  readonly consumerId: number;
  readonly queue: string;
  /** Whether acknowledgements belong to a transaction. */
  readonly transacted: boolean;
  /** Sends a copy of a refused message to the dead-letter address. */
  readonly deadLetter: (message: ReceivedMessage, reason: string | undefined) => Promise<void>;
  /** Sends a copy of a message to its queue that is due in so many milliseconds. */
  readonly delay: (message: ReceivedMessage, delayMs: number) => Promise<void>;
  /** Whether the broker of this connection settles exactly one delivery, as Everhold does. */
  readonly settlesExactly: () => boolean;
  /** Whether the application says itself where refused messages go. */
  readonly hasOwnDeadLetters: boolean;
  readonly reply: (
    message: ReceivedMessage,
    body: Body,
    options: SendOptions | undefined,
  ) => Promise<void>;
  /** Notes work of the transaction. @throws EverholdError EVH_TRANSACTION_ROLLED_BACK */
  readonly onWork: () => void;
  readonly onError: (error: unknown) => void;
  readonly compression: Compression | undefined;
  /** A message left the application's hands, so there is room for another. */
  readonly onRoom: () => void;
  /** What nobody had taken goes back to the queue as well: all of it, or the last so many messages. */
  readonly onReturned: (count?: number) => void;
  /** The message of which only a part has come, and of which nobody knows yet; `undefined` for none. */
  readonly partlyCome: () => number | undefined;
  /** Deliveries begin again. */
  readonly onResumed: () => void;
}

/**
 * What the application holds of one consumer's deliveries, over all its lives, and how it ends:
 * acknowledged, released, rejected, or lost. The states are drawn at {@link ReceivedMessage}.
 *
 * After a reconnect the held messages are recognised when they come again: the one in hand stays the
 * one in hand, and an acknowledgement without an answer is sent again for the new delivery.
 */
export class Settlement implements Settler, AckListener {
  readonly #host: SettlementHost;
  readonly #acks = new AckQueue(this);
  readonly #held = new HeldMessages();
  readonly #settledWaiters: (() => void)[] = [];
  readonly #ackWaiters: (() => void)[] = [];
  #channel: Channel | undefined;
  #incarnation = 0;
  /** Deliveries of this life in the application's hands that nobody has decided about. */
  #takenCount = 0;
  /** Acknowledgements asked for and not yet answered, of all lives. */
  #ackingCount = 0;
  #ackFlushAsked = false;
  /** Whether a message was released, and the broker has not taken it back yet. */
  #releasing = false;
  #rollingBack: Promise<void> | undefined;
  /** Released messages that wait for the session to stand still, and who waits for them. */
  #returning: Returning[] = [];
  #ended = false;

  constructor(host: SettlementHost) {
    this.#host = host;
  }

  get queue(): string {
    return this.#host.queue;
  }

  /** Which life of the consumer this is; grows with each reconnect. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Messages of this life in the application's hands. */
  get takenCount(): number {
    return this.#takenCount;
  }

  /** Messages of earlier lives that are not settled. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** Whether a released message keeps the others back. */
  get isReleasing(): boolean {
    return this.#releasing;
  }

  /** A new life begins. */
  attach(channel: Channel): void {
    this.#channel = channel;
    this.#incarnation += 1;
  }

  /** The connection is gone: the broker took everything back. */
  detach(): void {
    this.#channel = undefined;
    this.#releasing = false;
    this.#rollingBack = undefined;
    this.#ackFlushAsked = false;
    // The broker took these back by itself.
    for (const { done } of this.#returning.splice(0)) done.resolve();
    for (const message of this.#acks.clear()) if (isInHand(message)) this.#held.add(message);
    this.#takenCount = 0;
    if (this.#host.transacted) this.loseHeld();
    this.#advance();
  }

  /** Nothing more can be settled. */
  end(): void {
    this.#ended = true;
    this.detach();
    this.loseHeld();
  }

  /** A message was delivered that is none of the held ones. */
  onDelivered(message: ReceivedMessage): void {
    this.#acks.add(message);
  }

  /** The application took a message. */
  onTaken(message: ReceivedMessage): void {
    message.state = "taken";
    this.#takenCount += 1;
  }

  /** Takes a delivery if it repeats a held message; whether it did. */
  takeRedelivered(messageId: number, frame: ReceiveFrame, bytes: Uint8Array): boolean {
    const message = this.#held.takeRedelivered(messageId, frame.deliveryCount, bytes, frame);
    if (message === undefined) return false;
    message.incarnation = this.#incarnation;
    message.ackProgress = "none";
    this.#acks.add(message);
    if (message.state === "acking") this.#requestAck(message);
    else this.#takenCount += 1;
    return true;
  }

  /** The held messages do not come again: they are settled, or somebody else's. */
  loseHeld(): void {
    for (const message of this.#held.drain()) {
      const wasAcking = message.state === "acking";
      message.state = "lost";
      if (!wasAcking) continue;
      this.#ackingCount -= 1;
      message.rejectAck?.(lostAckError(message));
    }
    this.#advance();
  }

  /** Everything went back to the queue: the transaction was rolled back. */
  returnAll(): void {
    for (const message of this.#acks.clear())
      if (message.state !== "settled") message.state = "lost";
    this.#takenCount = 0;
    this.#advance();
  }

  /** Settles when nothing is in the application's hands and no acknowledgement is on its way. */
  settled(): Promise<void> {
    if (this.#openCount() === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settledWaiters.push(resolve));
  }

  /** Settles when every acknowledgement that was asked for is answered. */
  acksDone(): Promise<void> {
    if (this.#ackingCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#ackWaiters.push(resolve));
  }

  /** Sends the acknowledgements of this turn now. */
  flushAcks(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#acks.flush(channel, this.#host.consumerId, !this.#host.transacted);
  }

  /** Gives released messages back before the consumer closes, and what is in hand, which counts as delivered. */
  async finishRelease(): Promise<void> {
    if (this.#releasing) await this.#rollBack();
    const channel = this.#channel;
    if (channel === undefined || !this.#isExact()) return;
    this.flushAcks();
    const { consumerId } = this.#host;
    for (const message of this.#acks.deliveries()) {
      if (message.state === "taken") sendQuietRelease({ channel, consumerId, message });
    }
  }

  acknowledge(message: ReceivedMessage): Promise<void> {
    if (message.ackPromise !== undefined) return message.ackPromise;
    if (message.state === "settled") return Promise.resolve();
    const refusal = this.#refusal(message, "acknowledge");
    if (refusal !== undefined) return Promise.reject(refusal);
    // It may be under way already, for nobody in particular.
    const isUnderWay = message.state === "acking";
    message.ackPromise = new Promise<void>((resolve, reject) => {
      message.resolveAck = resolve;
      message.rejectAck = reject;
      if (!isUnderWay) this.#startAck(message);
    });
    return message.ackPromise;
  }

  /** As {@link acknowledge}, for those who do not wait: failures go to the connection's events. */
  acknowledgeQuietly(message: ReceivedMessage): void {
    if (message.state !== "taken") return;
    message.rejectAck = this.#host.onError;
    try {
      this.#startAck(message);
    } catch (error) {
      this.#host.onError(error);
    }
  }

  async release(message: ReceivedMessage, options: ReleaseOptions): Promise<void> {
    const delayMs = checkDelay(options.delay);
    if (message.state === "released" || message.state === "lost") return;
    if (this.#host.transacted) throw transactedError("release");
    const refusal = this.#refusal(message, "release");
    if (refusal !== undefined) throw refusal;
    if (message.state !== "taken") throw stateError(message, "release");
    if (!this.#isCurrent(message)) {
      // The broker took it back when the connection broke.
      message.state = "released";
      this.#held.remove(message);
      this.#advance();
      return;
    }
    if (delayMs > 0 && !this.#isExact()) return this.#replace(message, delayMs);
    message.state = "released";
    this.#takenCount -= 1;
    if (delayMs > 0) return this.#releaseLater(message, delayMs);
    this.#releasing = true;
    const done = deferred<void>();
    if (this.#isExact()) this.#returning.push({ message, delayMs, done });
    else done.resolve();
    this.#advance();
    return done.promise;
  }

  async reject(message: ReceivedMessage, said: string | undefined): Promise<void> {
    const reason = checkReason(said);
    const refusal = this.#refusal(message, "reject");
    if (refusal !== undefined) throw refusal;
    if (message.state !== "taken") throw stateError(message, "reject");
    if (this.#rejectsExactly()) {
      message.rejection = { reason };
      return this.acknowledge(message);
    }
    return this.#rejectByCopy(message, reason);
  }

  /** Puts a copy into the message's place that is due later. */
  async #replace(message: ReceivedMessage, delayMs: number): Promise<void> {
    message.state = "rejecting";
    try {
      await this.#host.delay(message, delayMs);
    } finally {
      if (message.state === "rejecting") message.state = "taken";
    }
    await this.acknowledge(message);
  }

  /** What comes again later leaves the others as they are. */
  async #releaseLater(message: ReceivedMessage, delayMs: number): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { consumerId } = this.#host;
    const answer = sendRelease({ channel, consumerId, message }, delayMs);
    this.#acks.forget(message);
    this.#host.onRoom();
    this.#advance();
    await ignoringLoss(channel, answer);
  }

  async #rejectByCopy(message: ReceivedMessage, reason: string | undefined): Promise<void> {
    message.state = "rejecting";
    try {
      await this.#host.deadLetter(message, reason);
    } finally {
      // It may have become `lost` while the copy was on its way; then it comes again, is refused again,
      // and the copy's duplicate id keeps it single.
      if (message.state === "rejecting") message.state = "taken";
    }
    await this.acknowledge(message);
  }

  reply(message: ReceivedMessage, body: Body, options: SendOptions | undefined): Promise<void> {
    return this.#host.reply(message, body, options);
  }

  inflate(bytes: Uint8Array): Uint8Array {
    return inflateBody(this.#host.compression, bytes);
  }

  onAcknowledged(message: ReceivedMessage): void {
    message.state = "settled";
    this.#ackingCount -= 1;
    message.resolveAck?.();
    this.#advance();
  }

  onAckRefused(message: ReceivedMessage, error: EverholdError): void {
    message.state = "lost";
    this.#ackingCount -= 1;
    message.rejectAck?.(error);
    this.#advance();
  }

  onAckInDoubt(message: ReceivedMessage): void {
    this.#held.add(message);
  }

  #startAck(message: ReceivedMessage): void {
    if (this.#host.transacted) this.#host.onWork();
    message.state = "acking";
    this.#ackingCount += 1;
    if (!this.#isCurrent(message)) {
      // It waits among the held ones for its redelivery, or for the word that it does not come.
      this.#held.add(message);
      return;
    }
    this.#takenCount -= 1;
    this.#requestAck(message);
    this.#host.onRoom();
  }

  /** All acknowledgements of a turn leave together. */
  #requestAck(message: ReceivedMessage): void {
    if (message.rejection !== undefined) return this.#requestRejection(message, message.rejection);
    this.#acks.request(message);
    const channel = this.#channel;
    if (this.#ackFlushAsked || channel === undefined) return;
    this.#ackFlushAsked = true;
    channel.transport.atTurnEnd(() => {
      if (this.#channel !== channel) return;
      this.#ackFlushAsked = false;
      this.flushAcks();
      this.#advance();
    });
  }

  /** As an acknowledgement, so that after a broken connection it is found out what became of it. */
  #requestRejection(message: ReceivedMessage, { reason }: { reason: string | undefined }): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    if (!this.#isExact()) {
      // Another broker than the one that was asked first.
      message.rejection = undefined;
      this.#host.deadLetter(message, reason).then(
        () => this.#requestAck(message),
        (error: unknown) => this.onAckRefused(message, asEverholdError(error)),
      );
      return;
    }
    const { consumerId } = this.#host;
    message.ackSent = true;
    sendReject({ channel, consumerId, message }, reason).then(
      () => this.onAcknowledged(message),
      (error: unknown) => {
        if (channel.lostError !== undefined) this.onAckInDoubt(message);
        else this.onAckRefused(message, asEverholdError(error));
      },
    );
    this.#acks.forget(message);
  }

  /** Whether the broker has a packet for one delivery, and this consumer's deliveries are in no transaction. */
  #isExact(): boolean {
    return !this.#host.transacted && this.#host.settlesExactly();
  }

  #rejectsExactly(): boolean {
    return this.#isExact() && !this.#host.hasOwnDeadLetters;
  }

  /** Looks at the whole state and does what has become possible. */
  #advance(): void {
    const mayRollBack = this.#releasing && (this.#takenCount === 0 || this.#isExact());
    if (mayRollBack && this.#rollingBack === undefined) this.#rollBack().catch(this.#host.onError);
    if (this.#ackingCount === 0) for (const done of this.#ackWaiters.splice(0)) done();
    if (this.#settledWaiters.length === 0 || this.#openCount() > 0) return;
    for (const done of this.#settledWaiters.splice(0)) done();
  }

  #openCount(): number {
    return this.#takenCount + this.#ackingCount + this.#held.size;
  }

  #rollBack(): Promise<void> {
    this.#rollingBack ??= this.#isExact() ? this.#returnOnce() : this.#rollBackOnce();
    return this.#rollingBack;
  }

  /**
   * Gives the released messages back, each counted, and uncounted what nobody has taken, so that all of it
   * comes again in its order. What is in hand stays there. It takes a standstill: what was on its way when the
   * broker heard of it would look like what is delivered again.
   */
  async #returnOnce(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { consumerId } = this.#host;
    try {
      await channel.call(packets.sessionStop, {}, `release to ${this.queue}`, readNull);
    } catch {
      // The connection is gone, and the broker took everything back.
      return;
    }
    if (this.#channel !== channel) return;
    this.flushAcks();
    const untaken = this.#acks.cutUntaken();
    const first = untaken[0]?.messageId ?? this.#host.partlyCome();
    for (const message of untaken) message.state = "lost";
    if (first !== undefined) {
      this.#host.onReturned(untaken.length);
      channel.forgetConsumer(consumerId);
      const message = { messageId: first };
      this.#report(channel, sendGiveBack({ channel, consumerId, message }));
    }
    for (const { message, delayMs, done } of this.#returning.splice(0)) {
      const answer = sendRelease({ channel, consumerId, message }, delayMs);
      ignoringLoss(channel, answer).then(
        () => done.resolve(),
        (error: unknown) => done.reject(error),
      );
      this.#acks.forget(message);
    }
    this.#releasing = false;
    this.#rollingBack = undefined;
    channel.send(packets.sessionStart, {});
    this.#host.onResumed();
    this.#advance();
  }

  /** What nobody waits for. */
  #report(channel: Channel, answer: Promise<unknown>): void {
    ignoringLoss(channel, answer).catch(this.#host.onError);
  }

  /**
   * Gives everything that is not settled back to the queue. The first one not settled
   * counts as delivered; those behind it, which nobody saw, do not.
   */
  async #rollBackOnce(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    const attempt = `release to ${this.queue}`;
    this.flushAcks();
    try {
      await channel.call(packets.sessionStop, {}, attempt, readNull);
      this.flushAcks();
      this.#host.onReturned();
      this.#acks.clear();
      const value = { considerLastMessageAsDelivered: true };
      await channel.call(packets.rollback, value, attempt, readNull);
    } catch (cause) {
      // On a lost connection, or of a closed session, the broker has taken everything back. When it
      // refuses, nobody knows any more who has what, and only a fresh connection can tell.
      if (this.#channel !== channel) return;
      channel.transport.fail(
        new ConnectionError("EVH_DISCONNECTED", `Cannot ${attempt}: beginning anew`, { cause }),
      );
      return;
    }
    if (this.#channel !== channel) return;
    this.#releasing = false;
    this.#rollingBack = undefined;
    channel.send(packets.sessionStart, {});
    this.#host.onResumed();
    this.#advance();
  }

  #isCurrent(message: ReceivedMessage): boolean {
    return this.#channel !== undefined && message.incarnation === this.#incarnation;
  }

  #refusal(message: ReceivedMessage, verb: string): EverholdError | undefined {
    if (message.state === "lost") return lostError(message, verb);
    if (message.state === "released") return stateError(message, verb);
    if (!this.#ended) return undefined;
    return new ClosedError(
      "EVH_CLOSED",
      `Cannot ${verb} the message ${message.messageId}: its consumer is closed`,
    );
  }
}

/** A released message whose return somebody may wait for. */
interface Returning {
  readonly message: ReceivedMessage;
  readonly delayMs: number;
  readonly done: Deferred<void>;
}

/** The delay in milliseconds; −1 for none said. @throws RangeError */
function checkDelay(delay: number | undefined): number {
  if (delay === undefined) return unsaidDelay;
  if (Number.isInteger(delay) && delay >= 0 && delay <= limits.releaseDelayMsMax) return delay;
  throw new RangeError(
    `delay is ${delay}, expected a whole number from 0 to ${limits.releaseDelayMsMax}`,
  );
}

/** Stack traces are long; what matters of them stands at their beginning. @throws TypeError */
function checkReason(reason: string | undefined): string | undefined {
  if (reason === undefined) return undefined;
  if (typeof reason === "string") return reason.slice(0, limits.rejectReasonCharsMax);
  throw new TypeError(`Cannot reject: found a reason of type ${typeof reason}, expected a string`);
}

/** What is given back when the connection breaks is back, whether the broker heard of it or not. */
async function ignoringLoss(channel: Channel, answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (channel.lostError === undefined) throw error;
  }
}

function asEverholdError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  return new EverholdError("EVH_REJECTED", "Cannot settle the message", { cause: error });
}

function isInHand({ state }: ReceivedMessage): boolean {
  return state === "taken" || state === "acking" || state === "rejecting";
}
