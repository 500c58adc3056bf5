import { ConnectionError, EverholdError } from "@everhold/base";
import { type DeadlineMs, type Endpoint, onWaitEnd, type Ports } from "@everhold/env";
import { reasonOf } from "../protocol/error-codes.ts";
import { formatServer } from "../protocol/connect-string.ts";
import type { ConnectRequest, ConnectResponse } from "../protocol/handshake.ts";
import {
  type ConnectionListener,
  type ConnectionSettings,
  ServerConnection,
} from "./server-connection.ts";

/** What an attempt to connect needs. */
export interface OpenRequest {
  readonly endpoint: Endpoint;
  readonly hello: ConnectRequest;
  readonly settings: ConnectionSettings;
  /** For the socket and the answer to the handshake together. */
  readonly deadlineMs: DeadlineMs;
  readonly signal: AbortSignal;
  readonly listener: ConnectionListener;
}

/** A connection whose handshake is done. */
export interface Opened {
  readonly connection: ServerConnection;
  readonly response: ConnectResponse;
}

/** The server took the connection and closed it instead of answering: no quorum, or it is behind the client. */
export class UnansweredError extends ConnectionError {}

/**
 * Connects once and shakes hands. The socket does not outlive the time limit or the signal.
 *
 * @throws ConnectionError EVH_NOT_CONNECTED, EVH_NOT_READY, EVH_TLS, EVH_CERTIFICATE_…, EVH_CLIENT_CERTIFICATE
 * @throws TimeoutError, EverholdError EVH_ABORTED, ProtocolError
 */
export function openConnection(
  ports: Pick<Ports, "network" | "timers" | "monotonicClock">,
  request: OpenRequest,
): Promise<Opened> {
  const { endpoint, hello, settings, listener, deadlineMs, signal } = request;
  const server = formatServer(endpoint);
  const attemptText = `connect to ${server}`;
  return new Promise<Opened>((resolve, reject) => {
    let connection: ServerConnection | undefined;
    const attempt = ports.network.connect(endpoint, {
      onConnected(link) {
        const opened = new ServerConnection(link, server, { ports, settings, listener });
        connection = opened;
        opened.shakeHands(hello).then(
          (reply) => {
            forget();
            if (reply.kind === "response") {
              if (reply.response.timeoutMs > 0) opened.startSession(reply.response.timeoutMs);
              return resolve({ connection: opened, response: reply.response });
            }
            const refusal = readOnlyError(server, reply.header.errorCode);
            opened.fail(refusal);
            reject(refusal);
          },
          (error: unknown) => {
            forget();
            reject(handshakeError(server, error));
          },
        );
        return opened;
      },
      onFailed(cause) {
        forget();
        const code = EverholdError.is(cause) ? cause.code : "EVH_NOT_CONNECTED";
        // Networks name the server, too.
        const said = `cannot ${attemptText}: `;
        const { message } = cause;
        const why = message.startsWith(said) ? message.slice(said.length) : message;
        reject(new ConnectionError(code, `Cannot ${attemptText}: ${why}`, { cause }));
      },
    });
    const subject = { attempt: attemptText, outcome: () => "none" as const };
    const forget = onWaitEnd(ports, { deadlineMs, signal }, subject, (error) => {
      attempt.cancel();
      reject(error);
      connection?.fail(error);
    });
  });
}

function readOnlyError(server: string, errorCode: number): ConnectionError {
  const reason = reasonOf(errorCode);
  const why =
    reason === "NOTREADONLY"
      ? "it has no quorum and can only read"
      : `it refused the session (${reason})`;
  return new ConnectionError("EVH_NOT_READY", `Cannot connect to ${server}: ${why}`);
}

function handshakeError(server: string, error: unknown): unknown {
  if (!EverholdError.is(error, "EVH_DISCONNECTED")) return error;
  return new UnansweredError(
    "EVH_NOT_READY",
    `Cannot connect to ${server}: it closed the connection instead of answering; ` +
      "it has no quorum, or is behind what this client has seen",
    { cause: error },
  );
}
