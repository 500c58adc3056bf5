import { Deque, type EverholdError } from "@everhold/base";
import { packets, type ReceiveFrame } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import { readQueueDescription } from "../core/queue-description.ts";
import { limits } from "../limits.ts";
import { messageIdAt } from "../message/layout.ts";
import { CatchUp } from "./catch-up.ts";
import { ConsumerCredit } from "./consumer-credit.ts";
import { sendFlowToken } from "./flow-token.ts";
import { FullNotice } from "./full-notice.ts";
import { IncomingBody } from "./incoming-body.ts";
import type { IntakeHost, IntakeSettings, Taker } from "./intake-settings.ts";
import { LargeArrival } from "./large-arrival.ts";
import { MessageBuffer } from "./message-buffer.ts";
import { ReceivedMessage } from "./received-message.ts";
import { Settlement } from "./settlement.ts";

const defaultWindowBytes = 1024 * 1024;

/**
 * One consumer on the broker, over all its lives: what it was delivered and nobody has taken, who waits
 * for it, and the credit for more. What is taken is the {@link Settlement}'s, what comes in parts the
 * {@link LargeArrival}'s.
 *
 *     detached ──attach()──> attached ──connection lost──> detached … ──end()──> ended
 */
export class Intake {
  readonly settings: IntakeSettings;
  readonly settlement: Settlement;
  readonly #host: IntakeHost;
  readonly #buffer = new MessageBuffer();
  readonly #takers = new Deque<Taker>();
  readonly #credit: ConsumerCredit;
  readonly #large: LargeArrival;
  readonly #catchUp: CatchUp;
  readonly #fullNotice: FullNotice;
  #channel: Channel | undefined;
  /** Messages of this life that repeat none of an earlier one. */
  #freshCount = 0;
  #paused = false;
  /** All that is here goes back to the queue. */
  #isReturning = false;
  /** The connection is broken, and may be another one's soon: nothing is handed out meanwhile. */
  #isBroken = false;
  /** Who waits for an answer of the broker, and for no longer than the connection stands. */
  readonly #askers = new Set<() => void>();
  readonly #wholeWaiters: (() => void)[] = [];
  readonly #standingWaiters: (() => void)[] = [];
  /** What was granted to nobody who waits is being taken back. */
  #withdrawing = false;
  #ended = false;
  #endError: unknown;

  constructor(settings: IntakeSettings, host: IntakeHost) {
    this.settings = settings;
    this.#host = host;
    this.#credit = new ConsumerCredit(settings.prefetch ?? { bytes: defaultWindowBytes });
    this.#large = new LargeArrival(settings.queue);
    this.#catchUp = new CatchUp(settings, this.#large);
    this.#fullNotice = new FullNotice(settings.queue, host.onError);
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
      overdueError: host.overdueError,
      unlessOverdue: host.unlessOverdue,
      within: host.within,
      compression: host.compression,
      tracing: host.tracing,
      onRoom: () => {
        this.#large.dropUnwanted();
        this.#replenish();
      },
      onReturned: (count) => this.#dropBuffer(count),
      partlyCome: () => this.#large.partlyCome,
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

  /** Whether the connection is broken, and may be another one's soon. */
  get isBroken(): boolean {
    return this.#isBroken;
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
    this.#catchUp.attach(channel);
    this.#freshCount = 0;
    this.settlement.attach(channel);
    const advised = description.defaultConsumerWindowSize ?? defaultWindowBytes;
    this.#credit.reset(prefetch ?? { bytes: Math.max(-1, advised) });
    this.#withdrawing = false;
    this.#replenish();
    this.#tellStanding();
  }

  /** The session is started on this life: asks which of the held messages do not come again. */
  onStarted(): void {
    if (this.settlement.heldCount > 0) this.#askForHeld();
  }

  /** The connection is gone: the broker takes everything back. */
  detach(): void {
    this.#channel = undefined;
    this.#isReturning = false;
    this.#mend();
    this.#large.breakOff();
    this.#dropBuffer();
    this.settlement.detach();
    this.#catchUp.detach();
  }

  /** A broker that does not answer must not be waited for without end. */
  onHeartbeat(nowMs: number): void {
    this.#catchUp.onHeartbeat(nowMs);
  }

  /** The next message, if one is here and may be handed out. */
  take(): ReceivedMessage | undefined {
    if (this.#paused || this.#ended || this.#isReturning || this.#isBroken) return undefined;
    if (this.settlement.isReleasing) return undefined;
    for (;;) {
      const message = this.#buffer.shift();
      if (message === undefined) return undefined;
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
   * now: the connection is broken, or the life of the consumer is over.
   */
  caughtUp(): Promise<void> {
    if (this.#channel === undefined || this.#ended || this.#isBroken) return Promise.resolve();
    return new Promise((resolve) => this.#catchUp.ask(this.#asker(resolve)));
  }

  /**
   * Settles when nothing more can be delivered to those who wait for it now; only where nothing is to be
   * delivered in advance. What was on its way reaches them before.
   */
  closed(): Promise<void> {
    if (!this.#credit.isPull || this.#ended || this.#isBroken) return Promise.resolve();
    return new Promise((resolve) => this.#withdraw(this.#asker(resolve)));
  }

  /** Settles when the connection is not broken, or the life of the consumer is over. */
  whole(): Promise<void> {
    if (!this.#isBroken) return Promise.resolve();
    return new Promise((resolve) => this.#wholeWaiters.push(resolve));
  }

  /** Settles when the broker has it, and the connection is not broken; also when it has ended. */
  standing(): Promise<void> {
    if (this.#ended || (this.#channel !== undefined && !this.#isBroken)) return Promise.resolve();
    return new Promise((resolve) => this.#standingWaiters.push(resolve));
  }

  /** The connection broke; the session waits for another one. */
  onBroken(): void {
    this.#isBroken = true;
    for (const done of [...this.#askers]) done();
  }

  /** Whoever waits for the connection, which has been away for too long, waits no longer. */
  releaseWaiting(error: EverholdError): void {
    this.settlement.releaseWaiting(error);
    this.#large.wakeReader();
  }

  /** The session goes on with another connection. */
  onReturned(): void {
    this.#mend();
    this.#catchUp.onReturned();
    this.#feed();
    this.#replenish();
    this.#tellStanding();
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
    this.#tellStanding();
  }

  /**
   * The session's transaction is rolled back next: what was taken counts as an attempt, and nothing more is
   * handed out until everything has gone back.
   */
  beginReturn(): void {
    // The connection may break with the answer to what came before; then everything has gone back.
    if (this.#channel === undefined) return;
    this.#isReturning = true;
    this.settlement.acknowledgeTaken();
  }

  /** Everything goes back: the session's transaction was rolled back. */
  returnAll(): void {
    this.#isReturning = false;
    this.#dropBuffer();
    this.settlement.returnAll();
    this.#replenish();
  }

  /** A message of this consumer arrived. */
  onMessage(frame: ReceiveFrame, bytes: Uint8Array, view: DataView, frameBytes: number): void {
    if (this.#catchUp.take(frame, view)) return;
    this.#credit.spend(frameBytes);
    // The parts of a large message have been paid for as they came; while it waits it fills the window.
    const heldBytes = frameBytes + this.#large.join();
    const messageId = messageIdAt(view, frame.messageStart, frame.messageEnd);
    if (!this.settlement.takeRedelivered(messageId, frame, bytes)) {
      this.#add(this.#newMessage(messageId, frame, bytes, heldBytes));
    }
    this.#large.tellWhole();
    this.#replenish();
  }

  /** A part of a large message that is not its last took credit. */
  onPart(frameBytes: number, messageId?: number): void {
    this.#large.addPart(frameBytes, messageId);
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
    this.#large.beginStream();
    const messageId = messageIdAt(view, frame.messageStart, frame.messageEnd);
    if (this.settlement.takeRedelivered(messageId, frame, bytes)) {
      this.#large.stream(undefined);
    } else {
      const body = new IncomingBody(size, {
        onRead: () => this.#replenish(),
        overdueError: this.#host.overdueError,
      });
      // Before it is handed out: whoever gets it may ask for the next one at once.
      const message = this.#newMessage(messageId, frame, bytes, frameBytes, body);
      this.#large.stream(message);
      this.#add(message);
    }
    this.#payPart(frameBytes);
    this.#replenish();
  }

  /** A part of that body. */
  onStreamPart(part: Uint8Array, isLast: boolean, frameBytes: number): void {
    this.#credit.spend(frameBytes);
    if (!isLast) this.#payPart(frameBytes);
    this.#large.pushPart(part, isLast);
    this.#replenish();
  }

  /** What was granted may have been taken back before the rest of a large message: it needs credit. */
  #payPart(frameBytes: number): void {
    if (this.#withdrawing && this.#channel !== undefined) {
      sendFlowToken(this.#channel, this.settings.consumerId, frameBytes + 1);
    }
  }

  #newMessage(
    messageId: number,
    frame: ReceiveFrame,
    bytes: Uint8Array,
    frameBytes: number,
    incoming?: IncomingBody,
  ): ReceivedMessage {
    const { messageStart, messageEnd } = frame;
    const deliveryCount = this.settlement.countOf(messageId, frame.deliveryCount);
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
    this.#feed();
  }

  #mend(): void {
    this.#isBroken = false;
    for (const done of this.#wholeWaiters.splice(0)) done();
  }

  #tellStanding(): void {
    for (const done of this.#standingWaiters.splice(0)) done();
  }

  /** Calls `done` once: when it is called, or when the connection breaks. */
  #asker(done: () => void): () => void {
    const asker = (): void => {
      if (this.#askers.delete(asker)) done();
    };
    this.#askers.add(asker);
    return asker;
  }

  #feed(): void {
    for (let taker = this.#takers.shift(); taker !== undefined; taker = this.#takers.shift()) {
      const message = this.take();
      if (message === undefined) return this.#takers.unshift(taker);
      taker.onMessage(message);
    }
  }

  #resume(): void {
    this.#large.dropUnwanted();
    this.#replenish();
    this.#feed();
  }

  /** After the marker nothing older can come: what has not come again does not. */
  #askForHeld(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    const { granted, spent } = this.#credit;
    this.#catchUp.ask(() => {
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
    if (channel === undefined || !this.#credit.isOpen || this.#large.awaitsReader) return done();
    this.#withdrawing = true;
    sendFlowToken(channel, this.settings.consumerId, 0);
    this.#catchUp.ask(() => {
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
  #dropBuffer(count?: number): void {
    this.#buffer.drop(count);
    this.#large.giveBack();
  }

  #replenish(): void {
    const channel = this.#channel;
    if (channel === undefined || this.#withdrawing) return;
    const { takenCount, heldCount } = this.settlement;
    const messageCount = this.#buffer.length + takenCount;
    const { unreadBytes } = this.#large;
    const credits = this.#credit.due({
      messageCount,
      bufferedBytes: this.#buffer.bytes + unreadBytes,
      // What nobody reads does not go on; what is put together does, whatever else is held.
      isMidMessage: this.#large.isComing && unreadBytes < limits.unreadBytesMax,
      // Those in hand are recognised only when they come again.
      takerCount: Math.max(this.#takers.length, heldCount > 0 ? 1 : 0) - this.#buffer.length,
    });
    if (credits !== 0) sendFlowToken(channel, this.settings.consumerId, credits);
    // Last: listeners may settle, receive and close.
    this.#fullNotice.update(messageCount, this.#credit.messagesMax);
  }
}
