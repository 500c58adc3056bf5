import { ConnectionError, EverholdError } from "@everhold/base";
import { type DeadlineMs, type Endpoint, onWaitEnd, type Ports } from "@everhold/env";
import { formatEndpoint } from "../url/parse-url.ts";
import {
  Transport,
  type Noticed,
  type TransportListener,
  type TransportSettings,
} from "./transport.ts";

/** What an attempt to connect needs. */
export interface TransportRequest {
  readonly endpoint: Endpoint;
  readonly settings: TransportSettings;
  readonly deadlineMs: DeadlineMs;
  readonly signal: AbortSignal;
  /** Called when the socket stands, and the broker has yet to say hello. */
  readonly onSocket: () => void;
  readonly listener: Pick<TransportListener, "onTopology" | "onGoodbye">;
  /** Called when a transport is gone whose socket once stood, also during the attempt. */
  readonly onLost: (transport: Transport, error: EverholdError, noticed: Noticed) => void;
}

/**
 * Connects once and settles when the broker has told its topology. The socket does not outlive the time
 * limit or the signal.
 *
 * @throws ConnectionError EVH_NOT_CONNECTED, EVH_DISCONNECTED, EVH_TLS, EVH_CERTIFICATE_…, EVH_CLIENT_CERTIFICATE
 * @throws TimeoutError, EverholdError EVH_ABORTED, ProtocolError
 */
export function openTransport(
  ports: Pick<Ports, "network" | "timers" | "monotonicClock">,
  request: TransportRequest,
): Promise<Transport> {
  const { endpoint, deadlineMs, signal } = request;
  const attemptText = `connect to ${formatEndpoint(endpoint)}`;
  return new Promise<Transport>((resolve, reject) => {
    let transport: Transport | undefined;
    const listener: TransportListener = {
      onLost(error: EverholdError, noticed: Noticed) {
        forget();
        reject(error);
        if (transport !== undefined) request.onLost(transport, error, noticed);
      },
      onTopology: (update) => request.listener.onTopology(update),
      onGoodbye: (goodbye) => request.listener.onGoodbye(goodbye),
    };
    const attempt = ports.network.connect(endpoint, {
      onConnected(link) {
        const opened = new Transport(link, endpoint, ports, request.settings);
        transport = opened;
        request.onSocket();
        opened.open(listener, () => {
          forget();
          resolve(opened);
        });
        return opened;
      },
      onFailed(cause) {
        forget();
        const code = EverholdError.is(cause) ? cause.code : "EVH_NOT_CONNECTED";
        reject(
          new ConnectionError(code, `Cannot ${attemptText}: ${cause.message}`, {
            cause,
          }),
        );
      },
    });
    const subject = { attempt: attemptText, outcome: () => "none" as const };
    const forget = onWaitEnd(ports, { deadlineMs, signal }, subject, (error) => {
      attempt.cancel();
      reject(error);
      transport?.fail(error);
    });
  });
}
