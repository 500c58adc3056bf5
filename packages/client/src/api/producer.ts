import { ClosedError, type EverholdError } from "@everhold/base";
import { checkTimeout, type WaitOptions } from "@everhold/env";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { checkAsyncSend, checkAsyncSendWindow, checkSendTimeout } from "../options.ts";
import { AsyncSends } from "../send/async-sends.ts";
import { isAsyncSend, type AsyncSend } from "../send/send-decision.ts";
import type { SendManner } from "../send/pending-send.ts";
import { encodeMessage, type EncodedMessage } from "../message/encode-message.ts";
import {
  bodySource,
  isStreamed,
  type BodySource,
  type StreamBody,
} from "../message/stream-body.ts";
import { sendInOwnSession } from "../send/stream-send.ts";
import type { Body } from "../message/body.ts";
import type { MessageOptions, Routing, SendOptions, SendTarget } from "../message/send-options.ts";
import type { CoreSession } from "../session/core-session.ts";
import { withHeaders } from "../tracing.ts";
import { checkName } from "./check-options.ts";

/** How a producer sends; what it says of messages is the default of each. */
export interface ProducerOptions extends MessageOptions {
  /** Default `anycast`: one queue gets each message. `multicast` is for topics. */
  readonly routing?: Routing;
  /** Default: the connection's, as the next two. */
  readonly asyncSend?: AsyncSend;
  readonly asyncSendWindow?: number;
  readonly sendTimeout?: number;
}

/** A message and how it is sent, for {@link Producer.sendBatch}. */
export interface OutgoingMessage extends MessageOptions {
  readonly body: Body | StreamBody;
}

/** Sends messages to one address. */
export interface Producer extends AsyncDisposable {
  readonly address: string;
  /**
   * Sends a message; settles when the broker has it safe, on disk if it is durable. Many may be under
   * way at once: they leave in order, held back by the broker's credit and by the send buffer. A durable
   * one is sent again after a reconnect, under a duplicate id; another is then rejected as unknown.
   * Where `asyncSend` says so it settles as it leaves, and `error` events tell what was refused.
   * The body may be changed once this has returned.
   *
   * A body that is a stream, and bytes of more than 16 MiB - 128 KiB, are read as they are sent, in memory that
   * does not depend on their size. Outside a transaction such a message travels in a session of its own, and what
   * is sent meanwhile may overtake it; it settles when the broker has it safe, whatever `asyncSend` says. Where the
   * connection breaks before, it is sent again from its beginning if it is durable and its body is bytes or a
   * function that gives the stream anew; else it is rejected, with the outcome `none` while it had not left whole.
   *
   * @throws EverholdError its `outcome` says whether the broker may have the message
   */
  send(body: Body | StreamBody, options?: SendOptions): Promise<void>;
  /** Sends all of them at once; settles when the broker has all, rejects with the first error. */
  sendBatch(messages: Iterable<OutgoingMessage>): Promise<void>;
  /** Settles when the broker has answered what was sent, or nobody will; later sends are rejected with EVH_CLOSED. */
  close(): Promise<void>;
}

/** A {@link Producer} on a session, which producers may share. */
export class SessionProducer implements Producer {
  readonly address: string;
  readonly #core: ConnectionCore;
  readonly #session: CoreSession;
  readonly #target: SendTarget;
  readonly #defaults: MessageOptions;
  readonly #sendTimeoutMs: number;
  readonly #asyncSend: AsyncSend;
  readonly #attended: SendManner;
  readonly #unattended: SendManner;
  readonly #onClose: (producer: SessionProducer) => void;
  readonly #idleWaiters: (() => void)[] = [];
  #pendingCount = 0;
  #closed = false;

  constructor(
    core: ConnectionCore,
    session: CoreSession,
    address: string,
    options: ProducerOptions,
    onClose: (producer: SessionProducer) => void = () => undefined,
  ) {
    if (typeof address !== "string" || address === "") {
      throw new TypeError("The address of a producer is a string that is not empty");
    }
    checkName("send to", address);
    const { routing, asyncSend, asyncSendWindow, sendTimeout, ...defaults } = options;
    const byDefault = core.options;
    this.#asyncSend = asyncSend === undefined ? byDefault.asyncSend : checkAsyncSend(asyncSend);
    this.#sendTimeoutMs =
      sendTimeout === undefined ? byDefault.sendTimeoutMs : checkSendTimeout(sendTimeout);
    const asyncSends = new AsyncSends(
      asyncSendWindow === undefined
        ? byDefault.asyncSendWindowBytes
        : checkAsyncSendWindow(asyncSendWindow),
    );
    this.#attended = { isAsync: false, asyncSends };
    this.#unattended = { isAsync: true, asyncSends };
    this.address = address;
    this.#core = core;
    this.#session = session;
    this.#target = { address, routing: routing ?? "anycast" };
    this.#defaults = defaults;
    this.#onClose = onClose;
  }

  send(body: Body | StreamBody, options?: SendOptions): Promise<void> {
    const { tracing } = this.#core.ports;
    if (tracing?.watches("send") !== true) return this.#send(body, options);
    const headers: Record<string, string> = {};
    return tracing.trace("send", { destination: this.address, headers }, () => {
      const properties = withHeaders(options?.properties ?? this.#defaults.properties, headers);
      return this.#send(body, { ...options, properties });
    });
  }

  #send(body: Body | StreamBody, options: SendOptions | undefined): Promise<void> {
    if (this.#closed || !this.#core.takesSends) return Promise.reject(this.#closedError());
    const refusal = this.#core.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    if (isStreamed(body)) return this.#track(this.#sendStream(bodySource(body), options));
    const { outbox, transaction } = this.#session;
    let sent: Promise<void>;
    try {
      if (options?.timeout !== undefined) checkTimeout(options.timeout, Infinity);
      const merged = options === undefined ? this.#defaults : { ...this.#defaults, ...options };
      const message = encodeMessage(
        this.#core.origin,
        {
          ...this.#target,
          mark: outbox.mark,
          markBesideId: this.#core.keepsMarks,
        },
        body,
        merged,
      );
      transaction?.onSend();
      sent = outbox.send(
        this.#target,
        message,
        this.#waitOf(options),
        this.#mannerOf(message.durable, options),
      );
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#track(sent);
  }

  async sendBatch(messages: Iterable<OutgoingMessage>): Promise<void> {
    const sends: Promise<void>[] = [];
    for (const message of messages) {
      if (typeof message !== "object" || message === null) {
        throw new TypeError(`Cannot send a batch: found a message of type ${typeof message}`);
      }
      const { body, ...options } = message;
      sends.push(this.send(body, options));
    }
    const results = await Promise.allSettled(sends);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#onClose(this);
    }
    if (this.#pendingCount > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
    await this.#attended.asyncSends.idle();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #track(sent: Promise<void>): Promise<void> {
    this.#pendingCount += 1;
    sent.then(this.#onSettled, this.#onSettled);
    return sent;
  }

  /** In a transaction its place is among the other sends; elsewhere nothing is to wait for it. */
  async #sendStream(source: BodySource, options: SendOptions | undefined): Promise<void> {
    const wait = this.#waitOf(options);
    const { transaction } = this.#session;
    if (transaction !== undefined) {
      const message = this.#encodeHead(this.#session, source, options);
      transaction.onSend();
      return this.#session.outbox.send(this.#target, message, wait);
    }
    const sending = sendInOwnSession(this.#core, this.#target, wait, (session) =>
      this.#encodeHead(session, source, options),
    );
    const { streamSends } = this.#core;
    streamSends.add(sending);
    try {
      await sending;
    } finally {
      streamSends.delete(sending);
    }
  }

  #encodeHead(
    session: CoreSession,
    source: BodySource,
    options: SendOptions | undefined,
  ): EncodedMessage {
    // One that is never repeated needs no mark, and a number of a row that is not used would leave a gap.
    const mark = source.isRepeatable ? session.outbox.mark : undefined;
    const target = { ...this.#target, mark, markBesideId: this.#core.keepsMarks };
    const merged = { ...this.#defaults, ...options };
    return { ...encodeMessage(this.#core.origin, target, new Uint8Array(0), merged), source };
  }

  #waitOf(options: SendOptions | undefined): WaitOptions | undefined {
    if (this.#sendTimeoutMs === Infinity || options?.timeout !== undefined) return options;
    const timeout = this.#sendTimeoutMs;
    return options?.signal === undefined ? { timeout } : { timeout, signal: options.signal };
  }

  #mannerOf(durable: boolean, options: SendOptions | undefined): SendManner {
    const isAsync = isAsyncSend({
      asyncSend: this.#asyncSend,
      confirm: options?.confirm ?? false,
      hasTimeout: (options?.timeout ?? this.#sendTimeoutMs) !== Infinity,
      durable,
      transacted: this.#session.transaction !== undefined,
    });
    return isAsync ? this.#unattended : this.#attended;
  }

  readonly #onSettled = (): void => {
    this.#pendingCount -= 1;
    if (this.#pendingCount > 0 || this.#idleWaiters.length === 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  };

  #closedError(): EverholdError {
    return new ClosedError(
      "EVH_CLOSED",
      `Cannot send to ${this.address}: the producer is closed, or its connection is closing`,
    );
  }
}
