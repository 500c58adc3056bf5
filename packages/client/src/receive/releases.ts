import { ConnectionError, deferred, type Deferred } from "@everhold/base";
import { packets } from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import type { AckQueue } from "./ack-queue.ts";
import type { ReceivedMessage } from "./received-message.ts";
import { ignoringLoss, sendGiveBack, sendRelease } from "./settle-packets.ts";
import type { SettlementHost } from "./settlement-host.ts";

/** What releases need of their settlement. */
export interface ReleasesHost extends Pick<
  SettlementHost,
  "consumerId" | "queue" | "onError" | "onReturned" | "partlyCome" | "onResumed"
> {
  readonly acks: AckQueue;
  /** The channel of this life; `undefined` between two. */
  readonly channel: () => Channel | undefined;
  /** Whether the broker has a packet for one delivery. */
  readonly isExact: () => boolean;
  /** Sends the acknowledgements of this turn now. */
  readonly flushAcks: () => void;
  /** The broker is told of a message that it takes back, and answers. */
  readonly noteLeaving: <T>(message: ReceivedMessage, answer: Promise<T>) => Promise<T>;
  /** Everything goes back; what the application has had is known when it comes again. */
  readonly forgetAll: () => void;
  /** What was released is back. */
  readonly onDone: () => void;
}

/**
 * The released messages of one consumer that are to come again as soon as they can. For that the session
 * is brought to a standstill: one return for all that were released until then.
 *
 *     none ──add()──> under way ──back, or connection lost──> none
 */
export class Releases {
  readonly #host: ReleasesHost;
  #isUnderWay = false;
  #rollingBack: Promise<void> | undefined;
  /** Those that wait for the session to stand still, and who waits for them. */
  #returning: Returning[] = [];

  constructor(host: ReleasesHost) {
    this.#host = host;
  }

  /** Whether a message was released, and the broker has not taken it back yet. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** A message was released; {@link advance} or {@link finish} gives it back. Settles when it is. */
  add(message: ReceivedMessage, delayMs: number): Promise<void> {
    this.#isUnderWay = true;
    const done = deferred<void>();
    if (this.#host.isExact()) this.#returning.push({ message, delayMs, done });
    else done.resolve();
    return done.promise;
  }

  /** The connection is gone: the broker took all back by itself. */
  detach(): void {
    this.#isUnderWay = false;
    this.#rollingBack = undefined;
    for (const { done } of this.#returning.splice(0)) done.resolve();
  }

  /** Begins to give back once it may: without a packet for one delivery, when nothing else is in hand. */
  advance(takenCount: number): void {
    const mayRollBack = this.#isUnderWay && (takenCount === 0 || this.#host.isExact());
    if (mayRollBack && this.#rollingBack === undefined) {
      this.finish().catch(this.#host.onError);
    }
  }

  /** Gives back now what was released, whatever else is in hand; settles when it was asked for. */
  finish(): Promise<void> {
    this.#rollingBack ??= this.#host.isExact() ? this.#returnOnce() : this.#rollBackOnce();
    return this.#rollingBack;
  }

  /**
   * Gives the released messages back, each counted, and uncounted what nobody has taken, so that all of it
   * comes again in its order. What is in hand stays there. It takes a standstill: what was on its way when the
   * broker heard of it would look like what is delivered again.
   */
  async #returnOnce(): Promise<void> {
    const { consumerId, queue, acks } = this.#host;
    const channel = this.#host.channel();
    if (channel === undefined) return;
    const attempt = `release to ${queue}`;
    try {
      await channel.call(packets.sessionStop, {}, attempt, readNull);
    } catch (cause) {
      this.#beginAnew(channel, attempt, cause);
      return;
    }
    if (this.#host.channel() !== channel) return;
    this.#host.flushAcks();
    const untaken = acks.cutUntaken();
    const first = untaken[0]?.messageId ?? this.#host.partlyCome();
    for (const message of untaken) message.state = "lost";
    if (first !== undefined) {
      this.#host.onReturned(untaken.length);
      channel.forgetConsumer(consumerId);
      const message = { messageId: first };
      this.#report(channel, sendGiveBack({ channel, consumerId, message }));
    }
    for (const { message, delayMs, done } of this.#returning.splice(0)) {
      const release = sendRelease({ channel, consumerId, message }, delayMs);
      const answer = this.#host.noteLeaving(message, release);
      ignoringLoss(channel, answer).then(
        () => done.resolve(),
        (error: unknown) => done.reject(error),
      );
      acks.forget(message);
    }
    this.#resume(channel);
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
    const channel = this.#host.channel();
    if (channel === undefined) return;
    const attempt = `release to ${this.#host.queue}`;
    this.#host.flushAcks();
    try {
      await channel.call(packets.sessionStop, {}, attempt, readNull);
      this.#host.flushAcks();
      this.#host.onReturned();
      this.#host.forgetAll();
      const value = { considerLastMessageAsDelivered: true };
      await channel.call(packets.rollback, value, attempt, readNull);
    } catch (cause) {
      this.#beginAnew(channel, attempt, cause);
      return;
    }
    if (this.#host.channel() === channel) this.#resume(channel);
  }

  /**
   * On a lost connection, or of a closed session, the broker has taken everything back. When it
   * refuses, nobody knows any more who has what, and only a fresh connection can tell.
   */
  #beginAnew(channel: Channel, attempt: string, cause: unknown): void {
    if (this.#host.channel() !== channel) return;
    channel.beginAnew(
      new ConnectionError("EVH_DISCONNECTED", `Cannot ${attempt}: beginning anew`, { cause }),
    );
  }

  #resume(channel: Channel): void {
    this.#isUnderWay = false;
    this.#rollingBack = undefined;
    channel.send(packets.sessionStart, {});
    this.#host.onResumed();
    this.#host.onDone();
  }
}

/** A released message whose return somebody may wait for. */
interface Returning {
  readonly message: ReceivedMessage;
  readonly delayMs: number;
  readonly done: Deferred<void>;
}
