import { deferred, RepeatedLine } from "@everhold/base";
import type { Link, LinkHandler, LogFields, Logins, Ports, Timer } from "@everhold/env";

import type { ClientDirectory } from "../engine/client-link.ts";
import type { Engine } from "../engine/engine.ts";
import { limits } from "../limits.ts";
import { CoreConnection } from "./core-connection.ts";
import type { CoreSession } from "./core-session.ts";
import { NodeTopology, type TopologySource } from "./node-topology.ts";
import { Parking } from "./parking.ts";
import { ResendRoom } from "./resend-room.ts";

/**
 * All connections that speak CORE, and the one timer that looks after them.
 *
 * Whoever has opened a session is *known*; the others are strangers. Of these there may be a limited
 * number, and what they do wrong is told in a limited number of lines. The one that has been a stranger
 * longest gives way: a client in earnest is one for milliseconds.
 */
export class CoreServer implements ClientDirectory {
  readonly engine: Engine;
  /** What clients are told of where the node is. */
  readonly topology: NodeTopology;
  /** What was configured, or what the system allows where that is less. */
  readonly connectionCountMax: number;
  connectionCountTotal = 0;
  sessionCountTotal = 0;
  /** Connections that are not read for now. */
  readonly paused = new Set<CoreConnection>();
  readonly #ports: Ports;
  readonly #connections = new Set<CoreConnection>();
  /** Broken connections whose clients may come back for their sessions. */
  readonly parking: Parking;
  /** For what the clients of sessions with a confirmation window have not confirmed. */
  readonly resendRoom = new ResendRoom(limits.resendTotalBytesMax);
  /** By their names: thousands may come back for theirs at once. */
  readonly #bySession = new Map<string, CoreSession>();
  /** In the order in which they came. */
  readonly #strangers = new Set<CoreConnection>();
  readonly #tooManyConnections: RepeatedLine;
  readonly #tooManyStrangers: RepeatedLine;
  /** Who may come in; without it everybody. */
  readonly logins: Logins | undefined;
  readonly #refusedLogins: RepeatedLine;
  readonly #closedStrangers: RepeatedLine;
  /** Connections that were ended and may still have to send their last bytes. */
  readonly lingering = new Set<CoreConnection>();
  #timer: Timer | undefined;
  #onAllClosed: (() => void) | undefined;

  /** Without `topology` the broker is alone. */
  constructor(engine: Engine, ports: Ports, topology?: TopologySource) {
    this.engine = engine;
    this.#ports = ports;
    const { log, config } = engine;
    this.connectionCountMax = Math.min(
      config.connectionCountMax,
      ports.network.linkCountMax ?? Infinity,
    );
    this.parking = new Parking(engine);
    this.#tooManyConnections = new RepeatedLine(
      log,
      "A connection was refused: there are too many",
      1,
    );
    this.#tooManyStrangers = new RepeatedLine(
      log,
      "A connection without a session gave way: there are too many",
      1,
    );
    this.#refusedLogins = new RepeatedLine(log, "A login was refused", 1);
    this.#closedStrangers = new RepeatedLine(
      log,
      "A connection was closed",
      limits.strangerLinesBurst,
    );
    this.logins = ports.logins;
    const { connector } = config;
    const nowMs = ports.wallClock.nowMs();
    this.topology = new NodeTopology(engine.nodeId, connector, topology, nowMs);
  }

  /** The node's id as clients see it: the journal's group id, the same for ever. */
  get nodeId(): string {
    return this.topology.nodeId;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  *links(): Iterable<CoreConnection> {
    yield* this.#connections;
    yield* this.parking.connections();
  }

  /** Begins to look after connections. */
  start(): void {
    this.engine.onRelief = () => {
      for (const connection of this.paused) connection.relieve();
    };
    this.#timer = this.#ports.timers.after(limits.checkIntervalMs, () => {
      this.#check();
    });
  }

  /** Handles a new link. */
  accept(link: Link): LinkHandler {
    this.connectionCountTotal += 1;
    const nowMs = this.#ports.monotonicClock.nowMs();
    // Those that linger still have their descriptor.
    const openCount = this.#connections.size + this.lingering.size;
    if (openCount >= this.connectionCountMax && !this.#dropOldestStranger(nowMs)) {
      this.#tooManyConnections.note(nowMs, {
        peer: link.peer,
        limit: this.connectionCountMax,
        cure: this.#cureForTooMany,
      });
      link.destroy();
      return refusedLink;
    }
    const createdMs = this.#ports.wallClock.nowMs();
    const connection = new CoreConnection(this, link, nowMs, createdMs);
    this.#connections.add(connection);
    this.#strangers.add(connection);
    if (this.#strangers.size > this.engine.config.strangerCountMax) this.#dropOldestStranger(nowMs);
    if (this.engine.notifications.isWanted) {
      this.engine.notifications.connectionChanged("CONNECTION_CREATED", connection);
      this.engine.endStep();
    }
    return connection;
  }

  /** The connection has opened its first session. */
  becameKnown(connection: CoreConnection): void {
    this.#strangers.delete(connection);
  }

  /** A stranger's connection was ended because of what it did. */
  closedStranger(fields: LogFields): void {
    this.#closedStrangers.note(this.#ports.monotonicClock.nowMs(), fields);
  }

  /** Somebody named a user that there is not, or the wrong password. */
  refusedLogin(peer: string, user: string): void {
    this.#refusedLogins.note(this.#ports.monotonicClock.nowMs(), { peer, user });
  }

  /** The connection has let go of everything. */
  forget(connection: CoreConnection): void {
    this.#connections.delete(connection);
    this.#strangers.delete(connection);
    this.paused.delete(connection);
  }

  /** The sessions of a broken connection wait for their client as long as it may be silent. */
  park(connection: CoreConnection, sessionCount: number, ttlMs: number): void {
    this.forget(connection);
    const forMs = ttlMs < 0 ? this.engine.config.connectionTtlMs : ttlMs;
    this.parking.add(connection, sessionCount, this.#ports.monotonicClock.nowMs(), forMs);
  }

  /** A session goes on with another connection, or ends because it cannot. */
  noteReattachment(isResumed: boolean, fields: LogFields): void {
    const nowMs = this.#ports.monotonicClock.nowMs();
    if (isResumed) this.parking.noteResumed(nowMs, fields);
    else this.parking.noteRefused(nowMs, fields);
  }

  /** The session of this name. */
  findSession(name: string): CoreSession | undefined {
    return this.#bySession.get(name);
  }

  /**
   * A session was opened. Names are made by clients, and are unique if these play fair: the newest is found, but
   * nobody hides the session of another user behind one of the same name.
   */
  sessionOpened(session: CoreSession): void {
    const { name, user } = session.session;
    const known = this.#bySession.get(name);
    if (known === undefined || known.session.user === user) this.#bySession.set(name, session);
  }

  /** A session has gone. */
  sessionClosed(session: CoreSession): void {
    const { name } = session.session;
    if (this.#bySession.get(name) === session) this.#bySession.delete(name);
  }

  /** The connection's link is gone. */
  closed(connection: CoreConnection): void {
    this.lingering.delete(connection);
    if (this.lingering.size === 0) this.#onAllClosed?.();
  }

  /** Reads no more requests for now, where none may be taken; {@link Engine.onRelief} reads on. */
  holdRequests(): void {
    if (this.engine.authority.mayTake) return;
    for (const connection of this.#connections) connection.hold();
  }

  /** Tells all who have asked for the topology what is new of it, if anything. */
  topologyChanged(): void {
    if (!this.topology.refresh()) return;
    for (const connection of this.#connections) connection.tellTopology();
  }

  /** Takes no more requests. */
  stopReading(): void {
    this.#timer?.cancel();
    for (const connection of this.#connections) connection.stopReading();
  }

  /** Says goodbye to everybody, and settles when all have gone or the time for that is over. */
  async stop(): Promise<void> {
    this.parking.clear();
    for (const connection of [...this.#connections]) connection.shutDown();
    this.engine.outputs.flush();
    const allClosed = deferred<undefined>();
    this.#onAllClosed = () => {
      allClosed.resolve(undefined);
    };
    const timer = this.#ports.timers.after(limits.lingerMs, this.#onAllClosed);
    if (this.lingering.size > 0) await allClosed.promise;
    timer.cancel();
    this.destroy();
  }

  /** Closes everything at once, without answers: what was not said stays in doubt. */
  destroy(): void {
    this.#timer?.cancel();
    for (const connection of this.#connections) connection.destroy();
    this.#connections.clear();
    this.#strangers.clear();
    this.#bySession.clear();
    for (const connection of this.lingering) connection.destroy();
    this.lingering.clear();
  }

  get #cureForTooMany(): string {
    return this.connectionCountMax === this.engine.config.connectionCountMax
      ? "raise limits.connectionsAllowed"
      : "let the process have more descriptors (ulimit -n, LimitNOFILE of systemd)";
  }

  /** Whether there was one to make room. */
  #dropOldestStranger(nowMs: number): boolean {
    const [oldest] = this.#strangers;
    if (oldest === undefined) return false;
    const limit = Math.min(this.engine.config.strangerCountMax, this.connectionCountMax);
    this.#tooManyStrangers.note(nowMs, { peer: oldest.peer, limit });
    oldest.giveWay();
    return true;
  }

  #check(): void {
    const nowMs = this.#ports.monotonicClock.nowMs();
    for (const connection of this.lingering) connection.destroy();
    this.lingering.clear();
    for (const connection of this.#connections) connection.check(nowMs);
    this.parking.check(nowMs);
    this.#tooManyConnections.flush(nowMs);
    this.#tooManyStrangers.flush(nowMs);
    this.#refusedLogins.flush(nowMs);
    this.#closedStrangers.flush(nowMs);
    this.engine.endStep();
    this.engine.credits.grantWaiting();
    this.engine.outputs.flush();
    this.engine.pool.trim();
    this.#timer = this.#ports.timers.after(limits.checkIntervalMs, () => {
      this.#check();
    });
  }
}

/** Handles a link that was destroyed as soon as it was made: nothing more happens on it. */
const refusedLink: LinkHandler = {
  onData: () => {},
  onSent: () => {},
  onDrained: () => {},
  onClosed: () => {},
};
