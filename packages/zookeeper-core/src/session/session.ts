import { ClosedError, ConnectionError, type EverholdError } from "@everhold/base";
import { deadlineIn, type WaitOptions } from "@everhold/env";
import type {
  AuthInfo,
  ConnectionListener,
  ServerConnection,
} from "../connection/server-connection.ts";
import { refusedError } from "../errors.ts";
import type { ServerAddress } from "../protocol/connect-string.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { Announcer } from "./announcer.ts";
import { Attempts } from "./attempts.ts";
import { Connector } from "./connector.ts";
import { Dialer } from "./dialer.ts";
import { closeSessionOn } from "./close-session.ts";
import { guardedWatches } from "./guarded-watches.ts";
import { Hosts } from "./hosts.ts";
import { Identities } from "./identities.ts";
import { ReadyWaiters } from "./ready-waiters.ts";
import { RequestQueue } from "./request-queue.ts";
import type { Requests, RequestSpec, RequestWait } from "./request.ts";
import {
  asEverholdError,
  endedError,
  epochOverError,
  givenUpError,
  isAuthFailure,
  notConnectedError,
  sessionOverError,
} from "./session-errors.ts";
import type { Restored, WatchHost } from "./session-hooks.ts";
import type { SessionIdentity } from "./session-identity.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import { SessionLife } from "./session-life.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import { ServerMoves } from "./server-moves.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";
import type { SessionEvent, SessionState } from "./states.ts";

/** What a session is made of. */
export interface SessionParts {
  readonly ports: SessionPorts;
  readonly settings: SessionSettings;
  readonly watches: WatchHost;
  /** Called when each of the servers was tried in vain. Default: nobody cares. */
  readonly onRoundFailed?: () => void;
  /** Where the session is kept beyond the process. Default: nowhere. */
  readonly keeper?: SessionKeeper | undefined;
  /** What a process before has left, to be ended first. */
  readonly former?: SessionIdentity | undefined;
}

/**
 * One client's session with an ensemble: finds a server, keeps the session on it, moves it to another one when that
 * fails, and begins a new session when it is over. A session that this client has told to be lost is never taken up
 * again: it is ended on the servers first.
 *
 * There is one socket at a time. States: see {@link SessionState}; this class alone makes the transitions.
 */
export class Session implements Requests, ConnectionListener {
  readonly #ports: SessionPorts;
  readonly #settings: SessionSettings;
  readonly #watches: WatchHost;
  readonly #announcer: Announcer;
  readonly #queue: RequestQueue;
  readonly #hosts: Hosts;
  readonly #life: SessionLife;
  readonly #moves: ServerMoves;
  readonly #dialer: Dialer;
  readonly #attempts: Attempts;
  readonly #identities: Identities;
  readonly #readyWaiters: ReadyWaiters;
  readonly #keeper: SessionKeeper | undefined;
  #state: SessionState = "connecting";
  #hasStarted = false;
  #connection: ServerConnection | undefined;
  #lastError: EverholdError | undefined;
  #endError: EverholdError | undefined;
  #closing: Promise<void> | undefined;
  readonly #ending = new AbortController();

  constructor({ ports, settings, watches, onRoundFailed, keeper, former }: SessionParts) {
    this.#ports = ports;
    this.#settings = settings;
    this.#watches = guardedWatches(watches, (error) => this.reportError(error));
    this.#identities = new Identities(settings.auths, {
      ports,
      connection: () => (this.#state === "connected" ? this.#connection : undefined),
      endError: () => this.#endError,
      unsentCause: () => this.#unsentCause(),
      ready: (wait) => this.ready(wait),
    });
    this.#hosts = new Hosts(settings.servers, ports, onRoundFailed);
    this.#life = new SessionLife(ports, settings.sessionTimeoutMs);
    this.#keeper = keeper;
    this.#dialer = new Dialer(ports, settings, this);
    // Nobody was told that it is lost, so one round of the servers must do: what asks for it keeps it from expiring.
    if (former !== undefined) this.#dialer.former.add(former, this.#hosts.count);
    this.#readyWaiters = new ReadyWaiters(ports);
    this.#announcer = new Announcer(ports.log);
    this.#queue = new RequestQueue({
      ports,
      unsentCause: () => this.#unsentCause(),
      unsentCountMax: limits.unsentCountMax,
      unsentBytesMax: limits.unsentBytesMax,
    });
    this.#attempts = this.#makeAttempts();
    this.#moves = new ServerMoves({
      ports,
      hosts: this.#hosts,
      current: () => ({ connection: this.#connection, isInUse: this.#state === "connected" }),
      stopSending: () => this.#queue.close(),
      resumeSending: (connection) => this.#queue.open(connection),
      giveUpAttempt: () => this.#attempts.giveUp(),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Which of this client's sessions it is, from 1; 0 before the first. */
  get epoch(): number {
    return this.#life.epoch;
  }

  /** The session's id; 0n while there is none. */
  get sessionId(): bigint {
    return this.#life.identity?.id ?? 0n;
  }

  /** Milliseconds after which the servers end a session that they do not hear of; as asked for while there is none. */
  get sessionTimeoutMs(): number {
    return this.#life.timeoutMs;
  }

  /** The last transaction that a server was known to have applied. */
  get lastZxid(): bigint {
    const seen = this.#connection?.lastZxid ?? 0n;
    const { lastZxid } = this.#life.progress;
    return seen > lastZxid ? seen : lastZxid;
  }

  /**
   * When the leader heard of the session at the earliest, if it has heard of all that the server that is connected did
   * until `followerMs`, a point of this machine's time.
   */
  heardAtMs(followerMs: number): number {
    return this.#connection?.touches?.heardAtMs(followerMs) ?? -Infinity;
  }

  /** Aborted when the client gives the session up for good, before the servers hear of it. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Whether the session of an epoch is over. */
  isOver(epoch: number): boolean {
    return this.#life.isOver(epoch);
  }

  /** The server that is connected, as `host:port`. */
  get server(): string | undefined {
    return this.#state === "connected" ? this.#connection?.server : undefined;
  }

  /** Why no server is connected; `undefined` while one is, or none was tried. */
  get lastError(): EverholdError | undefined {
    return this.#lastError;
  }

  /** Calls `listener` with each event until the returned function is called. */
  listen(listener: (event: SessionEvent) => void): () => void {
    return this.#announcer.listen(listener);
  }

  /** As {@link listen}, of one type. */
  on<K extends SessionEvent["type"]>(
    type: K,
    listener: (event: Extract<SessionEvent, { readonly type: K }>) => void,
  ): () => void {
    return this.#announcer.on(type, listener);
  }

  /** The events from now on; ends after `closed`. */
  events(): AsyncIterableIterator<SessionEvent> {
    return this.#announcer.read();
  }

  /** Begins to connect; goes on until `close()`. */
  start(): void {
    if (this.#hasStarted || this.#endError !== undefined) return;
    this.#hasStarted = true;
    this.#attempts.run().catch((error: unknown) => this.#endWith(asEverholdError(error), "closed"));
  }

  /** Waits until requests leave. @throws ConnectionError EVH_NOT_CONNECTED; EVH_CLOSED, EVH_SECURITY, EVH_ABORTED */
  async ready(wait: RequestWait = { deadlineMs: Infinity }): Promise<void> {
    if (this.#endError !== undefined) throw this.#endError;
    if (this.#state === "connected") return;
    await this.#readyWaiters.wait(wait, (cause) => notConnectedError(this.#lastError, cause));
  }

  request<T>(spec: RequestSpec<T>, wait: RequestWait): Promise<T> {
    if (this.#endError !== undefined) return Promise.reject(endedError(spec, this.#endError));
    const { epoch } = wait;
    if (epoch !== undefined && this.#life.isOver(epoch))
      return Promise.reject(epochOverError(spec));
    return this.#queue.request(spec, wait);
  }

  /** Adds an identity, on this and every later connection. @throws what {@link Identities.add} throws */
  addAuth(auth: AuthInfo, wait: RequestWait): Promise<void> {
    return this.#identities.add(auth, wait);
  }

  /**
   * Connects to these servers from now on, with TLS as to the first ones; a connection to another one is given up, the
   * session goes on. Where there are more than before, a share of the clients goes to those that are new. A server that
   * works is left when it has answered what it was asked.
   */
  useServers(servers: readonly ServerAddress[]): void {
    // Nobody is looked for any more, and the connection is that by which the session ends.
    if (this.#endError === undefined) this.#moves.useServers(servers);
  }

  /** Tells of something that failed and that no call waits for. */
  reportError(error: unknown): void {
    this.#announcer.error(error);
  }

  /**
   * Ends the session on the servers, then everything. Waits at most `timeout` for a server and the session's store; by
   * default for a server a session timeout, but no more than 5 s, and as long for the store. What takes the store longer
   * goes on by itself. Idempotent; never throws for what the servers or the store do.
   */
  close(wait: WaitOptions = {}): Promise<void> {
    this.#closing ??= this.#close(wait);
    return this.#closing;
  }

  // What the connection tells.

  asksServer(...[path, watch]: Parameters<WatchHost["asksServer"]>): boolean {
    return this.#watches.asksServer(path, watch);
  }

  onWatchedReply(...[path, watch, reply]: Parameters<WatchHost["onWatchedReply"]>): void {
    this.#watches.onWatchedReply(path, watch, reply);
  }

  onNotification(...[notification]: Parameters<WatchHost["onNotification"]>): void {
    this.#watches.onNotification(notification);
  }

  onRoom(): void {
    if (!this.#moves.checkLeaving()) this.#queue.pump();
  }

  onRefusal(errorCode: number): void {
    switch (errorCode) {
      case zooKeeperErrors.SESSIONEXPIRED.number:
        return this.#lose("server");
      case zooKeeperErrors.AUTHFAILED.number:
      case zooKeeperErrors.SESSIONCLOSEDREQUIRESASLAUTH.number:
        return this.#endWith(refusedError({ operation: { name: "use the session" } }, errorCode));
      default:
      // It is about one request only, and whoever made it is told.
    }
  }

  onLost(connection: ServerConnection, error: EverholdError): void {
    if (connection !== this.#connection) return;
    const { progress, epoch } = this.#life;
    progress.note(connection);
    this.#connection = undefined;
    this.#moves.forget();
    this.#queue.close();
    this.#lastError = error;
    if (this.#state === "connected") {
      progress.watchedZxid = progress.lastZxid;
      this.#state = "suspended";
      const lastHeardMs = this.#ports.monotonicClock.nowMs() - progress.heardAtMs;
      this.#announcer.suspended({ epoch, error, lastHeardMs });
    }
    if (this.#endError === undefined) this.#life.watchClock(() => this.#lose("clock"));
    this.#attempts.onLost();
  }

  // Connecting.

  #makeAttempts(): Attempts {
    const connector = new Connector({
      ports: this.#ports,
      settings: this.#settings,
      life: this.#life,
      dialer: this.#dialer,
      watches: this.#watches,
      auths: () => this.#identities.all,
      keeper: this.#keeper,
      host: {
        onGranted: (connection, signal) => this.#adopt(connection, signal),
        onOver: () => this.#lose("server"),
        onRolledBack: (zxid) => this.#onRolledBack(zxid),
        onUnready: (connection, error) => this.#onUnready(connection, error),
        onReady: (connection, identity, restored) => this.#onReady(connection, identity, restored),
      },
    });
    return new Attempts({
      ports: this.#ports,
      hosts: this.#hosts,
      connect: (endpoint, signal) =>
        connector.connect({ endpoint, signal, durationMs: this.#attemptMs }),
      onFailed: (error) => {
        this.#lastError = error;
        this.#announcer.attemptFailed(error);
      },
    });
  }

  #adopt(connection: ServerConnection, signal: AbortSignal): void {
    if (signal.aborted) connection.fail(givenUpError());
    this.#connection = connection;
    this.#life.stopClock();
    if (connection.endError === undefined) return;
    // It may have broken behind the answer, when nobody listened yet.
    this.onLost(connection, connection.endError);
    throw connection.endError;
  }

  #onReady(
    connection: ServerConnection,
    identity: SessionIdentity,
    restored: Restored | undefined,
  ): void {
    const { isFirst, sessionChanged } = this.#life.announce(identity);
    this.#state = "connected";
    this.#lastError = undefined;
    const { epoch, id: sessionId, timeoutMs: sessionTimeout } = identity;
    const told = { epoch, sessionId, sessionTimeout, server: connection.server };
    this.#announcer.connected(
      isFirst
        ? { type: "connected", ...told }
        : { type: "reconnected", ...told, sessionChanged, gap: true, restored },
    );
    const { sessionTimeoutMs: asked } = this.#settings;
    if (isFirst && sessionTimeout > asked) this.#announcer.timeoutRaised(asked, sessionTimeout);
    this.#readyWaiters.resolveAll();
    // Whoever was told may have closed the client, or the connection.
    if (this.#connection === connection) this.#queue.open(connection);
  }

  /** A connection that could not be made ready is given up, whatever the reason. */
  #onUnready(connection: ServerConnection, error: EverholdError): void {
    if (isAuthFailure(error)) return this.#endWith(error);
    if (connection.endError !== undefined) return;
    if (error.code !== "EVH_ABORTED") this.#announcer.error(error);
    connection.fail(error);
  }

  #onRolledBack(zxid: bigint): void {
    const { onRolledBack } = this.#settings;
    this.#announcer.rolledBack(this.#life.progress.lastZxid, zxid, onRolledBack);
    if (onRolledBack === "wait") return;
    this.#lose("server");
    this.#life.progress.forgetZxids();
  }

  // The session's end.

  #lose(by: "server" | "clock"): void {
    const identity = this.#life.end();
    if (identity === undefined) return;
    const { epoch, id: sessionId, isAnnounced } = identity;
    if (by === "clock") this.#dialer.former.add(identity);
    // One that is being closed stays so.
    if (isAnnounced && this.#endError === undefined) this.#state = "lost";
    this.#queue.dropEpoch(epoch);
    const error = sessionOverError();
    // An attempt that is under way was meant to go on with this session.
    if (by === "clock") this.#attempts.giveUp(error);
    this.#connection?.fail(error);
    if (!isAnnounced) return;
    this.#watches.onSessionLost(epoch);
    this.#announcer.lost({ epoch, sessionId, by });
  }

  #endWith(error: EverholdError, state: "authFailed" | "closed" = "authFailed"): void {
    if (this.#endError !== undefined) return;
    this.#state = state;
    this.#stop(error);
    this.#connection?.fail(error);
    this.#watches.onClosed();
    // Nobody waits for it yet: the client's close() does.
    this.#keeper
      ?.close({ deadlineMs: Infinity })
      .catch((thrown: unknown) => this.reportError(thrown));
    this.#announcer.closed(error, state === "authFailed");
  }

  async #close({ timeout, signal }: WaitOptions): Promise<void> {
    const byDefaultMs = Math.min(this.sessionTimeoutMs, limits.closeMsMax);
    const deadlineMs = deadlineIn(this.#ports, timeout ?? byDefaultMs);
    // By default the store has time of its own: a server that used up all of it would leave it locked for who is next.
    const storeWait = { deadlineMs: timeout === undefined ? undefined : deadlineMs, signal };
    if (this.#endError !== undefined) return this.#keeper?.close(storeWait);
    const wasConnected = this.#state === "connected";
    this.#state = "closed";
    this.#stop(new ClosedError("EVH_CLOSED", "The ZooKeeper client is closed"));
    const { identity } = this.#life;
    const connection = this.#connection;
    let isEnded: boolean;
    if (connection !== undefined && wasConnected) {
      isEnded = await closeSessionOn(connection, { deadlineMs, signal });
      // The server may have said meanwhile that it is over.
      isEnded ||= this.#life.identity === undefined;
    } else {
      connection?.fail(givenUpError());
      if (identity !== undefined) this.#dialer.former.add(identity);
      const { nextRound } = this.#hosts;
      const wait = { deadlineMs, signal };
      await this.#dialer.endFormerAnywhere(nextRound, () => this.#attemptMs, wait);
      isEnded = this.#dialer.former.count === 0;
    }
    // What no server has ended the next process is to end.
    if (isEnded) this.#keeper?.forget();
    await this.#keeper?.close(storeWait);
    this.#watches.onClosed();
    this.#announcer.closed();
  }

  #stop(error: EverholdError): void {
    this.#endError = error;
    this.#ending.abort(error);
    this.#moves.forget();
    this.#life.stopClock();
    this.#queue.close();
    this.#queue.failAll((pending) => endedError(pending, error));
    this.#readyWaiters.rejectAll(error);
    this.#attempts.stop(error);
  }

  // Small things.

  get #attemptMs(): number {
    return this.#life.attemptMs(this.#hosts.count);
  }

  #unsentCause(): EverholdError | undefined {
    if (this.#state === "connected") return undefined;
    return this.#lastError ?? new ConnectionError("EVH_NOT_CONNECTED", "no server was tried yet");
  }
}
