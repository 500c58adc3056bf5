import { assert, ClosedError, EverholdError, ProtocolError } from "@everhold/base";
import type { WallClock } from "@everhold/env";
import {
  decodePacket,
  i64At,
  MessageScan,
  packets,
  scanMessage,
  writeFlowToken,
  FlowTokenFrame,
  type PacketOf,
  type ReceiveFrame,
} from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import { Deque } from "../deque.ts";
import type { Body } from "../message/body.ts";
import type { SendOptions } from "../message/send-options.ts";
import type { Prefetch } from "../options.ts";
import { AckQueue, type AckListener } from "./ack-queue.ts";
import { ConsumerCredit } from "./consumer-credit.ts";
import { HeldMessages } from "./held-messages.ts";
import { ReceivedMessage, type Settler } from "./received-message.ts";

/** What an intake consumes, and how. */
export interface IntakeSettings {
  readonly consumerId: number;
  readonly queue: string;
  readonly filter: string | null;
  readonly browse: boolean;
  readonly priority: number;
  /** `undefined`: the window that the broker advises, else 1 MiB. */
  readonly prefetch: Prefetch | undefined;
  /** Whether deliveries must be settled: not when browsing, nor with `pre`. */
  readonly settles: boolean;
  /** Whether acknowledgements belong to a transaction. */
  readonly transacted: boolean;
}

/** What an intake needs of its session. */
export interface IntakeHost {
  readonly wallClock: WallClock;
  /** Makes sure that the queue exists. @throws EverholdError the broker's refusal */
  readonly prepare: (channel: Channel) => Promise<void>;
  /** Sends a copy of a refused message to the dead-letter address. */
  readonly deadLetter: (message: ReceivedMessage, reason: string | undefined) => Promise<void>;
  readonly reply: (
    message: ReceivedMessage,
    body: Body,
    options: SendOptions | undefined,
  ) => Promise<void>;
  /** Notes work of the transaction. @throws EverholdError EVH_TRANSACTION_ROLLED_BACK */
  readonly onWork: () => void;
  readonly onError: (error: unknown) => void;
}

/** Somebody who waits for a message. */
export interface Taker {
  onMessage(message: ReceivedMessage): void;
  /** No more will come; `error` when that is not what the application asked for. */
  onEnd(error: unknown): void;
}

const defaultWindowBytes = 1024 * 1024;
/** The body's length on the wire has a frame header's size added to it (core.md 4.1). */
const bodyLengthOffset = 13;

const flowToken = new FlowTokenFrame();
const scan = new MessageScan();

/**
 * One consumer on the broker, over all its lives: what it was delivered and nobody has taken, what is
 * taken and not settled, and the credit for more.
 *
 *     detached ──attach()──> attached ──connection lost──> detached … ──end()──> ended
 */
export class Intake implements Settler, AckListener {
  readonly settings: IntakeSettings;
  readonly #host: IntakeHost;
  readonly #buffer = new Deque<ReceivedMessage>();
  readonly #takers = new Deque<Taker>();
  readonly #acks = new AckQueue(this);
  readonly #held = new HeldMessages();
  readonly #credit: ConsumerCredit;
  readonly #markers = new Map<number, () => void>();
  readonly #settledWaiters: (() => void)[] = [];
  readonly #ackWaiters: (() => void)[] = [];
  #channel: Channel | undefined;
  #incarnation = 0;
  /** Messages of this life that repeat none of an earlier one. */
  #freshCount = 0;
  #bufferedBytes = 0;
  /** Deliveries in the application's hands that nobody has decided about. */
  #takenCount = 0;
  /** Acknowledgements asked for and not yet answered, of all lives. */
  #ackingCount = 0;
  #nextMarker = 0;
  #ackFlushAsked = false;
  /** Whether a message was released, and the broker has not taken it back yet. */
  #releasing = false;
  #rollingBack: Promise<void> | undefined;
  #paused = false;
  #ended = false;
  #endError: unknown;

  constructor(settings: IntakeSettings, host: IntakeHost) {
    this.settings = settings;
    this.#host = host;
    this.#credit = new ConsumerCredit(settings.prefetch ?? { bytes: defaultWindowBytes });
  }

  get queue(): string {
    return this.settings.queue;
  }

  /** Whether no more messages will be handed out. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Which life of the consumer this is; grows with each reconnect. */
  get incarnation(): number {
    return this.#incarnation;
  }

  /** Whether nothing that was delivered waits to be taken. */
  get isEmpty(): boolean {
    return this.#buffer.length === 0;
  }

  /** Messages in the application's hands that it has not settled. */
  get takenCount(): number {
    return this.#takenCount;
  }

  /** Opens the consumer on a channel whose session is not started, or started before. */
  async attach(channel: Channel): Promise<void> {
    await this.#host.prepare(channel);
    const { consumerId, filter, browse, priority } = this.settings;
    const description = await channel.call(
      packets.createConsumer,
      {
        consumerId,
        queueName: this.queue,
        filter,
        browseOnly: browse,
        requiresResponse: true,
        priority,
      },
      `consume from ${this.queue}`,
      readQueueDescription,
    );
    if (this.#ended) return;
    this.#channel = channel;
    this.#incarnation += 1;
    this.#freshCount = 0;
    const advised = description.defaultConsumerWindowSize ?? defaultWindowBytes;
    this.#credit.reset(
      this.settings.prefetch ?? { bytes: advised > 0 ? advised : defaultWindowBytes },
    );
    this.#replenish();
  }

  /** The session is started on this life: asks which of the held messages do not come again. */
  onStarted(): void {
    if (this.#held.size > 0) this.#askForHeld();
  }

  /** The connection is gone: the broker takes everything back. */
  detach(): void {
    this.#channel = undefined;
    this.#buffer.drain();
    this.#bufferedBytes = 0;
    this.#releasing = false;
    this.#rollingBack = undefined;
    this.#ackFlushAsked = false;
    for (const message of this.#acks.clear()) {
      if (
        message.state === "taken" ||
        message.state === "acking" ||
        message.state === "rejecting"
      ) {
        this.#held.add(message);
      }
    }
    this.#takenCount = 0;
    for (const done of [...this.#markers.values()]) done();
    this.#markers.clear();
    if (this.settings.transacted) this.#loseHeld();
    this.#checkSettled();
  }

  /** The next message, if one is here and may be handed out. */
  take(): ReceivedMessage | undefined {
    if (this.#paused || this.#releasing || this.#ended) return undefined;
    for (;;) {
      const message = this.#buffer.shift();
      if (message === undefined) return undefined;
      this.#bufferedBytes -= message.frameBytes;
      if (this.#dropExpired(message)) continue;
      this.#handOut(message);
      this.#replenish();
      return message;
    }
  }

  /** Gives `taker` the next message, now or later. */
  wait(taker: Taker): void {
    if (this.#ended) return taker.onEnd(this.#endError);
    if (this.#paused) return taker.onEnd(undefined);
    const message = this.#takers.length === 0 ? this.take() : undefined;
    if (message !== undefined) taker.onMessage(message);
    else this.#takers.push(taker);
  }

  /** `taker` waits no more. */
  cancel(taker: Taker): void {
    this.#takers.remove(taker);
  }

  /**
   * Settles when the broker has delivered all that it could when it was asked (core.md 5.5), or when
   * nobody can tell any more.
   */
  caughtUp(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined || this.#ended) return Promise.resolve();
    return new Promise((resolve) => this.#askForMarker(channel, resolve));
  }

  /** Hands out nothing more; who waits is told that this is the end. */
  pause(): void {
    this.#paused = true;
    for (const taker of this.#takers.drain()) taker.onEnd(undefined);
  }

  /** Settles when nothing is in the application's hands and no acknowledgement is on its way. */
  settled(): Promise<void> {
    if (this.#takenCount + this.#ackingCount + this.#held.size === 0) return Promise.resolve();
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
    this.#acks.flush(channel, this.settings.consumerId, !this.settings.transacted);
  }

  /** Ends it for good. Whoever waits for a message, or for an acknowledgement, gets `error`. */
  end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endError = error;
    this.detach();
    for (const taker of this.#takers.drain()) taker.onEnd(error);
    this.#loseHeld();
    this.#checkSettled();
  }

  /** Rolls released messages back before the consumer closes, whatever else is in hand. */
  async finishRelease(): Promise<void> {
    if (this.#releasing) await this.#rollBack();
  }

  /** Everything goes back: the session's transaction was rolled back. */
  returnAll(): void {
    for (const message of this.#acks.clear()) {
      if (message.state !== "settled") message.state = "lost";
    }
    this.#takenCount = 0;
    this.#dropBuffer();
    this.#replenish();
    this.#checkSettled();
  }

  /** A message of this consumer arrived. */
  onMessage(frame: ReceiveFrame, bytes: Uint8Array, view: DataView, frameBytes: number): void {
    if (frame.deliveryCount === 0 && this.#takeMarker(frame, view)) return;
    this.#credit.spend(frameBytes);
    const messageId = messageIdAt(view, frame.messageStart, frame.messageEnd);
    const held = this.#held.takeRedelivered(messageId, frame.deliveryCount, bytes, frame);
    if (held !== undefined) return this.#onRedelivered(held);
    this.#freshCount += 1;
    const message = new ReceivedMessage(this, bytes.slice(frame.messageStart, frame.messageEnd), {
      messageId,
      deliveryCount: frame.deliveryCount,
      frameBytes,
      incarnation: this.#incarnation,
    });
    if (this.settings.settles) this.#acks.add(message);
    this.#buffer.push(message);
    this.#bufferedBytes += frameBytes;
    this.#feed();
    this.#replenish();
  }

  /** A part of a large message took credit. */
  onPart(frameBytes: number): void {
    this.#credit.spend(frameBytes);
    this.#replenish();
  }

  acknowledge(message: ReceivedMessage): Promise<void> {
    if (message.ackPromise !== undefined) return message.ackPromise;
    const refusal = this.#settleRefusal(message, "acknowledge");
    if (refusal !== undefined) return Promise.reject(refusal);
    if (message.state === "settled") return Promise.resolve();
    const promise = new Promise<void>((resolve, reject) => {
      message.resolveAck = resolve;
      message.rejectAck = reject;
    });
    message.ackPromise = promise;
    this.#startAck(message);
    return promise;
  }

  /** As {@link acknowledge}, for those who do not wait: failures go to the connection's events. */
  acknowledgeQuietly(message: ReceivedMessage): void {
    if (message.state !== "taken") return;
    message.rejectAck = this.#host.onError;
    this.#startAck(message);
  }

  release(message: ReceivedMessage): Promise<void> {
    if (message.state === "released" || message.state === "lost") return Promise.resolve();
    if (this.settings.transacted) return Promise.reject(transactedError("release"));
    const refusal = this.#settleRefusal(message, "release");
    if (refusal !== undefined) return Promise.reject(refusal);
    if (message.state !== "taken") return Promise.reject(stateError("release", message));
    message.state = "released";
    if (message.incarnation !== this.#incarnation || this.#channel === undefined) {
      // The broker took it back when the connection broke.
      this.#held.remove(message);
      this.#checkSettled();
      return Promise.resolve();
    }
    this.#takenCount -= 1;
    this.#releasing = true;
    this.#checkSettled();
    return Promise.resolve();
  }

  async reject(message: ReceivedMessage, reason: string | undefined): Promise<void> {
    const refusal = this.#settleRefusal(message, "reject");
    if (refusal !== undefined) throw refusal;
    if (message.state !== "taken") throw stateError("reject", message);
    message.state = "rejecting";
    try {
      await this.#host.deadLetter(message, reason);
    } catch (error) {
      if (message.state === "rejecting") message.state = "taken";
      throw error;
    }
    // The state may have become `lost` while the copy was on its way; then the message comes again, is
    // refused again, and the copy's duplicate id keeps it single.
    if (message.state === "rejecting") message.state = "taken";
    await this.acknowledge(message);
  }

  reply(message: ReceivedMessage, body: Body, options: SendOptions | undefined): Promise<void> {
    return this.#host.reply(message, body, options);
  }

  onAcknowledged(message: ReceivedMessage): void {
    message.state = "settled";
    this.#ackingCount -= 1;
    message.resolveAck?.();
    this.#checkSettled();
  }

  onAckRefused(message: ReceivedMessage, error: EverholdError): void {
    message.state = "lost";
    this.#ackingCount -= 1;
    message.rejectAck?.(error);
    this.#checkSettled();
  }

  onAckInDoubt(message: ReceivedMessage): void {
    this.#held.add(message);
  }

  #handOut(message: ReceivedMessage): void {
    if (!this.settings.settles) {
      message.state = "settled";
      return;
    }
    message.state = "taken";
    this.#takenCount += 1;
  }

  #feed(): void {
    while (this.#takers.length > 0) {
      const message = this.take();
      if (message === undefined) return;
      this.#takers.shift()?.onMessage(message);
    }
  }

  #startAck(message: ReceivedMessage): void {
    if (this.settings.transacted) this.#host.onWork();
    message.state = "acking";
    this.#ackingCount += 1;
    if (message.incarnation !== this.#incarnation || this.#channel === undefined) {
      // It waits among the held ones for its redelivery, or for the word that it does not come.
      this.#held.add(message);
      return;
    }
    this.#takenCount -= 1;
    this.#acks.request(message);
    this.#askForAckFlush(this.#channel);
    this.#replenish();
  }

  #askForAckFlush(channel: Channel): void {
    if (this.#ackFlushAsked) return;
    this.#ackFlushAsked = true;
    channel.transport.atTurnEnd(() => {
      this.#ackFlushAsked = false;
      if (this.#channel === channel) this.flushAcks();
      this.#checkSettled();
    });
  }

  /** A message that the application holds came again: it is the same one, under a new delivery. */
  #onRedelivered(message: ReceivedMessage): void {
    message.incarnation = this.#incarnation;
    message.ackProgress = "none";
    this.#acks.add(message);
    const channel = this.#channel;
    if (message.state === "acking" && channel !== undefined) {
      this.#acks.request(message);
      this.#askForAckFlush(channel);
    } else {
      this.#takenCount += 1;
    }
    this.#replenish();
  }

  /** After the marker nothing older can come: what has not come again is settled, or somebody else's. */
  #askForHeld(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { granted, spent } = this.#credit;
    this.#askForMarker(channel, () => {
      if (this.#channel !== channel) return;
      // The broker may have run out of credit before it came to the held ones, which are the first in
      // the queue. It has not if credit was left, or if messages came that stand behind them.
      const ranOut = this.#credit.spent >= granted && this.#freshCount === 0;
      if (ranOut && this.#credit.spent > spent && this.#held.size > 0) return this.#askForHeld();
      this.#loseHeld();
      this.#checkSettled();
    });
  }

  #loseHeld(): void {
    for (const message of this.#held.drain()) {
      const wasAcking = message.state === "acking";
      message.state = "lost";
      if (!wasAcking) continue;
      this.#ackingCount -= 1;
      message.rejectAck?.(lostAckError(message));
    }
  }

  #askForMarker(channel: Channel, done: () => void): void {
    const sequence = this.#nextMarker;
    this.#nextMarker += 1;
    this.#markers.set(sequence, done);
    const { consumerId } = this.settings;
    channel.send(packets.forceConsumerDelivery, { consumerId, sequence });
  }

  #takeMarker(frame: ReceiveFrame, view: DataView): boolean {
    scanMessage(view, frame.messageStart, frame.messageEnd, scan);
    if (scan.forcedDeliverySequence < 0) return false;
    const done = this.#markers.get(scan.forcedDeliverySequence);
    this.#markers.delete(scan.forcedDeliverySequence);
    done?.();
    return true;
  }

  #dropExpired(message: ReceivedMessage): boolean {
    const expiresAtMs = message.expirationMs();
    if (expiresAtMs === 0 || this.#host.wallClock.nowMs() < expiresAtMs) return false;
    message.state = "settled";
    if (!this.settings.settles) return true;
    const { consumerId } = this.settings;
    this.#channel?.send(packets.expired, { consumerId, messageId: message.messageId });
    return true;
  }

  #dropBuffer(): void {
    this.#buffer.drain();
    this.#bufferedBytes = 0;
  }

  #replenish(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    const messageCount = this.#buffer.length + this.#takenCount;
    const credits = this.#credit.due({ messageCount, bufferedBytes: this.#bufferedBytes });
    if (credits === 0) return;
    flowToken.channelId = channel.id;
    flowToken.consumerId = this.settings.consumerId;
    flowToken.credits = credits;
    writeFlowToken(channel.transport.output(), flowToken);
  }

  #checkSettled(): void {
    if (this.#releasing && this.#takenCount === 0 && this.#rollingBack === undefined) {
      this.#rollBack().catch(this.#host.onError);
    }
    if (this.#ackingCount === 0) for (const done of this.#ackWaiters.splice(0)) done();
    if (this.#settledWaiters.length === 0) return;
    if (this.#takenCount + this.#ackingCount + this.#held.size > 0) return;
    for (const done of this.#settledWaiters.splice(0)) done();
  }

  #rollBack(): Promise<void> {
    this.#rollingBack ??= this.#rollBackOnce();
    return this.#rollingBack;
  }

  /**
   * Gives everything that is not settled back to the queue (core.md 5.9). The first one not settled
   * counts as delivered; those behind it, which nobody saw, do not.
   */
  async #rollBackOnce(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.flushAcks();
    try {
      await channel.call(packets.sessionStop, {}, `release to ${this.queue}`, readNull);
      this.flushAcks();
      this.#dropBuffer();
      this.#acks.clear();
      const value = { considerLastMessageAsDelivered: true };
      await channel.call(packets.rollback, value, `release to ${this.queue}`, readNull);
    } catch (error) {
      // Lost: then the broker has taken everything back.
      if (channel.lostError !== undefined) return;
      throw error;
    }
    assert(this.#channel === channel, "a channel that was not lost is the current one");
    this.#releasing = false;
    this.#rollingBack = undefined;
    channel.send(packets.sessionStart, {});
    this.#replenish();
    this.#feed();
    this.#checkSettled();
  }

  #settleRefusal(message: ReceivedMessage, verb: string): EverholdError | undefined {
    if (message.state === "lost") return lostError(message, verb);
    if (message.state === "released") return stateError(verb, message);
    if (this.#ended && message.state !== "settled") {
      return new ClosedError(
        "EVH_CLOSED",
        `Cannot ${verb} the message ${message.messageId}: its consumer is closed`,
      );
    }
    return undefined;
  }
}

/** Reads the answer to CREATECONSUMER and to QUEUEQUERY. */
export function readQueueDescription(
  id: number,
  reader: Parameters<typeof decodePacket>[1],
  version: number,
): PacketOf<typeof packets.queueQueryResponseV3> | undefined {
  if (id !== packets.queueQueryResponseV3.id) return undefined;
  return decodePacket(packets.queueQueryResponseV3, reader, version);
}

function messageIdAt(view: DataView, start: number, end: number): number {
  const offset = end - start < 4 ? -1 : start + 4 + view.getInt32(start) - bodyLengthOffset;
  if (offset < start + 4 || offset + 8 > end) {
    throw new ProtocolError(
      "EVH_PROTOCOL",
      `Cannot read a message: found a body that does not fit its ${end - start} bytes`,
    );
  }
  return i64At(view, offset);
}

function lostAckError(message: ReceivedMessage): EverholdError {
  if (!message.ackSent) return lostError(message, "acknowledge");
  return new EverholdError(
    "EVH_UNBLOCKED",
    `Cannot tell whether the message ${message.messageId} was acknowledged: the connection broke ` +
      "before the answer, and it has not come again",
    { outcome: "unknown" },
  );
}

function lostError(message: ReceivedMessage, verb: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} the message ${message.messageId}: the broker took it back, and may deliver it again`,
  );
}

function stateError(verb: string, message: ReceivedMessage): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} the message ${message.messageId}: found it ${message.state}`,
  );
}

function transactedError(verb: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot ${verb} one message of a transaction: roll the session back instead`,
  );
}
