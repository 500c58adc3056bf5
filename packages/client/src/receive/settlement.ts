import type { EverholdError } from "@everhold/base";
import { resumeKinds, resumeResults, type ReceiveFrame } from "@everhold/wire";
import type { Tracing, WaitOptions } from "@everhold/env";
import type { Channel } from "../core/channel.ts";
import type { Body } from "../message/body.ts";
import type { SendOptions } from "../message/send-options.ts";
import { AckQueue, type AckListener } from "./ack-queue.ts";
import { HeldMessages } from "./held-messages.ts";
import { inflateBody } from "./inflate-body.ts";
import type { ReleaseOptions } from "./message.ts";
import type { ReceivedMessage, Settler } from "./received-message.ts";
import { Releases } from "./releases.ts";
import { SeenIds } from "./seen-ids.ts";
import { checkDelay, checkReason } from "./settle-arguments.ts";
import {
  asSettleError,
  closedError,
  lostAckError,
  lostError,
  overdueAckError,
  overdueError,
  stateError,
  transactedError,
} from "./settle-errors.ts";
import { ignoringLoss, sendQuietRelease, sendReject, sendRelease } from "./settle-packets.ts";
import type { SettlementHost } from "./settlement-host.ts";

/** A message of an earlier life, and what is to become of it: one of `resumeKinds`. */
export interface UnsettledMessage {
  readonly messageId: number;
  readonly kind: number;
  /** `undefined` where nobody waits for what becomes of it. */
  readonly message: ReceivedMessage | undefined;
}

/**
 * What the application holds of one consumer's deliveries, over all its lives, and how it ends:
 * acknowledged, released, rejected, or lost. The states are drawn at {@link ReceivedMessage}.
 *
 * After a reconnect the held messages are recognised when they come again: the one in hand stays the
 * one in hand, and an acknowledgement without an answer is sent again for the new delivery. How released
 * messages go back is in {@link Releases}.
 */
export class Settlement implements Settler, AckListener {
  readonly #host: SettlementHost;
  readonly #acks = new AckQueue(this);
  readonly #held = new HeldMessages();
  readonly #releases: Releases;
  readonly #settledWaiters: (() => void)[] = [];
  readonly #ackWaiters: (() => void)[] = [];
  #channel: Channel | undefined;
  #incarnation = 0;
  /** Messages in hand that the broker keeps for the life that is about to begin. */
  readonly #kept = new Set<ReceivedMessage>();
  readonly #seenIds = new SeenIds();
  /** Released messages of which the broker has been told, and has not answered. */
  readonly #leaving = new Set<ReceivedMessage>();
  /** Messages that the broker was asked to reject, and has not answered. */
  readonly #rejecting = new Set<ReceivedMessage>();
  /** Deliveries of this life in the application's hands that nobody has decided about. */
  #takenCount = 0;
  /** Acknowledgements asked for and not yet answered, of all lives. */
  #ackingCount = 0;
  #ackFlushAsked = false;
  #ended = false;

  constructor(host: SettlementHost) {
    this.#host = host;
    this.#releases = new Releases({
      consumerId: host.consumerId,
      queue: host.queue,
      acks: this.#acks,
      channel: () => this.#channel,
      isExact: () => this.#isExact(),
      flushAcks: () => this.flushAcks(),
      noteLeaving: (message, answer) => this.noteLeaving(message, answer),
      forgetAll: () => this.#forgetAll(),
      onReturned: host.onReturned,
      partlyCome: host.partlyCome,
      onResumed: host.onResumed,
      onDone: () => this.#advance(),
      onError: host.onError,
    });
  }

  get queue(): string {
    return this.#host.queue;
  }

  get tracing(): Tracing | undefined {
    return this.#host.tracing;
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
    return this.#releases.isUnderWay;
  }

  /** A new life begins. */
  attach(channel: Channel): void {
    this.#channel = channel;
    this.#incarnation += 1;
    this.#seenIds.onAttached();
    for (const message of this.#kept) {
      this.#held.remove(message);
      this.#takeBack(message);
    }
    this.#kept.clear();
  }

  /** What the broker is to be told of the last life, so that no doubt is left: in the order of the deliveries. */
  *unsettled(): IterableIterator<UnsettledMessage> {
    for (const message of this.#held.all()) {
      // A broker has said that it may be with somebody else, who may have settled it since: it is not claimed again.
      if (message.isElsewhere) continue;
      const kind = kindOf(message);
      // The broker may do it, and die before it has said so.
      if (kind !== resumeKinds.hold) message.ackSent = true;
      yield { messageId: message.messageId, kind, message };
    }
    for (const messageId of this.#seenIds.untold) {
      yield { messageId, kind: resumeKinds.giveBack, message: undefined };
    }
  }

  /** Ids of what the application has had and not settled, and of what the broker may not know to be settled. */
  *seenIds(): IterableIterator<number> {
    for (const { messageId } of this.#held.all()) yield messageId;
    for (const message of this.#acks.deliveries()) if (isInHand(message)) yield message.messageId;
    yield* this.#seenIds.unknown();
  }

  /** What became of one of them. */
  onResumed({ message }: UnsettledMessage, result: number): void {
    if (message === undefined) return;
    if (result === resumeResults.held) {
      this.#kept.add(message);
      return;
    }
    if (!this.#held.has(message)) return;
    if (result === resumeResults.elsewhere) {
      // It may come again before the next marker, and is recognised then. No acknowledgement took effect; a
      // rejection may have, for that moves it.
      if (message.rejection === undefined) message.ackSent = false;
      message.isElsewhere = true;
      return;
    }
    if (result === resumeResults.unknown) {
      this.#held.remove(message);
      this.#lose(message);
      this.#advance();
      return;
    }
    this.#held.remove(message);
    // One that is gone, and that nobody has asked to settle, was purged or has expired; one that was somebody else's
    // may have been settled there.
    const isOurs = message.ackSent && !message.isElsewhere;
    if (result === resumeResults.applied || isOurs) this.onAcknowledged(message);
    else this.#lose(message);
    this.#advance();
  }

  /** The consumer could not be opened at once: the broker does not keep anything for it any longer. */
  onAttachRefused(): void {
    this.#kept.clear();
  }

  /** The connection is gone: the broker took everything back. */
  detach(): void {
    this.#channel = undefined;
    this.#releases.detach();
    this.#ackFlushAsked = false;
    this.#kept.clear();
    for (const message of this.#acks.clear()) {
      const isSeen = isInHand(message);
      if (isSeen) this.#held.add(message);
      // Of one whose body was cut off in the midst of reading, half was seen.
      const isGivenUp = message.state === "released" || message.state === "lost";
      if (isGivenUp || (isSeen && this.#host.transacted)) {
        this.#seenIds.noteUntold(message.messageId);
      }
    }
    for (const { messageId } of this.#leaving) this.#seenIds.noteUntold(messageId);
    this.#leaving.clear();
    this.#seenIds.onDetached();
    this.#takenCount = 0;
    if (this.#host.transacted) this.loseHeld();
    this.#advance();
  }

  /** Whoever waits for an acknowledgement has waited long enough. What became of it is found out all the same. */
  releaseWaiting(error: EverholdError): void {
    const deliveries = [...this.#held.all(), ...this.#acks.deliveries(), ...this.#rejecting];
    for (const message of deliveries) {
      if (message.state === "acking") this.onAckOverdue(message, error);
    }
  }

  onAckOverdue(message: ReceivedMessage, error: EverholdError): void {
    message.rejectAck?.(overdueAckError(message, error));
    // Whoever asks again waits for what becomes of it.
    message.ackPromise = undefined;
    message.resolveAck = undefined;
    message.rejectAck = undefined;
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

  /** The count of a delivery: at least 2 where the application has had it, of which not every broker knows. */
  countOf(messageId: number, deliveryCount: number): number {
    return this.#seenIds.countOf(messageId, deliveryCount);
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
    this.#takeBack(message);
    return true;
  }

  /** The held messages do not come again: they are settled, or somebody else's. */
  loseHeld(): void {
    for (const message of this.#held.drain()) this.#lose(message);
    this.#advance();
  }

  /**
   * Acknowledges in the transaction, which is rolled back right after, what the application has in hand: only
   * so does it come again counted and marked. What nobody has taken stays as it is.
   */
  acknowledgeTaken(): void {
    for (const message of this.#acks.deliveries()) {
      if (message.state !== "taken" && message.state !== "rejecting") continue;
      message.state = "lost";
      this.#acks.request(message);
    }
    this.flushAcks();
  }

  /** Everything went back to the queue: the transaction was rolled back. */
  returnAll(): void {
    for (const message of this.#acks.clear())
      if (message.state !== "settled") message.state = "lost";
    this.#takenCount = 0;
    this.#seenIds.forgetTransaction();
    this.#advance();
  }

  /** What was acknowledged until now takes effect with the commit that leaves. */
  onCommitting(): void {
    this.#seenIds.onCommitting();
  }

  /** The commit took effect. */
  onCommitted(): void {
    this.#seenIds.onCommitted();
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
    if (this.isReleasing) await this.#releases.finish();
    const channel = this.#channel;
    // In a transaction as well: what is not acknowledged belongs to none.
    if (channel === undefined || !this.#host.settlesExactly()) return;
    this.flushAcks();
    const { consumerId } = this.#host;
    for (const message of this.#acks.deliveries()) {
      if (message.state !== "taken") continue;
      message.state = "lost";
      sendQuietRelease({ channel, consumerId, message });
    }
  }

  within(wait: WaitOptions, attempt: string, begin: () => Promise<void>): Promise<void> {
    return this.#host.within(wait, attempt, begin);
  }

  acknowledge(message: ReceivedMessage): Promise<void> {
    if (message.ackPromise !== undefined) return message.ackPromise;
    if (message.state === "settled") return Promise.resolve();
    const refusal = this.#refusal(message, "acknowledge") ?? this.#overdue(message, "acknowledge");
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
      if (this.#channel === undefined) this.#seenIds.noteUntold(message.messageId);
      else this.#seenIds.noteReturned(message.messageId);
      this.#advance();
      return;
    }
    const overdue = this.#overdue(message, "release");
    if (overdue !== undefined) throw overdue;
    if (delayMs > 0 && !this.#isExact()) return this.#replace(message, delayMs);
    message.state = "released";
    this.#takenCount -= 1;
    return this.#host.unlessOverdue(
      `release the message ${message.messageId}`,
      delayMs > 0 ? this.#releaseLater(message, delayMs) : this.#releaseNow(message, delayMs),
    );
  }

  #releaseNow(message: ReceivedMessage, delayMs: number): Promise<void> {
    const back = this.#releases.add(message, delayMs);
    this.#advance();
    return back;
  }

  async reject(message: ReceivedMessage, said: string | undefined): Promise<void> {
    const reason = checkReason(said);
    const refusal = this.#refusal(message, "reject") ?? this.#overdue(message, "reject");
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
    const answer = this.noteLeaving(
      message,
      sendRelease({ channel, consumerId, message }, delayMs),
    );
    this.#acks.forget(message);
    this.#host.onRoom();
    this.#advance();
    await ignoringLoss(channel, answer);
  }

  /** Notes that the broker takes a message back, until it says so. */
  noteLeaving<T>(message: ReceivedMessage, answer: Promise<T>): Promise<T> {
    this.#leaving.add(message);
    const done = (): void => void this.#leaving.delete(message);
    answer.then(done, done);
    return answer;
  }

  /** All of this life goes back, of which the broker may count no more than the first as delivered. */
  #forgetAll(): void {
    for (const message of this.#acks.clear()) {
      const { state } = message;
      const isSeen = state !== "buffered" && state !== "acking" && state !== "settled";
      if (isSeen) this.#seenIds.noteReturned(message.messageId);
    }
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
    if (this.#host.transacted) this.#seenIds.noteAcknowledged(message.messageId);
    // It goes back with its transaction.
    if (message.state === "lost") return;
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
    // The end may have been faster than the word that the connection is gone.
    if (this.#ended) this.loseHeld();
  }

  /** A message in hand is a delivery of this life. */
  #takeBack(message: ReceivedMessage): void {
    message.incarnation = this.#incarnation;
    message.ackProgress = "none";
    message.isElsewhere = false;
    this.#acks.add(message);
    if (message.state === "acking") this.#requestAck(message);
    else if (message.state !== "released") this.#takenCount += 1;
    else if (this.#channel !== undefined) {
      // It was released while the broker was asked to keep it.
      sendQuietRelease({ channel: this.#channel, consumerId: this.#host.consumerId, message });
      this.#acks.forget(message);
    }
  }

  #lose(message: ReceivedMessage): void {
    const wasAcking = message.state === "acking";
    message.state = "lost";
    if (!wasAcking) return;
    this.#ackingCount -= 1;
    message.rejectAck?.(lostAckError(message));
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
    channel.atTurnEnd(() => {
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
      // Another broker than the one that was asked first. When the message comes again meanwhile, it is
      // that delivery which is settled, by the copy that is made then.
      const isLeft = (): boolean => this.#channel !== channel || !channel.isUp;
      this.#host.deadLetter(message, reason).then(
        () => {
          if (isLeft()) return;
          message.rejection = undefined;
          this.#requestAck(message);
        },
        (error: unknown) => {
          if (!isLeft()) this.onAckRefused(message, asSettleError(error));
        },
      );
      return;
    }
    const { consumerId } = this.#host;
    if (channel.isUp) message.ackSent = true;
    this.#rejecting.add(message);
    sendReject({ channel, consumerId, message }, reason).then(
      () => {
        this.#rejecting.delete(message);
        this.onAcknowledged(message);
      },
      (error: unknown) => {
        this.#rejecting.delete(message);
        if (channel.lostError !== undefined) this.onAckInDoubt(message);
        else this.onAckRefused(message, asSettleError(error));
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
    this.#releases.advance(this.#takenCount);
    if (this.#ackingCount === 0) for (const done of this.#ackWaiters.splice(0)) done();
    if (this.#settledWaiters.length === 0 || this.#openCount() > 0) return;
    for (const done of this.#settledWaiters.splice(0)) done();
  }

  #openCount(): number {
    return this.#takenCount + this.#ackingCount + this.#held.size;
  }

  #isCurrent(message: ReceivedMessage): boolean {
    return this.#channel !== undefined && message.incarnation === this.#incarnation;
  }

  /** Why nothing that waits for the connection may begin now. */
  #overdue(message: ReceivedMessage, verb: string): EverholdError | undefined {
    const cause = this.#host.overdueError();
    return cause === undefined ? undefined : overdueError(message, verb, cause);
  }

  #refusal(message: ReceivedMessage, verb: string): EverholdError | undefined {
    if (message.state === "lost") return lostError(message, verb);
    if (message.state === "released") return stateError(message, verb);
    return this.#ended ? closedError(message, verb) : undefined;
  }
}

function kindOf({ state, rejection }: ReceivedMessage): number {
  if (state !== "acking") return resumeKinds.hold;
  return rejection === undefined ? resumeKinds.acknowledge : resumeKinds.reject;
}

function isInHand({ state }: ReceivedMessage): boolean {
  return state === "taken" || state === "acking" || state === "rejecting";
}
