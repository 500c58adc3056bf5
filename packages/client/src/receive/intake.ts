import { ConnectionError, EverholdError, ProtocolError } from "@everhold/base";
import type { WallClock } from "@everhold/env";
import {
  decodePacket,
  FlowTokenFrame,
  i64At,
  packets,
  writeFlowToken,
  type ByteReader,
  type PacketOf,
  type ReceiveFrame,
} from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { Deque } from "../deque.ts";
import { limits } from "../limits.ts";
import { bodyLengthOffset } from "../message/layout.ts";
import type { Prefetch } from "../options.ts";
import { ConsumerCredit } from "./consumer-credit.ts";
import { ForcedDeliveries } from "./forced-deliveries.ts";
import { IncomingBody } from "./incoming-body.ts";
import { ReceivedMessage } from "./received-message.ts";
import type { SettlementHost } from "./settlement-host.ts";
import { Settlement } from "./settlement.ts";

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
  /** Bytes of a large body above which its message is handed out before the body has come. */
  readonly streamAboveBytes: number;
}

/** What an intake needs of its session. */
export interface IntakeHost extends Pick<
  SettlementHost,
  | "deadLetter"
  | "delay"
  | "settlesExactly"
  | "hasOwnDeadLetters"
  | "reply"
  | "onWork"
  | "onError"
  | "compression"
> {
  readonly wallClock: WallClock;
  /** Makes sure that the queue exists. @throws EverholdError the broker's refusal */
  readonly prepare: (channel: Channel) => Promise<void>;
}

/** Somebody who waits for a message. */
export interface Taker {
  onMessage(message: ReceivedMessage): void;
  /** No more will come; `error` when that is not what the application asked for. */
  onEnd(error: unknown): void;
}

const defaultWindowBytes = 1024 * 1024;

/** One holder for all: frames are written one after the other. */
const flowToken = new FlowTokenFrame();

/**
 * One consumer on the broker, over all its lives: what it was delivered and nobody has taken, who waits
 * for it, and the credit for more. What is taken is the {@link Settlement}'s.
 *
 *     detached ──attach()──> attached ──connection lost──> detached … ──end()──> ended
 */
export class Intake {
  readonly settings: IntakeSettings;
  readonly settlement: Settlement;
  readonly #host: IntakeHost;
  readonly #buffer = new Deque<ReceivedMessage>();
  readonly #takers = new Deque<Taker>();
  readonly #credit: ConsumerCredit;
  readonly #forced: ForcedDeliveries;
  #channel: Channel | undefined;
  /** Messages of this life that repeat none of an earlier one. */
  #freshCount = 0;
  #bufferedBytes = 0;
  /** Bytes of the parts that have come of a large message which is not whole yet. */
  #partBytes = 0;
  /** The message that they are of. */
  #partMessageId = 0;
  /** The message whose body is coming, part by part; `undefined` in it where a held one comes again. */
  #streaming: { readonly message: ReceivedMessage | undefined } | undefined;
  /** What to do once it is whole. */
  readonly #wholeWaiters: (() => void)[] = [];
  /** Whether a large message has come since the last marker. */
  #followsLarge = false;
  #paused = false;
  /** What was granted to nobody who waits is being taken back. */
  #withdrawing = false;
  /** Whether the application was told that it holds as many messages as it may. */
  #toldFull = false;
  #ended = false;
  #endError: unknown;

  constructor(settings: IntakeSettings, host: IntakeHost) {
    this.settings = settings;
    this.#host = host;
    this.#credit = new ConsumerCredit(settings.prefetch ?? { bytes: defaultWindowBytes });
    this.#forced = new ForcedDeliveries(settings.consumerId);
    this.settlement = new Settlement({
      consumerId: settings.consumerId,
      queue: settings.queue,
      transacted: settings.transacted,
      deadLetter: host.deadLetter,
      delay: host.delay,
      settlesExactly: host.settlesExactly,
      hasOwnDeadLetters: host.hasOwnDeadLetters,
      reply: host.reply,
      onWork: host.onWork,
      onError: host.onError,
      compression: host.compression,
      onRoom: () => {
        this.#dropUnwantedBody();
        this.#replenish();
      },
      onReturned: (count) => this.#dropBuffer(count),
      partlyCome: () => (this.#partBytes > 0 ? this.#partMessageId : undefined),
      onResumed: () => this.#resume(),
    });
  }

  get queue(): string {
    return this.settings.queue;
  }

  /** Whether no more messages will be handed out. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why it ended; `undefined` while it has not, and when the application ended it. */
  get endError(): unknown {
    return this.#endError;
  }

  /** Whether the broker has it now. */
  get isAttached(): boolean {
    return this.#channel !== undefined;
  }

  /** Which life of the consumer this is; grows with each reconnect. */
  get incarnation(): number {
    return this.settlement.incarnation;
  }

  /** Whether nothing that was delivered waits to be taken. */
  get isEmpty(): boolean {
    return this.#buffer.length === 0;
  }

  /** Opens the consumer on a channel. @throws EverholdError the broker's refusal */
  async attach(channel: Channel): Promise<void> {
    await this.#host.prepare(channel);
    const { consumerId, filter, browse, priority, prefetch } = this.settings;
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
    this.#freshCount = 0;
    this.settlement.attach(channel);
    const advised = description.defaultConsumerWindowSize ?? defaultWindowBytes;
    this.#credit.reset(prefetch ?? { bytes: Math.max(-1, advised) });
    this.#withdrawing = false;
    this.#replenish();
  }

  /** The session is started on this life: asks which of the held messages do not come again. */
  onStarted(): void {
    if (this.settlement.heldCount > 0) this.#askForHeld();
  }

  /** The connection is gone: the broker takes everything back. */
  detach(): void {
    this.#channel = undefined;
    this.#loseStreaming(brokenBodyError(this.queue));
    this.#dropBuffer();
    this.settlement.detach();
    this.#forced.clear();
  }

  /** A broker that does not answer must not be waited for without end. */
  onHeartbeat(nowMs: number): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { callTimeoutMs } = channel.transport.settings;
    // The answer waits behind a large message, which comes as fast as it is read.
    if (this.#isMidLarge) return;
    if (nowMs - this.#forced.oldestAskedMs <= callTimeoutMs) return;
    channel.transport.fail(
      new ConnectionError(
        "EVH_CONNECTION_TIMEOUT",
        `Cannot ask whether ${this.queue} has more: the broker did not answer within ` +
          `${callTimeoutMs} ms`,
      ),
    );
  }

  /** The next message, if one is here and may be handed out. */
  take(): ReceivedMessage | undefined {
    if (this.#paused || this.#ended || this.settlement.isReleasing) return undefined;
    for (;;) {
      const message = this.#buffer.shift();
      if (message === undefined) return undefined;
      this.#bufferedBytes -= message.frameBytes;
      if (this.#dropExpired(message)) continue;
      if (this.settings.settles) this.settlement.onTaken(message);
      else message.state = "settled";
      this.#replenish();
      return message;
    }
  }

  /** Gives `taker` the next message, now or later. */
  wait(taker: Taker): void {
    if (this.#ended) return taker.onEnd(this.#endError);
    if (this.#paused) return taker.onEnd(undefined);
    const message = this.#takers.length === 0 ? this.take() : undefined;
    if (message !== undefined) return taker.onMessage(message);
    this.#takers.push(taker);
    if (this.#credit.isPull) this.#replenish();
  }

  /** `taker` waits no more. */
  cancel(taker: Taker): void {
    this.#takers.remove(taker);
    if (this.#credit.isPull && this.#takers.length === 0) this.#withdraw(() => undefined);
  }

  /**
   * Settles when the broker has delivered all that it could when it was asked, or when nobody can tell
   * any more.
   */
  caughtUp(): Promise<void> {
    const channel = this.#channel;
    if (channel === undefined || this.#ended) return Promise.resolve();
    return new Promise((resolve) => this.#ask(channel, resolve));
  }

  /**
   * Settles when nothing more can be delivered to those who wait for it now; only where nothing is to be
   * delivered in advance. What was on its way reaches them before.
   */
  closed(): Promise<void> {
    if (!this.#credit.isPull || this.#ended) return Promise.resolve();
    return new Promise((resolve) => this.#withdraw(resolve));
  }

  /** Hands out nothing more; who waits is told that this is the end. */
  pause(): void {
    this.#paused = true;
    for (const taker of this.#takers.drain()) taker.onEnd(undefined);
  }

  /** Ends it for good. Whoever waits for a message, or for an acknowledgement, gets an error. */
  end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#endError = error;
    this.detach();
    for (const taker of this.#takers.drain()) taker.onEnd(error);
    this.settlement.end();
  }

  /** Everything goes back: the session's transaction was rolled back. */
  returnAll(): void {
    this.#dropBuffer();
    this.settlement.returnAll();
    this.#replenish();
  }

  /** A message of this consumer arrived. */
  onMessage(frame: ReceiveFrame, bytes: Uint8Array, view: DataView, frameBytes: number): void {
    if (this.#forced.take(frame, view)) return;
    this.#credit.spend(frameBytes);
    // The parts of a large message have been paid for as they came; while it waits it fills the window.
    const heldBytes = frameBytes + this.#partBytes;
    this.#followsLarge ||= this.#partBytes > 0;
    this.#partBytes = 0;
    const messageId = messageIdAt(view, frame.messageStart, frame.messageEnd);
    if (!this.settlement.takeRedelivered(messageId, frame, bytes)) {
      this.#add(this.#newMessage(messageId, frame, bytes, heldBytes));
    }
    this.#onWhole();
    this.#replenish();
  }

  /** A part of a large message that is not its last took credit. */
  onPart(frameBytes: number, messageId = this.#partMessageId): void {
    this.#partMessageId = messageId;
    this.#partBytes += frameBytes;
    this.#credit.spend(frameBytes);
    this.#payPart(frameBytes);
    this.#replenish();
  }

  /** A message has begun whose body follows part by part. */
  onStream(
    frame: ReceiveFrame,
    bytes: Uint8Array,
    view: DataView,
    frameBytes: number,
    size: number,
  ): void {
    this.#credit.spend(frameBytes);
    // The broker began anew: whatever it had begun before was given back.
    this.#loseStreaming(brokenBodyError(this.queue));
    this.#followsLarge = true;
    const messageId = messageIdAt(view, frame.messageStart, frame.messageEnd);
    if (this.settlement.takeRedelivered(messageId, frame, bytes)) {
      this.#streaming = { message: undefined };
    } else {
      const body = new IncomingBody(size, () => this.#replenish());
      // Before it is handed out: whoever gets it may ask for the next one at once.
      const message = this.#newMessage(messageId, frame, bytes, frameBytes, body);
      this.#streaming = { message };
      this.#add(message);
    }
    this.#payPart(frameBytes);
    this.#replenish();
  }

  /** A part of that body. */
  onStreamPart(part: Uint8Array, isLast: boolean, frameBytes: number): void {
    this.#credit.spend(frameBytes);
    const body = this.#streaming?.message?.incoming;
    if (isLast) this.#streaming = undefined;
    else this.#payPart(frameBytes);
    body?.push(part, isLast);
    if (isLast) this.#onWhole();
    this.#replenish();
  }

  get #isMidLarge(): boolean {
    return this.#partBytes > 0 || this.#streaming !== undefined;
  }

  /** Whether a body is coming that the application has not finished reading. */
  get #awaitsReader(): boolean {
    return this.#streaming?.message?.incoming?.isOver === false;
  }

  /** What was granted may have been taken back before the rest of a large message: it needs credit. */
  #payPart(frameBytes: number): void {
    if (this.#withdrawing && this.#channel !== undefined) {
      this.#sendToken(this.#channel, frameBytes + 1);
    }
  }

  /** A message that was settled unread keeps no others waiting. */
  #dropUnwantedBody(): void {
    const message = this.#streaming?.message;
    if (message === undefined || isOpen(message)) return;
    const { incoming, state } = message;
    // What went back is read by nobody any more; what still comes of it is dropped.
    if (state === "released" || state === "lost") incoming?.fail(returnedBodyError(this.queue));
    else if (incoming?.isTaken === false) incoming.discard();
  }

  /** The rest of the body does not come on this life: half a message is none. */
  #loseStreaming(error: EverholdError): void {
    const message = this.#streaming?.message;
    this.#streaming = undefined;
    if (message?.incoming === undefined || message.incoming.isWhole) return;
    message.incoming.fail(error);
    // An acknowledgement that is under way is for the whole of it, read or not.
    if (isOpen(message)) message.state = "lost";
  }

  /** Calls `done` when everything that could be delivered has been, or when nobody can tell any more. */
  #ask(channel: Channel, done: () => void): void {
    // Nothing comes before its reader is done, and that may be the one who asks.
    if (this.#awaitsReader) return done();
    this.#forced.ask(channel, () => {
      // The marker may overtake the rest of a large message that began before it, and, when it was asked
      // for as one ended, what follows that one. Source: Artemis, `ServerConsumerImpl.promptDelivery`.
      if (this.#isMidLarge) return void this.#wholeWaiters.push(done);
      if (!this.#followsLarge || this.#channel !== channel) return done();
      this.#followsLarge = false;
      this.#ask(channel, done);
    });
  }

  #onWhole(): void {
    for (const done of this.#wholeWaiters.splice(0)) done();
  }

  #newMessage(
    messageId: number,
    frame: ReceiveFrame,
    bytes: Uint8Array,
    frameBytes: number,
    incoming?: IncomingBody,
  ): ReceivedMessage {
    const { deliveryCount, messageStart, messageEnd } = frame;
    const { incarnation } = this.settlement;
    return new ReceivedMessage(
      this.settlement,
      bytes.slice(messageStart, messageEnd),
      { messageId, deliveryCount, frameBytes, incarnation },
      incoming,
    );
  }

  #add(message: ReceivedMessage): void {
    this.#freshCount += 1;
    if (this.settings.settles) this.settlement.onDelivered(message);
    this.#buffer.push(message);
    this.#bufferedBytes += message.frameBytes;
    this.#feed();
  }

  #feed(): void {
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) {
      const message = this.take();
      if (message === undefined) return this.#takers.unshift(taker);
      taker.onMessage(message);
    }
  }

  #resume(): void {
    this.#dropUnwantedBody();
    this.#replenish();
    this.#feed();
  }

  /** After the marker nothing older can come: what has not come again does not. */
  #askForHeld(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { granted, spent } = this.#credit;
    this.#ask(channel, () => {
      if (this.#channel !== channel) return;
      // The broker may have run out of credit before it came to the held ones, which are the first in
      // the queue. It has not if credit was left, or if messages came that stand behind them.
      const ranOut = this.#credit.spent >= granted && this.#freshCount === 0;
      const cameOn = this.#credit.spent > spent;
      if (ranOut && cameOn && this.settlement.heldCount > 0) this.#askForHeld();
      else this.settlement.loseHeld();
      // It was let in for the held ones only.
      if (this.#credit.isPull && this.#takers.length === 0) this.#withdraw(() => undefined);
    });
  }

  /** Takes back what the broker may still deliver; the marker is behind all that it had delivered. */
  #withdraw(done: () => void): void {
    const channel = this.#channel;
    if (channel === undefined || !this.#credit.isOpen || this.#awaitsReader) return done();
    this.#withdrawing = true;
    this.#sendToken(channel, 0);
    this.#ask(channel, () => {
      if (this.#channel === channel) {
        this.#withdrawing = false;
        this.#credit.withdraw();
        this.#replenish();
      }
      done();
    });
  }

  #dropExpired(message: ReceivedMessage): boolean {
    const expiresAtMs = message.expirationMs();
    if (expiresAtMs === 0 || this.#host.wallClock.nowMs() < expiresAtMs) return false;
    message.state = "settled";
    message.incoming?.discard();
    if (!this.settings.settles) return true;
    const { consumerId } = this.settings;
    this.#channel?.send(packets.expired, { consumerId, messageId: message.messageId });
    return true;
  }

  /** Forgets what nobody has taken, or the last `count` of it. */
  #dropBuffer(count = this.#buffer.length): void {
    const kept = this.#buffer.drain();
    kept.splice(kept.length - count, count);
    this.#bufferedBytes = 0;
    for (const message of kept) {
      this.#buffer.push(message);
      this.#bufferedBytes += message.frameBytes;
    }
    this.#partBytes = 0;
    this.#loseStreaming(returnedBodyError(this.queue));
    this.#onWhole();
  }

  #replenish(): void {
    const channel = this.#channel;
    if (channel === undefined || this.#withdrawing) return;
    const { takenCount, heldCount } = this.settlement;
    const messageCount = this.#buffer.length + takenCount;
    const unreadBytes = this.#streaming?.message?.incoming?.unreadBytes ?? 0;
    this.#tellIfFull(messageCount);
    const credits = this.#credit.due({
      messageCount,
      bufferedBytes: this.#bufferedBytes + unreadBytes,
      // What nobody reads does not go on; what is put together does, whatever else is held.
      isMidMessage: this.#isMidLarge && unreadBytes < limits.unreadBytesMax,
      // Those in hand are recognised only when they come again.
      takerCount: Math.max(this.#takers.length, heldCount > 0 ? 1 : 0) - this.#buffer.length,
    });
    if (credits === 0) return;
    this.#sendToken(channel, credits);
  }

  /** Where the application said nothing of how many messages it may hold, it may wonder why none come. */
  #tellIfFull(messageCount: number): void {
    const isFull = messageCount >= limits.heldMessageCountMax;
    const isStuck = isFull && this.#credit.messagesMax === limits.heldMessageCountMax;
    if (isStuck && !this.#toldFull) {
      this.#host.onError(
        new EverholdError(
          "EVH_OVERLOADED",
          `Cannot receive more from ${this.queue}: found ${messageCount} messages that are not ` +
            `settled, at most ${limits.heldMessageCountMax} are held; settle some, or set prefetch.messages`,
        ),
      );
    }
    this.#toldFull = isStuck;
  }

  #sendToken(channel: Channel, credits: number): void {
    flowToken.channelId = channel.id;
    flowToken.consumerId = this.settings.consumerId;
    flowToken.credits = credits;
    writeFlowToken(channel.transport.output(), flowToken);
  }
}

/** Reads the answer to CREATECONSUMER and to QUEUEQUERY; `undefined` for other packets. */
export function readQueueDescription(
  id: number,
  reader: ByteReader,
  version: number,
): PacketOf<typeof packets.queueQueryResponseV3> | undefined {
  if (id !== packets.queueQueryResponseV3.id) return undefined;
  return decodePacket(packets.queueQueryResponseV3, reader, version);
}

/** Whether the application may still settle it, and so has to have all of it. */
function isOpen({ state }: ReceivedMessage): boolean {
  return state === "buffered" || state === "taken" || state === "rejecting";
}

function brokenBodyError(queue: string): EverholdError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    `Cannot read on: the connection broke before the body had come; the message from ${queue} comes again`,
  );
}

function returnedBodyError(queue: string): EverholdError {
  return new EverholdError(
    "EVH_ILLEGAL_STATE",
    `Cannot read on: the message went back to ${queue} before its body had come`,
  );
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
