import {
  assert,
  ClosedError,
  ConnectionError,
  deferred,
  EverholdError,
  type Deferred,
} from "@everhold/base";
import type { Ports } from "@everhold/env";
import type { TypedValue } from "@everhold/wire";
import { Backoff } from "../backoff.ts";
import type { Channel } from "../core/channel.ts";
import { SessionCreation, type SessionFlavour } from "../core/session-creation.ts";
import type { Transport } from "../core/transport.ts";
import { EventHub, type ConnectionEvent } from "../events.ts";
import { limits } from "../limits.ts";
import type { MessageOrigin } from "../message/encode-message.ts";
import { randomUuid, UserIds } from "../message/user-ids.ts";
import type { ResolvedOptions } from "../options.ts";
import {
  CoreSession,
  flavours,
  type SessionHost,
  type SessionOpening,
} from "../session/core-session.ts";
import {
  checkTimeout,
  deadlineIn,
  onWaitEnd,
  pause,
  waitFor,
  type DeadlineMs,
  type WaitOptions,
} from "../waiting.ts";
import { asEverholdError, closedError, notYet } from "./connection-errors.ts";
import { Connector } from "./connector.ts";
import { introduceClient, readFeatures } from "./introduction.ts";

/** Where a connection stands. */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "draining" | "closed";

/** The feature of brokers that know producer marks. */
const markFeature = "mark/1";
/** Channels of sessions begin here. */
const firstSessionChannel = 10;

/**
 * One connection over all its sockets: connects, notices loss, reconnects without end, and creates
 * every session anew. What is public is in `connection.ts`.
 *
 *     connecting ──> connected <──> reconnecting ──> closed
 */
export class ConnectionCore {
  readonly ports: Ports;
  readonly options: ResolvedOptions;
  readonly events = new EventHub();
  readonly origin: MessageOrigin;
  /** The session of producers, of queries, and of what else needs none of its own. */
  readonly base: CoreSession;
  /** Names of what the broker can beyond CORE, e.g. `mark/1`; `undefined`: it is not Everhold. */
  features: ReadonlySet<string> | undefined;
  /** Asks the broker where it sends dead letters of an address; the connection sets it. */
  deadLetterAddressOf: (address: string) => Promise<string | undefined> = () =>
    Promise.resolve(undefined);
  /** Sends whose bodies are streamed, each in a session of its own. */
  readonly streamSends = new Set<Promise<void>>();
  readonly #sessions = new Set<CoreSession>();
  readonly #ending = new AbortController();
  readonly #backoff: Backoff;
  readonly #connector: Connector;
  readonly #creations = new WeakMap<Transport, SessionCreation>();
  readonly #sessionHost: SessionHost;
  readonly #readyWaiters = new Set<Deferred<Transport>>();
  #state: ConnectionState = "connecting";
  #transport: Transport | undefined;
  #takesSends = true;
  #nextChannelId = firstSessionChannel;
  #connectedSinceMs = 0;
  #closing: Promise<void> | undefined;
  #endError: EverholdError | undefined;

  constructor(ports: Ports, options: ResolvedOptions) {
    this.ports = ports;
    this.options = options;
    const bounds = { minMs: options.initialDelayMs, maxMs: options.maxDelayMs };
    this.#backoff = new Backoff(bounds, ports.random);
    this.#connector = new Connector({
      ports,
      options,
      backoff: this.#backoff,
      signal: this.#ending.signal,
      openSessions: (transport) => this.#openSessions(transport),
      onLost: (error) => this.#onLost(error),
      onRetry: (retry) => this.emit({ type: "reconnecting", ...retry }),
    });
    const connectionId: TypedValue = {
      type: "string",
      value: options.clientId ?? randomUuid(ports.random),
    };
    this.origin = { wallClock: ports.wallClock, userIds: new UserIds(ports.random), connectionId };
    this.#sessionHost = {
      ports,
      producerWindowBytes: options.producerWindowBytes,
      sendBufferBytes: options.sendBufferBytes,
      minLargeMessageBytes: options.minLargeMessageBytes,
      confirmationWindowBytes: options.confirmationWindowBytes,
      clientId: options.clientId,
      nextChannelId: () => this.#nextChannelId++,
      keepsOutcomes: () => this.keepsMarks,
      onBlocked: (address, blocked) =>
        this.emit({ type: blocked ? "blocked" : "unblocked", address }),
      onError: this.reportError,
    };
    this.base = new CoreSession(this.#sessionHost, flavours.plain);
    this.#sessions.add(this.base);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether the broker knows producer marks, keeps their outcomes, and finds them in `_EVH_SEQ` too. */
  get keepsMarks(): boolean {
    return this.features?.has(markFeature) === true;
  }

  /** Why no call can succeed any more; `undefined` while the connection may be used. */
  get endError(): EverholdError | undefined {
    return this.#endError;
  }

  /** Connects for the first time. @throws EverholdError of the last attempt */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const forget = this.#abortWith(signal);
    try {
      const transport = await this.#connector.connect(this.options.initialRounds);
      this.#onConnected(transport, "connect");
    } catch (error) {
      this.#end(asEverholdError(error));
      // Where the caller gave up, that is the reason, not what the last attempt met.
      throw this.#endError ?? error;
    } finally {
      forget();
    }
  }

  /** Tells listeners and readers. */
  emit(event: ConnectionEvent): void {
    this.events.emit(event, (error) => {
      this.ports.log.error("A listener of connection events failed", { error: String(error) });
    });
  }

  /** Tells of a failure that no call of the application waits for. */
  readonly reportError = (error: unknown): void => {
    this.emit({ type: "error", error: asEverholdError(error) });
  };

  /** Opens a session; survives reconnects meanwhile. @throws EverholdError */
  async openSession(
    flavour: SessionFlavour,
    wait: WaitOptions,
    attempt: string,
  ): Promise<CoreSession> {
    if (this.#sessions.size >= limits.sessionCountMax) {
      throw new EverholdError(
        "EVH_OVERLOADED",
        `Cannot ${attempt}: found ${this.#sessions.size} sessions on the connection, ` +
          `at most ${limits.sessionCountMax} are allowed`,
      );
    }
    const session = new CoreSession(this.#sessionHost, flavour);
    try {
      await this.whileConnected(wait, attempt, async (transport) => {
        await session.open(await this.#opening(transport));
        // The connection may have ended in the very step that opened it.
        if (this.#endError !== undefined) throw this.#endError;
        if (!session.ended) this.#sessions.add(session);
      });
    } catch (error) {
      this.#sessions.delete(session);
      session.end(asEverholdError(error), error);
      throw error;
    }
    return session;
  }

  /** Closes a session that {@link openSession} opened. */
  async closeSession(session: CoreSession): Promise<void> {
    this.#sessions.delete(session);
    await session.close();
  }

  /** Runs a query on the base session, again after a reconnect. It must be one that may be repeated. */
  query<T>(wait: WaitOptions, attempt: string, work: (channel: Channel) => Promise<T>): Promise<T> {
    return this.whileConnected(wait, attempt, () => {
      const { channel } = this.base;
      // The connection broke, or began to close, in this very step.
      return channel === undefined ? Promise.reject(closedError()) : work(channel);
    });
  }

  /** Runs `work` while the connection stands; when it breaks, runs it again on the next one. */
  async whileConnected<T>(
    wait: WaitOptions,
    attempt: string,
    work: (transport: Transport) => Promise<T>,
  ): Promise<T> {
    const deadlineMs = deadlineIn(
      this.ports,
      checkTimeout(wait.timeout, this.options.callTimeoutMs),
    );
    const bounds = { deadlineMs, signal: wait.signal };
    const subject = { attempt, outcome: () => "unknown" as const };
    for (;;) {
      const transport = await this.#ready(bounds, attempt);
      try {
        return await waitFor(this.ports, bounds, subject, work(transport));
      } catch (error) {
        if (transport.lostError === undefined || error instanceof TypeError) throw error;
        if (this.#endError !== undefined) throw this.#endError;
        if (EverholdError.is(error, "EVH_TIMEOUT") || EverholdError.is(error, "EVH_ABORTED"))
          throw error;
      }
    }
  }

  /** Takes no new work; `close` follows. */
  beginDrain(): void {
    if (this.#state !== "closed") this.#state = "draining";
  }

  /** Takes no more sends either: whoever consumed has said all there was to say. */
  endSends(): void {
    this.#takesSends = false;
  }

  /** Whether producers may send. */
  get takesSends(): boolean {
    return this.#takesSends;
  }

  /** Closes every session and the socket. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  async #closeOnce(): Promise<void> {
    if (this.#endError !== undefined) return;
    const closed = closedError();
    this.#state = "closed";
    const transport = this.#transport;
    if (transport !== undefined && transport.lostError === undefined) {
      const inOrder = Promise.all([...this.#sessions].map((session) => session.close()));
      const deadlineMs = deadlineIn(this.ports, this.options.callTimeoutMs);
      const subject = { attempt: "close the connection", outcome: notYet };
      await waitFor(this.ports, { deadlineMs, signal: undefined }, subject, inOrder).catch(
        // Closing the socket has the same effect at the broker, only later.
        this.reportError,
      );
      transport.close(closed);
    }
    this.#end(closed, undefined);
  }

  /** The base session first: from it the client learns whom it talks to. */
  async #openSessions(transport: Transport): Promise<void> {
    this.#creations.set(transport, new SessionCreation(transport));
    const opening = await this.#opening(transport);
    await this.base.open(opening, async (channel) => {
      const isFirst = this.#state === "connecting";
      await introduceClient(channel, { clientId: this.options.clientId, isFirst });
      // A broker heeds the marks of clients that have asked for its features: repeats come after this.
      this.features = await readFeatures(channel);
    });
    if (this.base.channel === undefined) throw transport.lostError ?? unreachableBroker(transport);
    const others = [...this.#sessions].filter((session) => session !== this.base);
    await Promise.all(others.map((session) => session.open(opening)));
  }

  async #opening(transport: Transport): Promise<SessionOpening> {
    const creation = this.#creations.get(transport);
    assert(creation !== undefined, "every transport gets its channel 1 first");
    const username = await this.options.username();
    const password = await this.options.password();
    return { transport, creation, username, password };
  }

  #onConnected(transport: Transport, type: "connect" | "reconnect"): void {
    this.#transport = transport;
    this.#connectedSinceMs = this.ports.monotonicClock.nowMs();
    if (this.#state !== "draining") this.#state = "connected";
    this.emit({ type, url: transport.url });
    for (const waiter of this.#readyWaiters) waiter.resolve(transport);
    this.#readyWaiters.clear();
    // It may have been given up in the very step that made it usable.
    if (transport.lostError !== undefined) this.#onLost(transport.lostError);
  }

  #onLost(error: EverholdError): void {
    const hadConnection = this.#transport !== undefined;
    if (!hadConnection || this.#endError !== undefined || this.#state === "closed") return;
    this.#transport = undefined;
    if (this.#state !== "draining") this.#state = "reconnecting";
    this.ports.log.warn("The connection broke", { error: error.message });
    this.emit({ type: "disconnect", error });
    this.#reconnect(error).catch(this.reportError);
  }

  async #reconnect(cause: EverholdError): Promise<void> {
    // A broker that says so does not want the connection back.
    if (this.options.reconnectRounds === 0 || cause.code === "EVH_SLOW_CONSUMER") {
      return this.#end(cause);
    }
    const lastedMs = this.ports.monotonicClock.nowMs() - this.#connectedSinceMs;
    try {
      if (lastedMs >= limits.stableConnectionMs) this.#backoff.reset();
      else await pause(this.ports, this.#backoff.nextMs(), this.#ending.signal);
      if (this.#ending.signal.aborted) return;
      const transport = await this.#connector.connect(this.options.reconnectRounds);
      this.ports.log.info("The connection stands again", { url: transport.url });
      this.#onConnected(transport, "reconnect");
    } catch (error) {
      if (this.#endError === undefined) this.#end(asEverholdError(error));
    }
  }

  async #ready(
    bounds: { readonly deadlineMs: DeadlineMs; readonly signal: AbortSignal | undefined },
    attempt: string,
  ): Promise<Transport> {
    if (this.#endError !== undefined) throw this.#endError;
    if (this.#closing !== undefined) throw closedError();
    const transport = this.#transport;
    const waiter = deferred<Transport>();
    if (transport !== undefined && transport.lostError === undefined) waiter.resolve(transport);
    else this.#readyWaiters.add(waiter);
    try {
      return await waitFor(this.ports, bounds, { attempt, outcome: notYet }, waiter.promise);
    } finally {
      // An outage may outlast any number of waits.
      this.#readyWaiters.delete(waiter);
    }
  }

  #end(error: EverholdError, takeError: unknown = error): void {
    if (this.#endError !== undefined) return;
    this.#endError = error;
    this.#state = "closed";
    this.#ending.abort(error);
    this.#transport?.fail(error);
    this.#transport = undefined;
    for (const session of this.#sessions) session.end(error, takeError);
    this.#sessions.clear();
    for (const waiter of this.#readyWaiters) waiter.reject(error);
    this.#readyWaiters.clear();
    const byApplication = error instanceof ClosedError;
    this.emit(byApplication ? { type: "close" } : { type: "close", error });
  }

  #abortWith(signal: AbortSignal | undefined): () => void {
    const wait = { deadlineMs: Infinity, signal };
    const subject = { attempt: "connect", outcome: notYet };
    return onWaitEnd(this.ports, wait, subject, (error) => this.#end(error));
  }
}

function unreachableBroker(transport: Transport): ConnectionError {
  return new ConnectionError("EVH_NOT_CONNECTED", `Cannot open a session at ${transport.url}`);
}
