import { ClosedError, type EverholdError } from "@everhold/base";
import type { ConnectionCore } from "../connection/connection-core.ts";
import { encodeMessage } from "../message/encode-message.ts";
import type { Body } from "../message/body.ts";
import type { MessageOptions, Routing, SendOptions, SendTarget } from "../message/send-options.ts";
import type { CoreSession } from "../session/core-session.ts";

/** How a producer sends; what it says of messages is the default of each. */
export interface ProducerOptions extends MessageOptions {
  /** Default `anycast`: one queue gets each message. `multicast` is for topics. */
  readonly routing?: Routing;
}

/** A message and how it is sent, for {@link Producer.sendBatch}. */
export interface OutgoingMessage extends MessageOptions {
  readonly body: Body;
}

/** Sends messages to one address. */
export interface Producer extends AsyncDisposable {
  readonly address: string;
  /**
   * Sends a message; settles when the broker has it safe, on disk if it is durable. Many may be under
   * way at once: they leave in order, held back by the broker's credit and by the send buffer. A durable
   * one is sent again after a reconnect, under a duplicate id; another is then rejected as unknown.
   * The body may be changed once this has returned.
   *
   * @throws EverholdError its `outcome` says whether the broker may have the message
   */
  send(body: Body, options?: SendOptions): Promise<void>;
  /** Sends all of them at once; settles when the broker has all, rejects with the first error. */
  sendBatch(messages: Iterable<OutgoingMessage>): Promise<void>;
  /** Settles when what was sent has settled; later sends are rejected with EVH_CLOSED. */
  close(): Promise<void>;
}

/** A {@link Producer} on a session, which producers may share. */
export class SessionProducer implements Producer {
  readonly address: string;
  readonly #core: ConnectionCore;
  readonly #session: CoreSession;
  readonly #target: SendTarget;
  readonly #defaults: MessageOptions;
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
    const { routing, ...defaults } = options;
    this.address = address;
    this.#core = core;
    this.#session = session;
    this.#target = { address, routing: routing ?? "anycast" };
    this.#defaults = defaults;
    this.#onClose = onClose;
  }

  send(body: Body, options?: SendOptions): Promise<void> {
    if (this.#closed || !this.#core.takesSends) return Promise.reject(this.#closedError());
    const { outbox, transaction } = this.#session;
    let sent: Promise<void>;
    try {
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
      transaction?.onWork();
      sent = outbox.send(this.#target, message, options);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#pendingCount += 1;
    sent.then(this.#onSettled, this.#onSettled);
    return sent;
  }

  async sendBatch(messages: Iterable<OutgoingMessage>): Promise<void> {
    const sends: Promise<void>[] = [];
    for (const { body, ...options } of messages) sends.push(this.send(body, options));
    const results = await Promise.allSettled(sends);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#onClose(this);
    }
    if (this.#pendingCount === 0) return;
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
