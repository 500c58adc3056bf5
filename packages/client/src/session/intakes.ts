import { ClosedError, deferred, EverholdError, type Deferred } from "@everhold/base";
import { Backoff, type Ports, type Timer } from "@everhold/env";
import { packets } from "@everhold/wire";
import { readNull, type Channel } from "../core/channel.ts";
import type { IntakeHost, IntakeSettings } from "../receive/intake-settings.ts";
import { Intake } from "../receive/intake.ts";

/** What the consumers of a session need of it. */
export interface IntakesHost {
  readonly ports: Pick<Ports, "timers" | "random">;
  /** Whether the session settles in transactions. */
  readonly transacted: boolean;
  /** The channel of the current life; `undefined` while there is none. */
  readonly channel: () => Channel | undefined;
  /** Whether nothing is to be delivered for now; who ends that has the deliveries begin. */
  readonly isAtStandstill: () => boolean;
  /** A consumer ends of which the broker may still keep something. */
  readonly noteLeft: (intake: Intake) => void;
  readonly onError: (error: unknown) => void;
}

interface Entry {
  readonly intake: Intake;
  readonly opened: Deferred<void>;
  isOpen: boolean;
}

/**
 * The consumers of one session, by their ids, over all its lives: each life has them opened anew, and one whom the broker does
 * not take back yet is tried again.
 */
export class Intakes {
  readonly #host: IntakesHost;
  readonly #entries = new Map<number, Entry>();
  readonly #backoff: Backoff;
  readonly #retries = new Set<Timer>();
  #nextConsumerId = 0;
  /** The life in which SESS_START was sent for them, or is as its standstill ends. */
  #startedOn: Channel | undefined;

  constructor(host: IntakesHost) {
    this.#host = host;
    this.#backoff = new Backoff({ minMs: 100, maxMs: 10_000 }, host.ports.random);
  }

  /** The one to which a frame belongs; `undefined` for one that is gone. */
  of(consumerId: number): Intake | undefined {
    return this.#entries.get(consumerId)?.intake;
  }

  /** All of them. */
  *[Symbol.iterator](): IterableIterator<Intake> {
    for (const { intake } of this.#entries.values()) yield intake;
  }

  /** Adds a consumer; settles when the broker has it, after reconnects if need be. */
  async add(
    settings: Omit<IntakeSettings, "consumerId" | "transacted">,
    host: IntakeHost,
  ): Promise<Intake> {
    const consumerId = this.#nextConsumerId;
    this.#nextConsumerId += 1;
    const { transacted } = this.#host;
    const intake = new Intake({ ...settings, consumerId, transacted }, host);
    const entry: Entry = { intake, opened: deferred<void>(), isOpen: false };
    this.#entries.set(consumerId, entry);
    const channel = this.#host.channel();
    // Not awaited: the session may end first, and then `opened` is what tells.
    if (channel !== undefined) this.#attach(channel, entry).catch(this.#host.onError);
    await entry.opened.promise;
    return intake;
  }

  /** Closes one consumer; what it did not settle goes back to the queue. */
  async remove(intake: Intake): Promise<void> {
    const { consumerId } = intake.settings;
    const channel = this.#host.channel();
    if (channel?.isUp !== true) this.#host.noteLeft(intake);
    if (channel?.isUp === false && !intake.ended) {
      // Nobody waits for the next connection, which has it closed.
      this.#leave(channel, intake);
    } else if (channel !== undefined && !intake.ended) {
      try {
        await intake.settlement.finishRelease();
        intake.settlement.flushAcks();
        await channel.call(packets.consumerClose, { consumerId }, "close the consumer", readNull);
        channel.forgetConsumer(consumerId);
      } catch (error) {
        // A connection that is gone has closed the consumer too.
        if (channel.lostError === undefined) throw error;
      }
    }
    this.#entries.delete(consumerId);
    intake.end(undefined);
  }

  /** As {@link remove}, for those who do not wait any longer for what the broker says. */
  abandon(intake: Intake): void {
    if (intake.ended) return;
    this.#host.noteLeft(intake);
    this.#entries.delete(intake.settings.consumerId);
    intake.end(undefined);
  }

  /** A new life has begun: opens all of them in it. */
  async attach(channel: Channel): Promise<void> {
    const entries = [...this.#entries.values()];
    await Promise.all(entries.map((entry) => this.#attach(channel, entry)));
  }

  /** The life is over, and the next one may follow. */
  detach(): void {
    this.#cancelRetries();
    for (const intake of this) intake.detach();
  }

  /** There is no next life: `openError` goes to whoever still waits for a consumer, `takeError` to whoever receives. */
  end(openError: EverholdError, takeError: unknown): void {
    this.#cancelRetries();
    for (const { intake, opened, isOpen } of this.#entries.values()) {
      if (!isOpen) opened.reject(openError);
      intake.end(takeError);
    }
    this.#entries.clear();
  }

  /** The broker has closed one of them. */
  onConsumerClosed(consumerId: number): void {
    const entry = this.#entries.get(consumerId);
    if (entry === undefined) return;
    this.#entries.delete(consumerId);
    this.#host.channel()?.forgetConsumer(consumerId);
    const error = new ClosedError(
      "EVH_CLOSED",
      `The broker closed the consumer of ${entry.intake.queue}: its queue is gone`,
    );
    if (!entry.isOpen) entry.opened.reject(error);
    entry.intake.end(error);
    // The broker waits for this answer; what it says in return tells nothing new.
    this.#host
      .channel()
      ?.call(packets.consumerClose, { consumerId }, "close the consumer", readNull)
      .catch(() => undefined);
  }

  async #attach(channel: Channel, entry: Entry): Promise<void> {
    try {
      await entry.intake.attach(channel);
      if (channel !== this.#startedOn) {
        this.#startedOn = channel;
        // Else the end of the standstill does it.
        if (!this.#host.isAtStandstill()) channel.send(packets.sessionStart, {});
      }
      entry.intake.onStarted();
      entry.isOpen = true;
      entry.opened.resolve();
    } catch (error) {
      if (channel.lostError !== undefined) return;
      entry.intake.settlement.onAttachRefused();
      this.#onRefused(channel, entry, error);
    }
  }

  #onRefused(channel: Channel, entry: Entry, error: unknown): void {
    const { intake } = entry;
    if (entry.isOpen && EverholdError.is(error) && error.retryable) {
      // E.g. the queue still counts the consumer of the broken connection.
      const timer = this.#host.ports.timers.after(this.#backoff.nextMs(), () => {
        this.#retries.delete(timer);
        if (intake.ended) return;
        this.#attach(channel, entry).catch(this.#host.onError);
      });
      this.#retries.add(timer);
      return;
    }
    this.#entries.delete(intake.settings.consumerId);
    if (!entry.isOpen) entry.opened.reject(error);
    intake.end(error);
  }

  #cancelRetries(): void {
    for (const timer of this.#retries) timer.cancel();
    this.#retries.clear();
  }

  #leave(channel: Channel, intake: Intake): void {
    const { consumerId } = intake.settings;
    intake.settlement.finishRelease().catch(this.#host.onError);
    channel
      .call(packets.consumerClose, { consumerId }, "close the consumer", readNull)
      .then(() => channel.forgetConsumer(consumerId))
      .catch((error: unknown) => {
        if (channel.lostError === undefined) this.#host.onError(error);
      });
  }
}
