import {
  ClosedError,
  ConnectionError,
  deferred,
  type Deferred,
  type EverholdError,
} from "@everhold/base";
import {
  deadlineIn,
  type Endpoint,
  onWaitEnd,
  pause,
  type Timer,
  type WaitOptions,
} from "@everhold/env";
import type {
  AuthInfo,
  ConnectionListener,
  ServerConnection,
} from "../connection/server-connection.ts";
import { refusedError } from "../errors.ts";
import { formatServer, type ServerAddress } from "../protocol/connect-string.ts";
import { zooKeeperErrors } from "../protocol/error-codes.ts";
import { Announcer } from "./announcer.ts";
import { Dialer } from "./dialer.ts";
import { closeSessionOn } from "./end-session.ts";
import { Hosts } from "./hosts.ts";
import { makeReady } from "./make-ready.ts";
import { Progress } from "./progress.ts";
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
import type { Restored, Restoring, WatchHost } from "./session-hooks.ts";
import { isGranted, type SessionIdentity } from "./session-identity.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";
import type { SessionEvent, SessionState } from "./states.ts";
import type { DialAttempt } from "./visit.ts";

/** What a session is made of. */
export interface SessionParts {
  readonly ports: SessionPorts;
  readonly settings: SessionSettings;
  readonly watches: WatchHost;
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
  readonly #dialer: Dialer;
  readonly #auths: AuthInfo[];
  readonly #ending = new AbortController();
  readonly #readyWaiters: ReadyWaiters;
  #state: SessionState = "connecting";
  #hasStarted = false;
  #identity: SessionIdentity | undefined;
  #epoch = 0;
  /** The epoch that the application was told of last. */
  #announcedEpoch = 0;
  #connection: ServerConnection | undefined;
  /** Resolved when the connection is gone. */
  #gone: Deferred<void> | undefined;
  /** Ends the attempt that is under way. */
  #attempting: AbortController | undefined;
  #lostTimer: Timer | undefined;
  #lastError: EverholdError | undefined;
  #endError: EverholdError | undefined;
  readonly #progress = new Progress();
  #closing: Promise<void> | undefined;

  constructor({ ports, settings, watches }: SessionParts) {
    this.#ports = ports;
    this.#settings = settings;
    this.#watches = watches;
    this.#auths = [...settings.auths];
    this.#hosts = new Hosts(settings.servers, ports);
    this.#dialer = new Dialer(ports, settings, this);
    this.#readyWaiters = new ReadyWaiters(ports);
    this.#announcer = new Announcer(ports.log);
    this.#queue = new RequestQueue({
      ports,
      unsentCause: () => this.#unsentCause(),
      unsentCountMax: limits.unsentCountMax,
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Which of this client's sessions it is, from 1; 0 before the first. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The session's id; 0n while there is none. */
  get sessionId(): bigint {
    return this.#identity?.id ?? 0n;
  }

  /** Milliseconds after which the servers end a session that they do not hear of; as asked for while there is none. */
  get sessionTimeoutMs(): number {
    return this.#identity?.timeoutMs ?? this.#settings.sessionTimeoutMs;
  }

  /** The last transaction that a server was known to have applied. */
  get lastZxid(): bigint {
    const seen = this.#connection?.lastZxid ?? 0n;
    const { lastZxid } = this.#progress;
    return seen > lastZxid ? seen : lastZxid;
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

  /** The events from now on; ends after `closed`. */
  events(): AsyncIterableIterator<SessionEvent> {
    return this.#announcer.read();
  }

  /** Begins to connect; goes on until `close()`. */
  start(): void {
    if (this.#hasStarted || this.#endError !== undefined) return;
    this.#hasStarted = true;
    this.#run().catch((error: unknown) => this.#endWith(asEverholdError(error), "closed"));
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
    const isOver = epoch !== undefined && (epoch !== this.#epoch || this.#identity === undefined);
    if (isOver) return Promise.reject(epochOverError(spec));
    return this.#queue.request(spec, wait);
  }

  /** Adds an identity, on this and every later connection. @throws ZooKeeperError EVH_SECURITY */
  async addAuth(auth: AuthInfo, wait: RequestWait): Promise<void> {
    if (this.#endError !== undefined) throw this.#endError;
    this.#auths.push(auth);
    const connection = this.#state === "connected" ? this.#connection : undefined;
    try {
      if (connection !== undefined) return await connection.authenticate(auth);
    } catch (error) {
      if (connection?.endError === undefined || this.#endError !== undefined) {
        this.#auths.splice(this.#auths.indexOf(auth), 1);
        throw error;
      }
      // The connection broke; the next one is given it before it is ready.
    }
    await this.ready(wait);
  }

  /**
   * Connects to these servers from now on, with TLS as to the first ones; a connection to another one is given up, the
   * session goes on.
   */
  useServers(servers: readonly ServerAddress[]): void {
    const [first] = this.#settings.servers;
    const wrapping = first?.tls === undefined ? {} : { tls: first.tls };
    this.#hosts.replace(servers.map((server) => ({ ...server, ...wrapping })));
    this.#attempting?.abort();
    const connection = this.#connection;
    if (connection === undefined) return;
    if (servers.some((server) => formatServer(server) === connection.server)) return;
    const message = `the server ${connection.server} is not among those to use any more`;
    connection.fail(new ConnectionError("EVH_DISCONNECTED", message));
  }

  /** Tells of something that failed and that no call waits for. */
  reportError(error: unknown): void {
    this.#announcer.error(error);
  }

  /**
   * Ends the session on the servers, then everything. Waits at most `timeout` for a server, by default a session
   * timeout, but no more than 5 s. Idempotent; never throws for what the servers do.
   */
  close(wait: WaitOptions = {}): Promise<void> {
    this.#closing ??= this.#close(wait);
    return this.#closing;
  }

  // What the connection tells.

  asksServer(...[path, watch]: Parameters<WatchHost["asksServer"]>): boolean {
    return this.#guarded(() => this.#watches.asksServer(path, watch)) ?? true;
  }

  onWatchedReply(...[path, watch, reply]: Parameters<WatchHost["onWatchedReply"]>): void {
    this.#guarded(() => this.#watches.onWatchedReply(path, watch, reply));
  }

  onNotification(...[notification]: Parameters<WatchHost["onNotification"]>): void {
    this.#guarded(() => this.#watches.onNotification(notification));
  }

  onRoom(): void {
    this.#queue.pump();
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
    this.#progress.note(connection);
    this.#connection = undefined;
    this.#queue.close();
    this.#lastError = error;
    if (this.#state === "connected") {
      this.#progress.watchedZxid = this.#progress.lastZxid;
      this.#state = "suspended";
      const lastHeardMs = this.#ports.monotonicClock.nowMs() - this.#progress.heardAtMs;
      this.#announcer.suspended({ epoch: this.#epoch, error, lastHeardMs });
    }
    this.#watchTheClock();
    this.#gone?.resolve();
  }

  // Connecting.

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (;;) {
      const endpoint = await this.#hosts.next(signal);
      if (signal.aborted) return;
      const attempting = new AbortController();
      this.#attempting = attempting;
      const gone = deferred<void>();
      this.#gone = gone;
      try {
        await this.#connect(endpoint, attempting.signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!attempting.signal.aborted) {
          this.#lastError = asEverholdError(error);
          this.#announcer.attemptFailed(this.#lastError);
        }
        continue;
      } finally {
        this.#attempting = undefined;
      }
      const sinceMs = this.#ports.monotonicClock.nowMs();
      await gone.promise;
      if (signal.aborted) return;
      this.#hosts.connectionLasted(this.#ports.monotonicClock.nowMs() - sinceMs);
      const share = this.#ports.random.uint32() / 0x1_0000_0000;
      await pause(this.#ports, share * limits.reconnectPauseMsMax, signal);
    }
  }

  /** One attempt with one server, up to the point where requests leave. @throws EverholdError */
  async #connect(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const attempt = { endpoint, signal, durationMs: this.#attemptMs };
    await this.#dialer.endFormer(attempt);
    await this.#lookForRollback(attempt);
    const connection = (await this.#resume(attempt)) ?? (await this.#begin(attempt));
    const identity = this.#identity;
    if (identity === undefined) throw connection.endError ?? givenUpError();
    const { epoch } = identity;
    const auths = [...this.#auths];
    const restored = await makeReady(connection, {
      ports: this.#ports,
      settings: this.#settings,
      auths,
      restoring: { requests: connection, epoch, lastZxid: this.#progress.watchedZxid },
      restore: (restoring) => this.#restore(identity, restoring),
    }).catch((error: unknown) => {
      this.#onUnready(connection, asEverholdError(error));
      throw error;
    });
    // A few steps lie between the last answer and this one; whoever closed the client in one of them has ended it.
    if (connection.endError !== undefined) throw connection.endError;
    // Of one that came meanwhile a refusal is told by the connection itself.
    const late = this.#auths.slice(auths.length);
    for (const auth of late) connection.authenticate(auth).catch(() => undefined);
    this.#onReady(connection, identity, restored);
  }

  /** Goes on with the session; `undefined` where there is none, or the server says that it is over. */
  async #resume(attempt: DialAttempt): Promise<ServerConnection | undefined> {
    const identity = this.#identity;
    if (identity === undefined) return undefined;
    const { connection, response } = await this.#dialer.dial(
      identity,
      this.#progress.lastZxid,
      attempt,
    );
    if (isGranted(identity, response)) {
      identity.timeoutMs = response.timeoutMs;
      return this.#adopt(connection, attempt);
    }
    connection.fail(givenUpError());
    this.#lose("server");
    return undefined;
  }

  /** Begins a session, on the same server that has said that the one before is over. */
  async #begin(attempt: DialAttempt): Promise<ServerConnection> {
    const { connection, response } = await this.#dialer.dial(
      undefined,
      this.#progress.lastZxid,
      attempt,
    );
    if (!isGranted(undefined, response) || response.password === null) {
      const error = new ConnectionError("EVH_NOT_READY", `${connection.server} grants no session`);
      connection.fail(error);
      throw error;
    }
    this.#epoch += 1;
    this.#identity = {
      id: response.sessionId,
      password: response.password,
      timeoutMs: response.timeoutMs,
      epoch: this.#epoch,
      isAnnounced: false,
    };
    return this.#adopt(connection, attempt);
  }

  #adopt(connection: ServerConnection, { signal }: DialAttempt): ServerConnection {
    if (signal.aborted) connection.fail(givenUpError());
    this.#connection = connection;
    this.#lostTimer?.cancel();
    if (connection.endError === undefined) return connection;
    // It may have broken behind the answer, when nobody listened yet.
    this.onLost(connection, connection.endError);
    throw connection.endError;
  }

  async #restore(identity: SessionIdentity, restoring: Restoring): Promise<Restored | undefined> {
    if (identity.isAnnounced) await this.#watches.restoreSameSession(restoring);
    else if (this.#announcedEpoch > 0) return this.#watches.restoreNewSession(restoring);
    return undefined;
  }

  #onReady(
    connection: ServerConnection,
    identity: SessionIdentity,
    restored: Restored | undefined,
  ): void {
    const sessionChanged = identity.epoch !== this.#announcedEpoch;
    const isFirst = this.#announcedEpoch === 0;
    identity.isAnnounced = true;
    this.#announcedEpoch = identity.epoch;
    this.#state = "connected";
    this.#lastError = undefined;
    const { epoch, id: sessionId, timeoutMs: sessionTimeout } = identity;
    const told = { epoch, sessionId, sessionTimeout, server: connection.server };
    this.#announcer.connected(
      isFirst
        ? { type: "connected", ...told }
        : { type: "reconnected", ...told, sessionChanged, gap: true, restored },
    );
    this.#readyWaiters.resolveAll();
    // Whoever was told may have closed the client, or the connection.
    if (this.#connection === connection) this.#queue.open(connection);
  }

  /** A connection that could not be made ready is given up, whatever the reason. */
  #onUnready(connection: ServerConnection, error: EverholdError): void {
    if (isAuthFailure(error)) return this.#endWith(error);
    if (connection.endError !== undefined) return;
    this.#announcer.error(error);
    connection.fail(error);
  }

  async #lookForRollback(attempt: DialAttempt): Promise<void> {
    const afterMs = 2 * this.sessionTimeoutMs;
    const zxid = await this.#dialer.rolledBackTo(this.#progress.lastZxid, afterMs, attempt);
    if (zxid === undefined) return;
    const { onRolledBack } = this.#settings;
    this.#announcer.rolledBack(this.#progress.lastZxid, zxid, onRolledBack);
    if (onRolledBack === "wait") return;
    this.#lose("server");
    this.#progress.forgetZxids();
  }

  // The session's end.

  /** While no server is connected only the clock can tell that the session may be over. */
  #watchTheClock(): void {
    this.#lostTimer?.cancel();
    if (this.#identity === undefined || this.#endError !== undefined) return;
    const delayMs = Math.max(0, this.#overAtMs - this.#ports.monotonicClock.nowMs());
    this.#lostTimer = this.#ports.timers.after(delayMs, () => this.#lose("clock"));
  }

  #lose(by: "server" | "clock"): void {
    const identity = this.#identity;
    if (identity === undefined) return;
    const { epoch, id: sessionId, isAnnounced } = identity;
    this.#identity = undefined;
    this.#lostTimer?.cancel();
    if (by === "clock") this.#dialer.former.add(identity);
    if (isAnnounced) this.#state = "lost";
    this.#queue.dropEpoch(epoch);
    const error = sessionOverError();
    // An attempt that is under way was meant to go on with this session.
    if (by === "clock") this.#attempting?.abort(error);
    this.#connection?.fail(error);
    if (!isAnnounced) return;
    this.#guarded(() => this.#watches.onSessionLost(epoch));
    this.#announcer.lost({ epoch, sessionId, by });
  }

  #endWith(error: EverholdError, state: "authFailed" | "closed" = "authFailed"): void {
    if (this.#endError !== undefined) return;
    this.#state = state;
    this.#stop(error);
    this.#connection?.fail(error);
    this.#guarded(() => this.#watches.onClosed());
    this.#announcer.closed(error, state === "authFailed");
  }

  async #close({ timeout, signal }: WaitOptions): Promise<void> {
    if (this.#endError !== undefined) return;
    const closeMs = timeout ?? Math.min(this.sessionTimeoutMs, limits.closeMsMax);
    const deadlineMs = deadlineIn(this.#ports, closeMs);
    const wasConnected = this.#state === "connected";
    this.#state = "closed";
    this.#stop(new ClosedError("EVH_CLOSED", "The ZooKeeper client is closed"));
    const identity = this.#identity;
    const connection = this.#connection;
    if (connection !== undefined && wasConnected) {
      await closeSessionOn(connection, { deadlineMs, signal });
    } else {
      connection?.fail(givenUpError());
      if (identity !== undefined) this.#dialer.former.add(identity);
      await this.#endFormerSomewhere({ deadlineMs, signal });
    }
    this.#guarded(() => this.#watches.onClosed());
    this.#announcer.closed();
  }

  /** Ends what sessions there were on whichever server can be reached in the time. */
  async #endFormerSomewhere(wait: {
    readonly deadlineMs: number;
    readonly signal: AbortSignal | undefined;
  }): Promise<void> {
    const over = new AbortController();
    const { signal } = over;
    const subject = { attempt: "end the session", outcome: () => "unknown" as const };
    const forget = onWaitEnd(this.#ports, wait, subject, (error) => over.abort(error));
    for (const endpoint of this.#hosts.nextRound) {
      if (this.#dialer.former.count === 0 || signal.aborted) break;
      try {
        await this.#dialer.endFormer({ endpoint, signal, durationMs: this.#attemptMs });
      } catch {
        // Another server may do it, and without one the session expires by itself.
      }
    }
    forget();
  }

  #stop(error: EverholdError): void {
    this.#endError = error;
    this.#lostTimer?.cancel();
    this.#queue.close();
    this.#queue.failAll((pending) => endedError(pending, error));
    this.#readyWaiters.rejectAll(error);
    this.#ending.abort(error);
    this.#attempting?.abort(error);
    this.#gone?.resolve();
  }

  // Small things.

  /** Milliseconds for one server: while a session is at stake, so few that every server has its turn before it is lost. */
  get #attemptMs(): number {
    const leftMs =
      this.#identity === undefined ? Infinity : this.#overAtMs - this.#ports.monotonicClock.nowMs();
    const shareMs = Math.min(this.sessionTimeoutMs, leftMs) / this.#hosts.count;
    return Math.max(limits.attemptMsMin, shareMs);
  }

  /** When the servers may have ended the session, unless one of them hears of it before. */
  get #overAtMs(): number {
    return this.#progress.touchedAtMs + this.sessionTimeoutMs;
  }

  #unsentCause(): EverholdError | undefined {
    if (this.#state === "connected") return undefined;
    return this.#lastError ?? new ConnectionError("EVH_NOT_CONNECTED", "no server was tried yet");
  }

  /** What others do in our steps must not end the connection. */
  #guarded<T>(call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      this.reportError(error);
      return undefined;
    }
  }
}
