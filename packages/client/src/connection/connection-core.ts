import {
  ClosedError,
  ConnectionError,
  deferred,
  EverholdError,
  type Deferred,
} from "@everhold/base";
import {
  checkTimeout,
  deadlineIn,
  type DeadlineMs,
  onWaitEnd,
  orWaitEnd,
  type Ports,
  type Timer,
  waitFor,
  type WaitOptions,
  type WaitSubject,
} from "@everhold/env";
import type { TypedValue } from "@everhold/wire";
import type { Channel } from "../core/channel.ts";
import type { SessionFlavour } from "../core/session-creation.ts";
import type { Noticed, Transport } from "../core/transport.ts";
import { connectionEventHub, type ConnectionEvent } from "../events.ts";
import { limits } from "../limits.ts";
import type { MessageOrigin } from "../message/encode-message.ts";
import { randomUuid, UserIds } from "../message/user-ids.ts";
import type { ResolvedOptions } from "../options.ts";
import {
  CoreSession,
  flavours,
  markFeature,
  type SessionHost,
  type SessionOpening,
} from "../session/core-session.ts";
import { formatEndpoint } from "../url/parse-url.ts";
import type { ClusterMember } from "./cluster-view.ts";
import {
  asEverholdError,
  closedError,
  notYet,
  overdueCallError,
  overdueError,
  refusedWorkError,
} from "./connection-errors.ts";
import { introduceClient, readFeatures } from "./introduction.ts";
import type { RoundFailure } from "./round-failure.ts";
import type { Lease, Slot } from "./slot.ts";
import type { FailoverTimeline, TimelineRecorder } from "./timeline.ts";
import { shownMembers, type TopologyMember } from "./topology-member.ts";

/** Where a connection stands. */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "draining" | "closed";

/** How long somebody waits. */
export interface WaitBounds {
  readonly deadlineMs: DeadlineMs;
  readonly signal: AbortSignal | undefined;
}

/**
 * One connection of the application, over all its sockets: its sessions, and what is told of it. The socket is
 * the slot's, which several may share. What is public is in `api/connection.ts`.
 */
export class ConnectionCore implements Lease {
  readonly ports: Ports;
  readonly options: ResolvedOptions;
  readonly events = connectionEventHub();
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
  readonly #slot: Slot;
  readonly #sessions = new Set<CoreSession>();
  readonly #sessionHost: SessionHost;
  readonly #readyWaiters = new Set<Deferred<Transport>>();
  /** Who waits no longer than `failoverTimeout` for a connection that broke. */
  readonly #impatient = new Set<(error: EverholdError) => void>();
  /** The connection that may be used. */
  #transport: Transport | undefined;
  /** The connection that the sessions are on; it may be used once all leases are there. */
  #openOn: Transport | undefined;
  #hasOpened = false;
  #hasConnected = false;
  #isBroken = false;
  #overdueTimer: Timer | undefined;
  #overdueError: EverholdError | undefined;
  #takesSends = true;
  #isDraining = false;
  #closing: Promise<void> | undefined;
  #endError: EverholdError | undefined;

  constructor(slot: Slot, options: ResolvedOptions) {
    const { ports } = slot;
    this.ports = ports;
    this.options = options;
    this.#slot = slot;
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
      nextChannelId: () => slot.nextChannelId(),
      features: () => this.features,
      refusal: () => this.refusal(),
      orphans: slot.orphans,
      onBlocked: (address, blocked) =>
        this.emit({ type: blocked ? "blocked" : "unblocked", address }),
      onError: this.reportError,
    };
    this.base = new CoreSession(this.#sessionHost, flavours.plain, true);
    this.#sessions.add(this.base);
  }

  /** Where it leads, for people. */
  get #destination(): string {
    return this.options.endpoints.map(formatEndpoint).join(",");
  }

  get state(): ConnectionState {
    if (this.#endError !== undefined || this.isClosing) return "closed";
    if (this.#isDraining) return "draining";
    if (!this.#hasConnected) return "connecting";
    return this.#transport === undefined ? "reconnecting" : "connected";
  }

  /** Whether the broker knows producer marks, keeps their outcomes, and finds them in `_EVH_SEQ` too. */
  get keepsMarks(): boolean {
    return this.features?.has(markFeature) === true;
  }

  /** Why no call can succeed any more; `undefined` while the connection may be used. */
  get endError(): EverholdError | undefined {
    return this.#endError;
  }

  /** Whether there is a connection that may be used. */
  get isConnected(): boolean {
    return this.#transport !== undefined;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** Whether others use the same socket. */
  get isShared(): boolean {
    return this.#slot.leaseCount > 1;
  }

  /** The brokers that the broker told of. */
  get members(): readonly TopologyMember[] {
    return shownMembers(this.#slot.members);
  }

  /** The failover that is under way, else the last one. */
  get timeline(): FailoverTimeline | undefined {
    return this.#slot.timeline;
  }

  /** Why new work is refused rather than made to wait; `undefined`: it is not. */
  refusal(): EverholdError | undefined {
    if (!this.#isBroken) return undefined;
    if (this.#overdueError !== undefined) return this.#overdueError;
    if (this.options.whileReconnecting === "wait") return undefined;
    return refusedWorkError('whileReconnecting is "refuse"');
  }

  /** Connects for the first time. @throws EverholdError of the last attempt */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const forget = this.#abortWith(signal);
    const standing = deferred<Transport>();
    this.#readyWaiters.add(standing);
    try {
      if (this.#endError !== undefined) throw this.#endError;
      this.#slot.join(this);
      await standing.promise;
    } finally {
      this.#readyWaiters.delete(standing);
      forget();
    }
  }

  /** Tells listeners and readers. */
  emit(event: ConnectionEvent): void {
    this.ports.tracing?.tell({ destination: this.#destination, event });
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
      const subject = { attempt, outcome: notYet };
      await this.whileConnected(wait, subject, async (transport) => {
        await session.open(await this.#slot.opening(transport));
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
    return this.whileConnected(wait, { attempt, outcome: () => "unknown" }, () => {
      const { channel } = this.base;
      // The connection broke, or began to close, in this very step.
      return channel === undefined ? Promise.reject(closedError()) : work(channel);
    });
  }

  /**
   * Runs `work` while the connection stands; when it breaks, runs it again on the next one. `tried` says what is
   * known of its effect once it has begun.
   */
  async whileConnected<T>(
    wait: WaitOptions,
    tried: WaitSubject,
    work: (transport: Transport) => Promise<T>,
  ): Promise<T> {
    const timeout = checkTimeout(wait.timeout, this.options.callTimeoutMs);
    const bounds = { deadlineMs: deadlineIn(this.ports, timeout), signal: wait.signal };
    let isTried = false;
    const subject: WaitSubject = {
      attempt: tried.attempt,
      outcome: () => (isTried ? tried.outcome() : "none"),
    };
    const refusal = this.refusal();
    if (refusal !== undefined) throw refusal;
    for (;;) {
      const transport = await this.#ready(bounds, subject);
      isTried = true;
      try {
        return await this.waitFor(bounds, subject, work(transport));
      } catch (error) {
        if (transport.lostError === undefined || error instanceof TypeError) throw error;
        if (this.#endError !== undefined) throw this.#endError;
        if (this.#overdueError !== undefined || isImpatience(error)) throw error;
      }
    }
  }

  /** Settles when the connection stands. @throws EverholdError why nobody waits for it any longer */
  async whenStanding(bounds: WaitBounds, subject: WaitSubject): Promise<void> {
    await this.#ready(bounds, subject);
  }

  /** `promise`, or why nobody waits for it any longer: its time, its signal, or `failoverTimeout`. */
  waitFor<T>(bounds: WaitBounds, subject: WaitSubject, promise: Promise<T>): Promise<T> {
    return orWaitEnd(promise, (onEnd) => this.onWaitEnd(bounds, subject, onEnd));
  }

  /** As `onWaitEnd`, and an outage that lasts longer than `failoverTimeout` ends the wait as well. */
  onWaitEnd(
    bounds: WaitBounds,
    subject: WaitSubject,
    onEnd: (error: EverholdError) => void,
  ): () => void {
    const giveUp = (cause: EverholdError): void => {
      if (!this.#impatient.has(giveUp)) return;
      forget();
      onEnd(overdueCallError(subject, cause));
    };
    this.#impatient.add(giveUp);
    let forgetBounds = (): void => undefined;
    const forget = (): void => {
      this.#impatient.delete(giveUp);
      forgetBounds();
    };
    forgetBounds = onWaitEnd(this.ports, bounds, subject, (error) => {
      this.#impatient.delete(giveUp);
      onEnd(error);
    });
    // What is there already is given all the same.
    if (this.#overdueError !== undefined) Promise.reject(this.#overdueError).catch(giveUp);
    return forget;
  }

  /** Why nobody waits any longer for the connection; `undefined` while it stands, or may be waited for. */
  get overdueError(): EverholdError | undefined {
    return this.#overdueError;
  }

  /**
   * Gives the connection up for another one, or makes the next attempt at once; settles when one stands.
   *
   * @throws EverholdError EVH_CLOSED, EVH_TIMEOUT, EVH_ABORTED, or why there is none any more
   */
  async reconnect(wait: WaitOptions): Promise<void> {
    const deadlineMs = deadlineIn(this.ports, checkTimeout(wait.timeout, Infinity));
    if (this.#endError === undefined && !this.isClosing) this.#slot.reconnect();
    const bounds = { deadlineMs, signal: wait.signal };
    const subject = { attempt: "reconnect", outcome: notYet };
    await this.#ready(bounds, subject, "patient");
  }

  /** Takes no new work; `close` follows. */
  beginDrain(): void {
    this.#isDraining = true;
  }

  /** Takes no more sends either: whoever consumed has said all there was to say. */
  endSends(): void {
    this.#takesSends = false;
  }

  /** Whether producers may send. */
  get takesSends(): boolean {
    return this.#takesSends;
  }

  /** Closes every session, and the socket unless others use it. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#closeOnce();
    return this.#closing;
  }

  async openSessions(
    opening: SessionOpening,
    recorder: TimelineRecorder | undefined,
  ): Promise<void> {
    const { transport } = opening;
    const { base } = this;
    // The base session first: from it the client learns whom it talks to.
    if (this.#hasOpened) {
      const by = await base.resume(opening, this.#introduce);
      recorder?.sessionReturned(by);
    } else await base.open(opening, this.#introduce);
    this.#hasOpened = true;
    if (base.channel === undefined) throw transport.lostError ?? unreachableBroker(transport);
    const others = [...this.#sessions].filter((session) => session !== base);
    await Promise.all(
      others.map(async (session) => {
        const by = await session.resume(opening);
        recorder?.sessionReturned(by);
      }),
    );
    this.#openOn = transport;
  }

  isOpenOn(transport: Transport): boolean {
    return this.#openOn === transport;
  }

  onConnected(transport: Transport, timeline: FailoverTimeline | undefined): void {
    if (this.isClosing || this.#endError !== undefined) return;
    const { url } = transport;
    const wasBroken = this.#isBroken;
    this.#transport = transport;
    this.#isBroken = false;
    this.#forgetOverdue();
    if (this.#hasConnected) this.emit({ type: "reconnect", url });
    else this.emit({ type: "connect", url });
    this.#hasConnected = true;
    if (wasBroken && timeline !== undefined) {
      this.emit({ type: "failover", result: "completed", timeline });
    }
    for (const waiter of this.#readyWaiters) waiter.resolve(transport);
    this.#readyWaiters.clear();
  }

  onBroken(error: EverholdError, noticed: Noticed): void {
    this.#transport = undefined;
    this.#openOn = undefined;
    if (!this.#hasConnected || this.isClosing) return;
    this.#isBroken = true;
    const { failoverTimeoutMs } = this.options;
    if (failoverTimeoutMs !== Infinity) {
      this.#overdueTimer = this.ports.timers.after(failoverTimeoutMs, () => {
        this.#onOverdue(overdueError(failoverTimeoutMs, error));
      });
    }
    this.emit({ type: "disconnect", error, noticed });
  }

  onRetry(failure: RoundFailure): void {
    if (!this.isClosing) this.emit({ type: "reconnecting", ...failure });
  }

  onTopology(members: readonly ClusterMember[]): void {
    if (!this.#hasConnected || this.isClosing) return;
    this.emit({ type: "topology", members: shownMembers(members) });
  }

  onEnded(error: EverholdError, timeline: FailoverTimeline | undefined): void {
    this.#end(error, error, timeline);
  }

  readonly #introduce = async (channel: Channel): Promise<void> => {
    const isFirst = !this.#hasOpened && this.#slot.isFirst(this);
    await introduceClient(channel, { clientId: this.options.clientId, isFirst });
    // A broker heeds the marks of clients that have asked for its features: repeats come after this.
    this.features = await readFeatures(channel);
  };

  async #closeOnce(): Promise<void> {
    if (this.#endError !== undefined) return;
    const closed = closedError();
    const transport = this.#transport;
    if (transport !== undefined && transport.lostError === undefined) {
      const inOrder = Promise.all([...this.#sessions].map((session) => session.close()));
      const deadlineMs = deadlineIn(this.ports, this.options.callTimeoutMs);
      const subject = { attempt: "close the connection", outcome: notYet };
      await waitFor(this.ports, { deadlineMs, signal: undefined }, subject, inOrder).catch(
        // Closing the socket has the same effect at the broker, only later.
        this.reportError,
      );
    } else if (this.isShared) {
      // The broker may have kept them: the next connection of those who remain has them closed.
      await Promise.allSettled([...this.#sessions].map((session) => session.close()));
    }
    this.#end(closed, undefined);
  }

  /** Settles with the connection once there is one that may be used. Patience is beyond `failoverTimeout`. */
  async #ready(
    bounds: WaitBounds,
    subject: WaitSubject,
    kind: "patient" | "usual" = "usual",
  ): Promise<Transport> {
    if (this.#endError !== undefined) throw this.#endError;
    if (this.isClosing) throw closedError();
    const transport = this.#transport;
    const waiter = deferred<Transport>();
    if (transport !== undefined && transport.lostError === undefined) waiter.resolve(transport);
    else this.#readyWaiters.add(waiter);
    try {
      if (kind === "usual") return await this.waitFor(bounds, subject, waiter.promise);
      return await waitFor(this.ports, bounds, subject, waiter.promise);
    } finally {
      // An outage may outlast any number of waits.
      this.#readyWaiters.delete(waiter);
    }
  }

  /** Whoever waits has waited as long as it may; the sessions live on, and come back with the connection. */
  #onOverdue(error: EverholdError): void {
    this.#overdueTimer = undefined;
    this.#overdueError = error;
    const { failoverTimeoutMs } = this.options;
    this.ports.log.warn(
      "The connection is away for longer than failoverTimeout: calls are refused until it is back",
      { failoverTimeoutMs },
    );
    for (const session of this.#sessions) session.releaseWaiting(error);
    for (const giveUp of [...this.#impatient]) giveUp(error);
  }

  #forgetOverdue(): void {
    this.#overdueTimer?.cancel();
    this.#overdueTimer = undefined;
    this.#overdueError = undefined;
  }

  #end(error: EverholdError, takeError: unknown = error, timeline?: FailoverTimeline): void {
    if (this.#endError !== undefined) return;
    this.#endError = error;
    const ended = timeline ?? this.#slot.timeline;
    this.#forgetOverdue();
    this.#transport = undefined;
    this.#slot.leave(this, error);
    for (const session of this.#sessions) session.end(error, takeError);
    this.#sessions.clear();
    for (const waiter of this.#readyWaiters) waiter.reject(error);
    this.#readyWaiters.clear();
    if (this.#isBroken && ended !== undefined) {
      const result = timeline === undefined ? "abandoned" : "failed";
      this.emit({ type: "failover", result, timeline: { ...ended, result } });
    }
    this.#isBroken = false;
    const byApplication = error instanceof ClosedError;
    this.emit(byApplication ? { type: "close" } : { type: "close", error });
  }

  #abortWith(signal: AbortSignal | undefined): () => void {
    const wait = { deadlineMs: Infinity, signal };
    const subject = { attempt: "connect", outcome: notYet };
    return onWaitEnd(this.ports, wait, subject, (error) => this.#end(error));
  }
}

/** Whether it says that nobody waits any longer. */
function isImpatience(error: unknown): boolean {
  return EverholdError.is(error, "EVH_TIMEOUT") || EverholdError.is(error, "EVH_ABORTED");
}

function unreachableBroker(transport: Transport): ConnectionError {
  return new ConnectionError("EVH_NOT_CONNECTED", `Cannot open a session at ${transport.url}`);
}
