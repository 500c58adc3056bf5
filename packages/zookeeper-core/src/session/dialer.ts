import { EverholdError } from "@everhold/base";
import { deadlineIn, type DeadlineMs, type Endpoint, onWaitEnd } from "@everhold/env";
import { openConnection, type Opened, UnansweredError } from "../connection/open-connection.ts";
import type { ConnectionListener } from "../connection/server-connection.ts";
import { endFormerSession } from "./end-session.ts";
import { FormerSessions } from "./former-sessions.ts";
import { lastZxidOf, RollbackSuspicion } from "./rollback.ts";
import { helloFor, type SessionIdentity } from "./session-identity.ts";
import { isAuthFailure } from "./session-errors.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";
import type { DialAttempt } from "./visit.ts";

/** Connects to servers: ends sessions that were given up, and finds out whether the servers' data went back in time. */
export class Dialer {
  /** Sessions that were given up. */
  readonly former: FormerSessions;
  readonly #ports: SessionPorts;
  readonly #settings: SessionSettings;
  readonly #listener: ConnectionListener;
  readonly #suspicion: RollbackSuspicion;

  constructor(ports: SessionPorts, settings: SessionSettings, listener: ConnectionListener) {
    this.#ports = ports;
    this.#settings = settings;
    this.#listener = listener;
    this.former = new FormerSessions(ports.log);
    this.#suspicion = new RollbackSuspicion(ports.monotonicClock);
  }

  /** Ends the sessions that were given up, with the help of one server. @throws EverholdError of the server */
  async endFormer(attempt: DialAttempt): Promise<void> {
    const context = { ports: this.#ports, settings: this.#settings };
    await this.former.endAll((identity) => endFormerSession(context, identity, attempt));
  }

  /** The same with whichever of these servers can be reached in the time; what is left then expires by itself. */
  async endFormerAnywhere(
    endpoints: readonly Endpoint[],
    attemptMs: () => number,
    wait: { readonly deadlineMs: DeadlineMs; readonly signal: AbortSignal | undefined },
  ): Promise<void> {
    const over = new AbortController();
    const { signal } = over;
    const subject = { attempt: "end the session", outcome: () => "unknown" as const };
    const forget = onWaitEnd(this.#ports, wait, subject, (error) => over.abort(error));
    for (const endpoint of endpoints) {
      if (this.former.count === 0 || signal.aborted) break;
      try {
        const durationMs = Math.min(attemptMs(), limits.revocationMsMax);
        await this.endFormer({ endpoint, signal, durationMs });
      } catch {
        // Another server may do it, and without one the session expires by itself.
      }
    }
    forget();
  }

  /**
   * The last transaction of the servers, where it is before `lastZxid`; looked at only when no server has answered a
   * client that has seen so much for `afterMs`, and `undefined` where the server does not say.
   * @throws EverholdError of the server
   */
  async rolledBackTo(
    lastZxid: bigint,
    afterMs: number,
    attempt: DialAttempt,
  ): Promise<bigint | undefined> {
    if (!this.#suspicion.isDue(afterMs)) return undefined;
    const context = { ports: this.#ports, settings: this.#settings };
    const zxid = await lastZxidOf(context, attempt).catch((error: unknown) => {
      // Who is not let in cannot look; the client's own login tells of it, where a server listens to that.
      if (EverholdError.is(error) && isAuthFailure(error)) return 0n;
      throw error;
    });
    this.#suspicion.clear();
    // Servers that ask for another login refuse the look, and one that broke meanwhile did not say either.
    return zxid > 0n && zxid < lastZxid ? zxid : undefined;
  }

  /** Asks a server for this session, or for a new one. @throws EverholdError see {@link openConnection} */
  async dial(
    identity: SessionIdentity | undefined,
    lastZxid: bigint,
    { endpoint, signal, durationMs }: DialAttempt,
  ): Promise<Opened> {
    const { sessionTimeoutMs: timeoutMs } = this.#settings;
    try {
      const opened = await openConnection(this.#ports, {
        endpoint,
        hello: helloFor(identity, { timeoutMs, lastZxid }),
        settings: this.#settings,
        deadlineMs: deadlineIn(this.#ports, durationMs),
        signal,
        listener: this.#listener,
      });
      this.#suspicion.clear();
      return opened;
    } catch (error) {
      if (error instanceof UnansweredError && lastZxid > 0n) this.#suspicion.unanswered();
      throw error;
    }
  }
}
