import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import { checkTimeout, deadlineIn, type WaitOptions, type WaitSubject } from "@everhold/env";
import type { ConnectionCore, WaitBounds } from "../connection/connection-core.ts";
import { createQueue, deleteQueue } from "../core/administration.ts";
import { limits } from "../limits.ts";
import type { Body } from "../message/body.ts";
import { encodeMessage } from "../message/encode-message.ts";
import type { MessageOptions } from "../message/send-options.ts";
import { randomUuid } from "../message/user-ids.ts";
import type { Intake } from "../receive/intake.ts";
import type { Message } from "../receive/message.ts";
import type { ReceivedMessage } from "../receive/received-message.ts";
import { flavours, type CoreSession } from "../session/core-session.ts";
import { intakeHost, intakeSettings } from "./consumer-sources.ts";

/**
 * Options of a request. `timeout` is for the whole of it; default the connection's call timeout. A reply
 * is found by a correlation id that is a text.
 */
export interface RequestOptions extends Omit<MessageOptions, "correlationBytes">, WaitOptions {}

/** A request as the client itself makes it. */
export interface InnerRequestOptions extends RequestOptions {
  /** Whoever answers does so at once: a reply that has not come when the queue for it is made anew never comes. */
  readonly isAnsweredAtOnce?: boolean;
}

interface PendingRequest {
  readonly isAnsweredAtOnce: boolean;
  /** Whether the queue was made anew since it was sent: the reply may have gone with the old one. */
  isInDoubt: boolean;
  readonly resolve: (message: ReceivedMessage) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Requests and their replies: one temporary queue for all requests of a connection, made at the first
 * one, and again after each reconnect. A reply finds its request by correlation id.
 */
export class Requests {
  /** The temporary queue that replies come to. */
  readonly queue: string;
  readonly #core: ConnectionCore;
  readonly #pending = new Map<string, PendingRequest>();
  #replies: Intake | undefined;
  #opening: Promise<CoreSession> | undefined;
  #nextNumber = 1;

  constructor(core: ConnectionCore) {
    this.#core = core;
    this.queue = `reply.${randomUuid(core.ports.random)}`;
  }

  /**
   * Sends a request and gives its reply.
   *
   * @throws TimeoutError EVH_TIMEOUT with outcome `unknown` when no reply came in time
   */
  async request<T>(
    address: string,
    body: Body,
    { isAnsweredAtOnce = false, ...options }: InnerRequestOptions,
  ): Promise<Message<T>> {
    const timeout = checkTimeout(options.timeout, this.#core.options.callTimeoutMs);
    const deadlineMs = deadlineIn(this.#core.ports, timeout);
    const refusal = this.#core.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.#pending.size >= limits.pendingRequestCountMax) throw overloadedError();
    this.#opening ??= this.#open();
    const wait = { deadlineMs, signal: options.signal };
    const subject = { attempt: `send a request to ${address}`, outcome: () => "none" as const };
    await this.#core.waitFor(wait, subject, this.#opening);
    // After a break the queue may have to be made again, before whoever answers gets the request.
    const standing = this.#replies?.standing();
    if (standing !== undefined) await this.#core.waitFor(wait, subject, standing);
    const correlationId = options.correlationId ?? `${this.queue}.${this.#nextNumber++}`;
    if (this.#pending.has(correlationId)) {
      throw new EverholdError(
        "EVH_ILLEGAL_STATE",
        `Cannot send a request with the correlation id ${correlationId}: another one waits under it`,
      );
    }
    const leftMs = Math.max(0, deadlineMs - this.#core.ports.monotonicClock.nowMs());
    // The send's time limit first: it knows whether the request has left.
    const sent = this.#send(address, body, { ...options, correlationId, timeout: leftMs });
    const reply = this.#await({ correlationId, address, isAnsweredAtOnce }, wait);
    sent.catch((error: unknown) => {
      const pending = this.#pending.get(correlationId);
      this.#pending.delete(correlationId);
      pending?.reject(error);
    });
    return reply;
  }

  /** What is left of a caller's time, at each call. @throws RangeError */
  budget({ timeout, ...rest }: WaitOptions): () => WaitOptions {
    const { ports, options } = this.#core;
    const deadlineMs = deadlineIn(ports, checkTimeout(timeout, options.callTimeoutMs));
    return () => ({ ...rest, timeout: Math.max(0, deadlineMs - ports.monotonicClock.nowMs()) });
  }

  /** Gives up all requests, and deletes the queue for their replies where it has been made. */
  async close(): Promise<void> {
    const opening = this.#opening;
    if (opening === undefined) return;
    this.end(closedError());
    try {
      await this.#core.closeSession(await opening);
      const { channel } = this.#core.base;
      if (channel !== undefined) await deleteQueue(channel, this.queue);
    } catch {
      // It is temporary: it goes with the connection at the latest.
    }
  }

  /** Gives up all requests. */
  end(error: unknown): void {
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
  }

  #await(
    asked: {
      readonly correlationId: string;
      readonly address: string;
      readonly isAnsweredAtOnce: boolean;
    },
    wait: WaitBounds,
  ): Promise<ReceivedMessage> {
    const { correlationId, address, isAnsweredAtOnce } = asked;
    return new Promise<ReceivedMessage>((resolve, reject) => {
      const pending: PendingRequest = {
        isAnsweredAtOnce,
        isInDoubt: false,
        resolve(message) {
          forget();
          resolve(message);
        },
        reject(error) {
          forget();
          reject(error);
        },
      };
      const subject: WaitSubject = {
        get attempt() {
          return `get a reply from ${address}${pending.isInDoubt ? inDoubt : ""}`;
        },
        outcome: () => "unknown",
      };
      this.#pending.set(correlationId, pending);
      const forget = this.#core.onWaitEnd(wait, subject, (error) => {
        this.#pending.delete(correlationId);
        reject(error);
      });
    });
  }

  #send(address: string, body: Body, options: RequestOptions): Promise<void> {
    const { base } = this.#core;
    try {
      const encoded = encodeMessage(
        this.#core.origin,
        {
          address,
          routing: "anycast",
          mark: base.outbox.mark,
          markBesideId: this.#core.keepsMarks,
        },
        body,
        // A request that nobody waits for any more is not worth the disk.
        { durable: false, ...options, replyTo: `temp-queue://${this.queue}` },
      );
      return base.outbox.send({ address, routing: "anycast" }, encoded, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #open(): Promise<CoreSession> {
    const core = this.#core;
    let session: CoreSession | undefined;
    try {
      const wait = { timeout: Infinity };
      session = await core.openSession(flavours.preAcknowledge, wait, "open a reply queue");
      const definition = {
        address: this.queue,
        name: this.queue,
        routing: "anycast",
        filter: null,
        durable: false,
        temporary: true,
        autoCreated: false,
        maxConsumers: -1,
      } as const;
      const target = {
        queue: this.queue,
        filter: null,
        prepare: async (channel: Parameters<typeof createQueue>[0]) => {
          await createQueue(channel, definition);
          this.#onQueueMade();
        },
      };
      const settings = intakeSettings(core, target, { ack: "pre" }, false);
      const intake = await session.addIntake(settings, intakeHost(core, core.base, target, {}));
      this.#replies = intake;
      this.#takeFrom(intake, session);
      return session;
    } catch (error) {
      // The next request tries again.
      this.#opening = undefined;
      if (session !== undefined) await core.closeSession(session);
      throw error;
    }
  }

  /** Replies that lay in the queue of before are gone; those that are still to be sent come to this one. */
  #onQueueMade(): void {
    const pending = [...this.#pending];
    if (pending.length === 0) return;
    const fields = { requests: pending.length };
    this.#core.ports.log.warn("The queue for replies was made anew; some may be lost", fields);
    for (const [correlationId, request] of pending) {
      request.isInDoubt = true;
      if (!request.isAnsweredAtOnce) continue;
      this.#pending.delete(correlationId);
      request.reject(lostReplyError());
    }
  }

  #takeFrom(intake: Intake, session: CoreSession): void {
    intake.wait({
      onMessage: (message) => {
        this.#onReply(message);
        this.#takeFrom(intake, session);
      },
      onEnd: (error) => {
        this.#opening = undefined;
        this.#core.closeSession(session).catch(this.#core.reportError);
        this.end(error ?? closedError());
      },
    });
  }

  #onReply(message: ReceivedMessage): void {
    const { correlationId } = message;
    const pending = correlationId === undefined ? undefined : this.#pending.get(correlationId);
    // Without a request it is a reply that came after its time limit.
    if (correlationId === undefined || pending === undefined) return;
    this.#pending.delete(correlationId);
    pending.resolve(message);
  }
}

const inDoubt =
  ", which may be lost: the connection broke meanwhile, and the queue for it was made anew; ask who answers";

function lostReplyError(): EverholdError {
  return new ConnectionError(
    "EVH_UNBLOCKED",
    "Cannot get a reply: the connection broke, and what had been answered is lost with the queue for it",
    { outcome: "unknown" },
  );
}

function closedError(): EverholdError {
  return new ClosedError("EVH_CLOSED", "Cannot get a reply: the connection is closed", {
    outcome: "unknown",
  });
}

function overloadedError(): EverholdError {
  return new EverholdError(
    "EVH_OVERLOADED",
    `Cannot send a request: found ${limits.pendingRequestCountMax} that wait for their replies`,
  );
}
