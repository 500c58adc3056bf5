import { assert, ClosedError, ConnectionError, type EverholdError } from "@everhold/base";
import { Backoff, deadlineIn, pause, type Ports, waitFor } from "@everhold/env";
import type { Noticed, Transport } from "../core/transport.ts";
import { limits } from "../limits.ts";
import type { ResolvedOptions } from "../options.ts";
import type { SessionOpening } from "../session/core-session.ts";
import { Orphans } from "../session/orphans.ts";
import type { ClusterMember } from "./cluster-view.ts";
import { asEverholdError, isPassing, notYet } from "./connection-errors.ts";
import { Connector, type Found } from "./connector.ts";
import { OutageLog } from "./outage-log.ts";
import type { RoundFailure } from "./round-failure.ts";
import { TimelineRecorder, type FailoverTimeline } from "./timeline.ts";

/** A user of a slot: one `Connection` of the application. */
export interface Lease {
  /** It is being closed: nothing is brought back for it any more. */
  readonly isClosing: boolean;
  /** Brings its sessions to a new connection. @throws EverholdError which ends the attempt */
  openSessions(opening: SessionOpening, recorder: TimelineRecorder | undefined): Promise<void>;
  /** Whether its sessions are on this connection. */
  isOpenOn(transport: Transport): boolean;
  /** The connection may be used; `timeline` says what the failover was, if it was one. */
  onConnected(transport: Transport, timeline: FailoverTimeline | undefined): void;
  /** The connection broke; another one is being looked for. */
  onBroken(error: EverholdError, noticed: Noticed): void;
  onRetry(failure: RoundFailure): void;
  onTopology(members: readonly ClusterMember[]): void;
  /** There is no connection any more, and there will be none. */
  onEnded(error: EverholdError, timeline: FailoverTimeline | undefined): void;
}

/** One connection's means to open sessions, and how it came about. */
interface Standing {
  readonly found: Found;
  readonly sinceMs: number;
}

/**
 * One place for a connection: connects, notices its loss and brings back another one, one failover at a time, for
 * as long as somebody holds a lease. With the last lease everything ends: socket, timers, attempts.
 *
 *     connecting ──> connected <──> reconnecting ──> ended
 */
export class Slot {
  readonly ports: Ports;
  readonly options: ResolvedOptions;
  /** Sessions of leases that ended while the connection was away. */
  readonly orphans = new Orphans();
  readonly #leases = new Set<Lease>();
  readonly #ending = new AbortController();
  readonly #backoff: Backoff;
  readonly #connector: Connector;
  readonly #outageLog: OutageLog;
  #state: "idle" | "connecting" | "connected" | "reconnecting" = "idle";
  #standing: Standing | undefined;
  #recorder: TimelineRecorder | undefined;
  /** How the last break was noticed; sessions may want to know. */
  #noticed: Noticed = "error";
  #lastTimeline: FailoverTimeline | undefined;
  /** Channels of sessions begin at 10. */
  #lastChannelId = 9;
  #endError: EverholdError | undefined;

  constructor(ports: Ports, options: ResolvedOptions) {
    this.ports = ports;
    this.options = options;
    this.#backoff = this.#newBackoff();
    this.#outageLog = new OutageLog(ports.log);
    this.#connector = new Connector({
      ports,
      options,
      backoff: this.#backoff,
      signal: this.#ending.signal,
      openSessions: (found) => this.#openSessions(found),
      onLost: (transport, error, noticed) => this.#onLost(transport, error, noticed),
      onRetry: (retry) => {
        this.#outageLog.roundFailed(retry);
        this.#tell((lease) => lease.onRetry(retry));
      },
      onTopology: (members) => this.#tell((lease) => lease.onTopology(members)),
    });
  }

  /** Why there will be no connection any more; `undefined` while there may be. */
  get endError(): EverholdError | undefined {
    return this.#endError;
  }

  /** Whether another lease is of use: somebody has one who means to stay. */
  get takesLeases(): boolean {
    return this.#endError === undefined && [...this.#leases].some((lease) => !lease.isClosing);
  }

  get leaseCount(): number {
    return this.#leases.size;
  }

  /** Whether this lease speaks for all: the first one, while the slot connects for the first time. */
  isFirst(lease: Lease): boolean {
    const [first] = this.#leases;
    return this.#state === "connecting" && first === lease;
  }

  /** The number of a session's channel; those who share a connection share the numbers. */
  nextChannelId(): number {
    this.#lastChannelId += 1;
    return this.#lastChannelId;
  }

  /** The nodes that brokers told of. */
  get members(): readonly ClusterMember[] {
    return this.#connector.members;
  }

  /** The node that the client is, or was, connected to. */
  get nodeId(): string | undefined {
    return this.#connector.nodeId;
  }

  /** The failover that is under way, else the last one. */
  get timeline(): FailoverTimeline | undefined {
    return this.#recorder?.timeline ?? this.#lastTimeline;
  }

  /** Takes a lease; the first one has the slot connect. What becomes of it is told to the lease. */
  join(lease: Lease): void {
    assert(this.#endError === undefined, "a slot that has ended takes no leases");
    this.#leases.add(lease);
    if (this.#state === "idle") this.#connectFirst();
    else if (this.#standing !== undefined) this.#openLate(lease, this.#standing.found);
    // Else the attempt that is under way, or the next one, brings it along.
  }

  /** Gives a lease back; the last one ends the slot. */
  leave(lease: Lease, error: EverholdError): void {
    this.#leases.delete(lease);
    if (this.#leases.size === 0) this.#end(error);
  }

  /** What sessions are opened with on the present connection. @throws EverholdError of the credentials */
  async opening(transport: Transport): Promise<SessionOpening> {
    const found = this.#standing?.found;
    if (found?.transport !== transport) throw transport.lostError ?? lostError(transport);
    return this.#openingOf(found);
  }

  /** Gives the present connection up for another one, or makes the next attempt at once. */
  reconnect(): void {
    const transport = this.#standing?.found.transport;
    if (transport === undefined) return this.#connector.nudge();
    transport.fail(
      new ConnectionError("EVH_DISCONNECTED", "The application asked for another connection"),
      "application",
    );
  }

  #tell(about: (lease: Lease) => void): void {
    // A lease may go while it is told.
    for (const lease of [...this.#leases]) about(lease);
  }

  #connectFirst(): void {
    this.#state = "connecting";
    this.#connector.connect(this.options.initialRounds).then(
      (found) => this.#onConnected(found),
      (error: unknown) => this.#end(asEverholdError(error)),
    );
  }

  async #openSessions(found: Found): Promise<void> {
    const opening = await this.#openingOf(found);
    const leases = [...this.#leases].filter((lease) => !lease.isClosing);
    await Promise.all(leases.map((lease) => lease.openSessions(opening, this.#recorder)));
  }

  async #openingOf(found: Found): Promise<SessionOpening> {
    const username = await this.options.username();
    const password = await this.options.password();
    // They take as long as they like, and who waited for them may have given the connection up.
    const { lostError: lost } = found.transport;
    if (lost !== undefined) throw lost;
    return { ...found, noticed: this.#noticed, username, password };
  }

  /** A lease that came after the attempt began which brought the connection. */
  #openLate(lease: Lease, found: Found): void {
    const { transport } = found;
    const { initialRounds, connectTimeoutMs } = this.options;
    // Who does not give up after one round waits until it is known whether this connection still lives.
    const timeoutMs = initialRounds > 1 ? Infinity : connectTimeoutMs;
    const wait = { deadlineMs: deadlineIn(this.ports, timeoutMs), signal: this.#ending.signal };
    const subject = { attempt: `open sessions at ${transport.url}`, outcome: notYet };
    waitFor(this.ports, wait, subject, this.#openPatiently(lease, found)).then(
      () => {
        if (this.#standing?.found === found && this.#leases.has(lease)) {
          lease.onConnected(transport, undefined);
        }
      },
      (error: unknown) => {
        // Else the connection broke, and the failover brings the lease along.
        if (transport.lostError === undefined && this.#leases.has(lease)) {
          lease.onEnded(asEverholdError(error), undefined);
        }
      },
    );
  }

  /** As often as a first connection is attempted, where the password is not to be had, or not checked, just now. */
  async #openPatiently(lease: Lease, found: Found): Promise<void> {
    const backoff = this.#newBackoff();
    const isOfUse = (): boolean => this.#standing?.found === found && this.#leases.has(lease);
    for (let round = 1; ; round += 1) {
      try {
        await lease.openSessions(await this.#openingOf(found), undefined);
        return;
      } catch (error) {
        if (round >= this.options.initialRounds || !isPassing(error) || !isOfUse()) throw error;
        const failure = { url: found.transport.url, error: asEverholdError(error) };
        const retry = { attempt: round, delay: backoff.nextMs(), error: failure.error };
        this.#outageLog.joiningFailed({ ...retry, failures: [failure] });
        lease.onRetry({ ...retry, failures: [failure] });
        await pause(this.ports, retry.delay, this.#ending.signal);
        if (!isOfUse()) throw error;
      }
    }
  }

  #newBackoff(): Backoff {
    const { initialDelayMs: minMs, maxDelayMs: maxMs, delayMultiplier: multiplier } = this.options;
    return new Backoff({ minMs, maxMs, multiplier }, this.ports.random);
  }

  #onConnected(found: Found): void {
    const { transport } = found;
    // It was given up in the very step in which the connection stood.
    if (this.#endError !== undefined) return transport.close(this.#endError);
    this.#state = "connected";
    this.#standing = { found, sinceMs: this.ports.monotonicClock.nowMs() };
    const timeline = this.#endFailover("completed");
    this.#tell((lease) => {
      if (lease.isOpenOn(transport)) lease.onConnected(transport, timeline);
      else if (!lease.isClosing) this.#openLate(lease, found);
    });
    // It may have been given up in the very step that made it usable.
    if (transport.lostError !== undefined) this.#onLost(transport, transport.lostError, "error");
  }

  #onLost(transport: Transport, error: EverholdError, noticed: Noticed): void {
    const standing = this.#standing;
    if (standing?.found.transport !== transport || this.#endError !== undefined) return;
    this.#standing = undefined;
    this.#state = "reconnecting";
    this.#noticed = noticed;
    if ([...this.#leases].every((lease) => lease.isClosing)) return;
    const { url } = transport;
    this.#recorder = new TimelineRecorder(this.ports, { noticed, error, fromUrl: url });
    this.#outageLog.broke(url, noticed, error);
    this.#tell((lease) => lease.onBroken(error, noticed));
    const lastedMs = this.ports.monotonicClock.nowMs() - standing.sinceMs;
    this.#failOver(error, noticed, lastedMs).catch((failure: unknown) =>
      this.#end(asEverholdError(failure)),
    );
  }

  async #failOver(cause: EverholdError, noticed: Noticed, lastedMs: number): Promise<void> {
    const { reconnectRounds } = this.options;
    const rounds = noticed === "application" ? Math.max(1, reconnectRounds) : reconnectRounds;
    // A broker that says so does not want the connection back.
    if (rounds === 0 || cause.code === "EVH_SLOW_CONSUMER") return this.#end(cause);
    if (lastedMs >= limits.stableConnectionMs) this.#backoff.reset();
    else if (noticed !== "application") await this.#connector.pause(this.#backoff.nextMs());
    if (this.#ending.signal.aborted) return;
    this.#onConnected(await this.#connector.connect(rounds, this.#recorder));
  }

  #endFailover(
    result: "completed" | "failed" | "abandoned",
    error?: EverholdError,
  ): FailoverTimeline | undefined {
    const timeline = this.#recorder?.end(result);
    this.#recorder = undefined;
    if (timeline === undefined) return undefined;
    this.#lastTimeline = timeline;
    this.#outageLog.ended(timeline, error);
    return timeline;
  }

  #end(error: EverholdError): void {
    if (this.#endError !== undefined) return;
    this.#endError = error;
    const isByApplication = this.#leases.size === 0;
    const transport = this.#standing?.found.transport;
    this.#standing = undefined;
    const timeline = this.#endFailover(isByApplication ? "abandoned" : "failed", error);
    this.#ending.abort(error);
    if (error instanceof ClosedError) transport?.close(error);
    else transport?.fail(error);
    this.#tell((lease) => lease.onEnded(error, timeline));
    this.#leases.clear();
  }
}

function lostError(transport: Transport): ConnectionError {
  return new ConnectionError("EVH_DISCONNECTED", `The connection to ${transport.url} broke`);
}
