import { ClosedError, EverholdError, listenForAbort, RepeatedLine } from "@everhold/base";
import { checkTimeout, deadlineIn, type Tracing, waitFor, type WaitOptions } from "@everhold/env";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { limits } from "../limits.ts";
import type { Prefetch } from "../options.ts";
import type { Intake } from "../receive/intake.ts";
import type { Message } from "../receive/message.ts";
import type { ReceivedMessage } from "../receive/received-message.ts";
import { tracedMessage, traceReceive } from "../tracing.ts";
import { checkConsumerOptions } from "./check-options.ts";

/** How messages are consumed. */
export interface ConsumerOptions {
  /** An SQL-92 selector over properties and headers; only messages that match are delivered. */
  readonly filter?: string;
  /**
   * `explicit` (default): the application settles each message. `auto`: a message is acknowledged when
   * the next one is asked for. `pre`: the broker forgets messages as it delivers them.
   */
  readonly ack?: "explicit" | "auto" | "pre";
  /** Default: the connection's, else the window that the broker advises. */
  readonly prefetch?: Prefetch;
  /** Among the consumers of a queue, those of higher priority are served first. Default 0. */
  readonly priority?: number;
  /**
   * Bytes of a body above which a large message is handed out when its headers have come, and its body is
   * read with `bodyStream()`. Default 256 MiB, the most that is put together in memory; 0 for all large ones.
   */
  readonly streamAbove?: number;
  /**
   * Where `reject()` sends a copy. Default: the broker moves the message to where its settings say. Artemis is
   * asked for those; where it does not say, `DLQ`.
   */
  readonly deadLetterAddress?: string;
}

/** Handles one message in {@link Consumer.run}. */
export type MessageHandler<T> = (
  message: Message<T>,
  context: { readonly signal: AbortSignal },
) => Promise<void> | void;

/** How {@link Consumer.run} works. */
export interface RunOptions {
  /** Messages handled at the same time. Default 1, which keeps their order. */
  readonly concurrency?: number;
  /** Ends the run: nothing more is taken, and it settles when the handlers under way are done. */
  readonly signal?: AbortSignal;
}

/**
 * Receives the messages of one queue, in order; over reconnects too. Messages in hand that are not
 * settled when it closes go back to the queue; Everhold counts them as attempted.
 */
export interface Consumer<T = unknown> extends AsyncIterable<Message<T>>, AsyncDisposable {
  /** The queue; of a subscription the one that keeps its messages. */
  readonly queue: string;
  /**
   * Settles when the broker has the consumer; waits through reconnects. Default: without a limit.
   *
   * @throws EverholdError why it could not be opened
   */
  ready(options?: WaitOptions): Promise<void>;
  /**
   * The next message, or `null` when there is none in time, be it that the consumer is not open by then or that the
   * connection is away. With `timeout` 0 the broker is asked whether it has one. Default: waits without end, through
   * an outage as long as `failoverTimeout` allows.
   *
   * @throws EverholdError EVH_ABORTED, EVH_CLOSED, EVH_NOT_CONNECTED, or why the consumer ended
   */
  receive(options?: WaitOptions): Promise<Message<T> | null>;
  /**
   * Calls `handler` for each message. When it is done the message is acknowledged, when it throws the
   * message is released, and rejected when the error says `retryable: false`; unless the handler has
   * settled it. The log has a warning with the error, of many one a second with their count. Settles when the
   * consumer is closed or the signal is aborted.
   */
  run(handler: MessageHandler<T>, options?: RunOptions): Promise<void>;
  /** Takes nothing more, waits until what is in hand is settled, and closes. Default: without a limit. */
  drain(options?: WaitOptions): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** How a consumer's intake is made and given up. */
export interface IntakeSource {
  readonly queue: string;
  /** Gives up when the signal is aborted. */
  open(signal: AbortSignal): Promise<Intake>;
  close(intake: Intake): Promise<void>;
}

/** A {@link Consumer} over an intake. */
export class IntakeConsumer<T> implements Consumer<T> {
  readonly queue: string;
  readonly #core: ConnectionCore;
  readonly #source: IntakeSource;
  readonly #automatic: boolean;
  readonly #onClose: (consumer: IntakeConsumer<T>) => void;
  readonly #opening: Promise<Intake>;
  readonly #handlerFailures: RepeatedLine;
  readonly #ending = new AbortController();
  #intake: Intake | undefined;
  #previous: ReceivedMessage | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    core: ConnectionCore,
    source: IntakeSource,
    options: ConsumerOptions,
    onClose: (consumer: IntakeConsumer<T>) => void,
  ) {
    checkConsumerOptions(options);
    this.queue = source.queue;
    this.#core = core;
    this.#source = source;
    this.#automatic = options.ack === "auto";
    this.#onClose = onClose;
    this.#handlerFailures = new RepeatedLine(
      core.ports.log,
      "A handler failed",
      limits.handlerFailureLinesBurst,
    );
    this.#opening = this.#open();
    this.#opening.then(
      (intake) => void (this.#intake = intake),
      // Whoever uses the consumer gets the error; until then it is nobody's.
      () => onClose(this),
    );
  }

  async ready(options: WaitOptions = {}): Promise<void> {
    const deadlineMs = deadlineIn(this.#core.ports, checkTimeout(options.timeout, Infinity));
    const subject = { attempt: `consume from ${this.queue}`, outcome: () => "none" as const };
    const wait = { deadlineMs, signal: options.signal };
    await this.#core.waitFor(wait, subject, this.#opening);
  }

  receive(options: WaitOptions = {}): Promise<Message<T> | null> {
    const { tracing } = this.#core.ports;
    if (tracing?.watches("receive") !== true) return this.#receive(options);
    return traceReceive(tracing, this.queue, () => this.#receive(options));
  }

  async #receive(options: WaitOptions): Promise<Message<T> | null> {
    const timeout = checkTimeout(options.timeout, Infinity);
    const core = this.#core;
    const deadlineMs = deadlineIn(core.ports, timeout);
    const subject = { attempt: `receive from ${this.queue}`, outcome: () => "none" as const };
    const refusal = core.refusal();
    if (refusal !== undefined) throw refusal;
    // A broker that is asked whether it has one is waited for, unless it is away.
    const openBy = timeout === 0 && core.isConnected ? Infinity : deadlineMs;
    const wait = { deadlineMs: openBy, signal: options.signal };
    let intake: Intake;
    try {
      intake = await core.waitFor(wait, subject, this.#opening);
    } catch (error) {
      // Whether it had opened by then or not: there is no message in time.
      if (EverholdError.is(error, "EVH_TIMEOUT")) return null;
      throw error;
    }
    return this.#receiveFrom(intake, deadlineMs, options.signal, timeout === 0);
  }

  async run(handler: MessageHandler<T>, options: RunOptions = {}): Promise<void> {
    if (typeof handler !== "function") {
      throw new TypeError(
        `Cannot run: found a handler of type ${typeof handler}, expected a function`,
      );
    }
    const concurrency = options.concurrency ?? 1;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > limits.concurrencyMax) {
      throw new RangeError(`concurrency is ${concurrency}, expected 1 to ${limits.concurrencyMax}`);
    }
    const intake = await this.#openedFor(options.signal);
    if (intake === undefined) return;
    const workers = Array.from({ length: concurrency }, () =>
      this.#work(intake, handler, options.signal),
    );
    const results = await Promise.allSettled(workers);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    const subject = { attempt: `consume from ${this.queue}`, outcome: () => "unknown" as const };
    const bounds = { deadlineMs: Infinity, signal: undefined };
    await this.#core.waitFor(bounds, subject, intake.settlement.acksDone());
  }

  async drain(options: WaitOptions = {}): Promise<void> {
    const deadlineMs = deadlineIn(this.#core.ports, checkTimeout(options.timeout, Infinity));
    const subject = {
      attempt: `drain the consumer of ${this.queue}`,
      outcome: () => "none" as const,
    };
    const wait = { deadlineMs, signal: options.signal };
    const intake = await this.#core.waitFor(wait, subject, this.#opening);
    intake.pause();
    this.#settlePrevious(intake);
    await this.#core.waitFor(wait, subject, intake.settlement.settled());
    await this.close();
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Message<T>> {
    return {
      next: () => this.#next(),
      return: () => {
        // A loop that was left may have failed: its last message is not settled for it.
        this.#previous = undefined;
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }

  async #open(): Promise<Intake> {
    const { signal } = this.#ending;
    try {
      return await this.#source.open(signal);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  }

  #next(): Promise<IteratorResult<Message<T>>> {
    const { tracing } = this.#core.ports;
    return tracing?.watches("receive") === true ? this.#tracedNext(tracing) : this.#nextResult();
  }

  async #tracedNext(tracing: Tracing): Promise<IteratorResult<Message<T>>> {
    const value = await traceReceive(tracing, this.queue, async () => {
      const result = await this.#nextResult();
      return result.done === true ? undefined : result.value;
    });
    return value === undefined ? { value, done: true } : { value, done: false };
  }

  #nextResult(): Promise<IteratorResult<Message<T>>> {
    const intake = this.#intake;
    if (intake === undefined || intake.ended) return this.#nextResultLater();
    this.#settlePrevious(intake);
    const message = intake.take();
    if (message === undefined) return this.#nextResultLater();
    this.#previous = message;
    return Promise.resolve({ value: message, done: false });
  }

  async #nextResultLater(): Promise<IteratorResult<Message<T>>> {
    const intake = await this.#openedFor(undefined);
    const message = intake === undefined ? undefined : await nextOf(intake);
    if (message === undefined) return { value: undefined, done: true };
    this.#previous = message;
    return { value: message, done: false };
  }

  /** The intake, once it is open; `undefined` when the consumer is closed or the signal aborts before. */
  async #openedFor(signal: AbortSignal | undefined): Promise<Intake | undefined> {
    if (this.#closing !== undefined) return undefined;
    const subject = { attempt: `consume from ${this.queue}`, outcome: () => "none" as const };
    const wait = { deadlineMs: Infinity, signal };
    try {
      return await waitFor(this.#core.ports, wait, subject, this.#opening);
    } catch (error) {
      if (this.#ending.signal.aborted || signal?.aborted === true) return undefined;
      throw error;
    }
  }

  #settlePrevious(intake: Intake): void {
    const previous = this.#previous;
    this.#previous = undefined;
    if (this.#automatic && previous !== undefined) intake.settlement.acknowledgeQuietly(previous);
  }

  #receiveFrom(
    intake: Intake,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    asksBroker: boolean,
  ): Promise<Message<T> | null> {
    this.#settlePrevious(intake);
    const ready = intake.take();
    if (ready !== undefined) {
      this.#previous = ready;
      return Promise.resolve(ready);
    }
    return new Promise((resolve, reject) => {
      let forget = (): void => undefined;
      let isDone = false;
      const finish = (): void => {
        isDone = true;
        forget();
        intake.cancel(taker);
      };
      const taker = {
        onMessage: (message: ReceivedMessage): void => {
          finish();
          this.#previous = message;
          resolve(message);
        },
        onEnd: (error: unknown): void => {
          finish();
          if (error === undefined) resolve(null);
          else reject(error);
        },
      };
      const giveUp = async (): Promise<void> => {
        // What the broker can deliver at once comes before the answer to this.
        await intake.caughtUp();
        if (!isDone) await intake.closed();
        finish();
        resolve(null);
      };
      intake.wait(taker);
      if (isDone) return;
      const wait = { deadlineMs: asksBroker ? Infinity : deadlineMs, signal };
      const subject = { attempt: `receive from ${this.queue}`, outcome: () => "none" as const };
      forget = this.#core.onWaitEnd(wait, subject, (error) => {
        if (error.code === "EVH_TIMEOUT") return void giveUp().catch(reject);
        finish();
        reject(error);
      });
      if (asksBroker) giveUp().catch(reject);
    });
  }

  async #work(
    intake: Intake,
    handler: MessageHandler<T>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const context = { signal: this.#ending.signal };
    for (;;) {
      if (signal?.aborted === true) return;
      const message = intake.take() ?? (await nextOf(intake, signal));
      if (message === undefined) return;
      try {
        await this.#handle(handler, message, context);
      } catch (error) {
        await this.#onHandlerFailed(message, error);
        continue;
      }
      intake.settlement.acknowledgeQuietly(message);
    }
  }

  #handle(
    handler: MessageHandler<T>,
    message: ReceivedMessage,
    context: { readonly signal: AbortSignal },
  ): Promise<void> | void {
    const { tracing } = this.#core.ports;
    if (tracing?.watches("process") !== true) return handler(message, context);
    const details = { destination: this.queue, message: tracedMessage(message) };
    return tracing.trace("process", details, async () => handler(message, context));
  }

  async #onHandlerFailed(message: ReceivedMessage, error: unknown): Promise<void> {
    const { deliveryCount } = message;
    const fields = { queue: this.queue, message: message.id, deliveryCount, error: textOf(error) };
    this.#handlerFailures.note(this.#core.ports.monotonicClock.nowMs(), fields);
    if (message.state !== "taken") return;
    try {
      if (isPermanent(error)) await message.reject(textOf(error));
      else await message.release();
    } catch (settleError) {
      this.#core.reportError(settleError);
    }
  }

  async #closeOnce(): Promise<void> {
    this.#ending.abort(new ClosedError("EVH_CLOSED", `The consumer of ${this.queue} is closed`));
    try {
      const intake = await this.#opening;
      intake.pause();
      await this.#source.close(intake);
    } catch {
      // A consumer that never opened, or whose connection is gone, is closed at the broker already.
    }
    this.#onClose(this);
  }
}

/** The next message; `undefined` when no more will come, or the signal aborts. */
function nextOf(intake: Intake, signal?: AbortSignal): Promise<ReceivedMessage | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      intake.cancel(taker);
      resolve(undefined);
    };
    const taker = {
      onMessage(message: ReceivedMessage): void {
        forgetSignal?.();
        resolve(message);
      },
      onEnd(error: unknown): void {
        forgetSignal?.();
        if (error === undefined) resolve(undefined);
        else reject(error);
      },
    };
    const forgetSignal = signal === undefined ? undefined : listenForAbort(signal, onAbort);
    intake.wait(taker);
  });
}

/** Whether an error says of itself that trying again can't help. */
function isPermanent(error: unknown): boolean {
  return (
    typeof error === "object" && error !== null && "retryable" in error && error.retryable === false
  );
}

/** What people are told of an error; not all that can be thrown has a text. */
function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return typeof error;
  }
}
