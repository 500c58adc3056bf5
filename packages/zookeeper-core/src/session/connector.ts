import { ConnectionError, type EverholdError } from "@everhold/base";
import type { AuthInfo, ServerConnection } from "../connection/server-connection.ts";
import type { Dialer } from "./dialer.ts";
import { makeReady } from "./make-ready.ts";
import { asEverholdError, givenUpError } from "./session-errors.ts";
import type { Restored, Restoring, WatchHost } from "./session-hooks.ts";
import { isGranted, type SessionIdentity } from "./session-identity.ts";
import type { SessionKeeper } from "./session-keeper.ts";
import type { SessionLife } from "./session-life.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";
import type { DialAttempt } from "./visit.ts";

/** What happens in an attempt, for the session to draw its conclusions. */
export interface ConnectorHost {
  /** The server has granted the session. @throws EverholdError where the connection is gone already */
  onGranted(connection: ServerConnection, signal: AbortSignal): void;
  /** A server says that the session is over. */
  onOver(): void;
  /** The servers' data is older than it was: this is their last transaction. */
  onRolledBack(zxid: bigint): void;
  /** A connection could not be made ready, whatever the reason. */
  onUnready(connection: ServerConnection, error: EverholdError): void;
  /** Requests may leave. */
  onReady(
    connection: ServerConnection,
    identity: SessionIdentity,
    restored: Restored | undefined,
  ): void;
}

/** What a connector is made of. */
export interface ConnectorParts {
  readonly ports: SessionPorts;
  readonly settings: SessionSettings;
  readonly life: SessionLife;
  readonly dialer: Dialer;
  readonly watches: WatchHost;
  /** Who the client says it is, now. */
  readonly auths: () => readonly AuthInfo[];
  /** Where the session is kept beyond the process, if anywhere. */
  readonly keeper: Pick<SessionKeeper, "keep"> | undefined;
  readonly host: ConnectorHost;
}

/** Leads one connection from the first byte to the point where requests leave. What follows from it the host decides. */
export class Connector {
  readonly #parts: ConnectorParts;

  constructor(parts: ConnectorParts) {
    this.#parts = parts;
  }

  /** One attempt with one server. @throws EverholdError */
  async connect(attempt: DialAttempt): Promise<void> {
    const { ports, settings, life, dialer, keeper, host } = this.#parts;
    await dialer.endFormer(attempt);
    await this.#lookForRollback(attempt);
    const connection = (await this.#resume(attempt)) ?? (await this.#begin(attempt));
    const { identity } = life;
    if (identity === undefined) throw connection.endError ?? givenUpError();
    const auths = this.#parts.auths();
    const preparation = {
      ports,
      settings,
      auths,
      keep: keeper && (() => keeper.keep(identity)),
      restoring: {
        requests: connection,
        epoch: identity.epoch,
        lastZxid: life.progress.watchedZxid,
      },
      restore: (restoring: Restoring) => this.#restore(identity, restoring),
    };
    const ready = makeReady(connection, preparation, {
      timeoutMs: identity.timeoutMs,
      signal: attempt.signal,
    });
    const restored = await ready.catch((error: unknown) => {
      host.onUnready(connection, asEverholdError(error));
      throw error;
    });
    // A few steps lie between the last answer and this one; whoever closed the client in one of them has ended it.
    if (connection.endError !== undefined) throw connection.endError;
    // Of one that came meanwhile a refusal is told by the connection itself.
    const late = this.#parts.auths().filter((auth) => !auths.includes(auth));
    for (const auth of late) connection.authenticate(auth).catch(() => undefined);
    host.onReady(connection, identity, restored);
  }

  async #lookForRollback(attempt: DialAttempt): Promise<void> {
    const { life, dialer, host } = this.#parts;
    const zxid = await dialer.rolledBackTo(life.progress.lastZxid, 2 * life.timeoutMs, attempt);
    if (zxid !== undefined) host.onRolledBack(zxid);
  }

  /** Goes on with the session; `undefined` where there is none, or the server says that it is over. */
  async #resume(attempt: DialAttempt): Promise<ServerConnection | undefined> {
    const { life, dialer, host } = this.#parts;
    const { identity, progress } = life;
    if (identity === undefined) return undefined;
    const { connection, response } = await dialer.dial(identity, progress.lastZxid, attempt);
    if (isGranted(identity, response)) {
      identity.timeoutMs = response.timeoutMs;
      host.onGranted(connection, attempt.signal);
      return connection;
    }
    connection.fail(givenUpError());
    host.onOver();
    return undefined;
  }

  /** Begins a session, on the same server that has said that the one before is over. */
  async #begin(attempt: DialAttempt): Promise<ServerConnection> {
    const { life, dialer, host } = this.#parts;
    const { connection, response } = await dialer.dial(undefined, life.progress.lastZxid, attempt);
    const { sessionId: id, password, timeoutMs } = response;
    if (!isGranted(undefined, response) || password === null) {
      const error = new ConnectionError("EVH_NOT_READY", `${connection.server} grants no session`);
      connection.fail(error);
      throw error;
    }
    life.begin({ id, password, timeoutMs });
    host.onGranted(connection, attempt.signal);
    return connection;
  }

  async #restore(identity: SessionIdentity, restoring: Restoring): Promise<Restored | undefined> {
    const { life, watches } = this.#parts;
    if (identity.isAnnounced) await watches.restoreSameSession(restoring);
    else if (life.wasAnnounced) return watches.restoreNewSession(restoring);
    return undefined;
  }
}
