import { deadlineIn, type DeadlineMs, type Endpoint } from "@everhold/env";
import { openConnection, type Opened } from "../connection/open-connection.ts";
import type { ConnectionListener } from "../connection/server-connection.ts";
import { saslLogin } from "../connection/sasl-login.ts";
import type { ConnectRequest } from "../protocol/handshake.ts";
import { closeSessionOn } from "./close-session.ts";
import { sessionLimits as limits } from "./session-limits.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";

/** One server, and how long it may take. */
export interface DialAttempt {
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
  /** Milliseconds for socket, TLS and handshake together. */
  readonly durationMs: number;
}

/** What a visit needs of the client. */
export interface VisitContext {
  readonly ports: SessionPorts;
  readonly settings: SessionSettings;
}

/** A connection of its own, and what is left of the time for what it is there for. */
export interface Visit extends Opened {
  readonly wait: { readonly deadlineMs: DeadlineMs; readonly signal: AbortSignal };
}

/**
 * Connects to one server for something that is not the client's session, and logs in where the client does; nothing
 * that happens there is told. Whoever calls ends the connection.
 * @throws EverholdError see {@link openConnection} and {@link saslLogin}
 */
export async function visit(
  { ports, settings }: VisitContext,
  { endpoint, durationMs, signal }: DialAttempt,
  hello: ConnectRequest,
): Promise<Visit> {
  const wait = { deadlineMs: deadlineIn(ports, durationMs), signal };
  const request = { endpoint, hello, settings, listener: nobody, ...wait };
  const opened = await openConnection(ports, request);
  const { connection, response } = opened;
  if (settings.sasl === undefined || response.timeoutMs <= 0) return { ...opened, wait };
  try {
    const { digests, random } = ports;
    await saslLogin(connection, settings.sasl, { digests, random }, wait);
  } catch (error) {
    // The server has granted a session by then, and would keep it until it expires.
    const closeMs = Math.min(limits.revocationMsMax, durationMs);
    const deadlineMs = Math.min(wait.deadlineMs, deadlineIn(ports, closeMs));
    await closeSessionOn(connection, { deadlineMs, signal });
    throw error;
  }
  return { ...opened, wait };
}

const nobody: ConnectionListener = {
  asksServer: () => false,
  onWatchedReply: () => undefined,
  onNotification: () => undefined,
  onRoom: () => undefined,
  onRefusal: () => undefined,
  onLost: () => undefined,
};
