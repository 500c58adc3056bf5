import { assert, EverholdError } from "@everhold/base";
import type { Endpoint, Ports } from "@everhold/env";
import type { Backoff } from "../backoff.ts";
import { openTransport } from "../core/open-transport.ts";
import type { Transport } from "../core/transport.ts";
import type { ResolvedOptions } from "../options.ts";
import { limits } from "../limits.ts";
import { formatEndpoint } from "../url/parse-url.ts";
import { deadlineIn, pause, waitFor } from "../waiting.ts";
import { asEverholdError, notYet } from "./connection-errors.ts";

/** What a connector needs of its connection. */
export interface ConnectorHost {
  readonly ports: Ports;
  readonly options: ResolvedOptions;
  readonly backoff: Backoff;
  /** Aborted when the connection ends. */
  readonly signal: AbortSignal;
  /** Makes a new transport usable. @throws EverholdError the broker's refusal */
  readonly openSessions: (transport: Transport) => Promise<void>;
  readonly onLost: (error: EverholdError) => void;
  /** No broker could be reached; the next round follows after `delay` milliseconds. */
  readonly onRetry: (retry: {
    readonly attempt: number;
    readonly delay: number;
    readonly error: EverholdError;
  }) => void;
}

/** Finds a broker: tries the endpoints in turn, round after round, with growing random pauses between. */
export class Connector {
  readonly #host: ConnectorHost;
  /** The endpoint that worked last. */
  #endpointIndex = 0;

  constructor(host: ConnectorHost) {
    this.#host = host;
  }

  /** Tries for so many rounds. @throws EverholdError of the last attempt */
  async connect(rounds: number): Promise<Transport> {
    const { ports, backoff, signal } = this.#host;
    let hopelessRounds = 0;
    for (let round = 1; ; round += 1) {
      try {
        return await this.#connectRound();
      } catch (error) {
        if (signal.aborted || isFinal(error) || round >= rounds) throw error;
        // Somebody may be renewing a certificate just now; that does not take for ever.
        hopelessRounds = isHopeless(error) ? hopelessRounds + 1 : 0;
        if (hopelessRounds >= limits.hopelessRoundsMax) throw error;
        const delayMs = backoff.nextMs();
        const shown = asEverholdError(error);
        ports.log.warn("No broker could be reached, trying again", {
          attempt: round,
          delayMs,
          error: shown.message,
        });
        this.#host.onRetry({ attempt: round, delay: delayMs, error: shown });
        await pause(ports, delayMs, signal);
        if (signal.aborted) throw error;
      }
    }
  }

  /** Tries every endpoint once, the one that worked last first. */
  async #connectRound(): Promise<Transport> {
    const { endpoints } = this.#host.options;
    let lastError: unknown;
    let hopefulError: unknown;
    for (let step = 0; step < endpoints.length; step += 1) {
      const index = (this.#endpointIndex + step) % endpoints.length;
      const endpoint = endpoints[index];
      assert(endpoint !== undefined, "the index is inside the list");
      try {
        const transport = await this.#connectOnce(endpoint);
        this.#endpointIndex = index;
        return transport;
      } catch (error) {
        if (this.#host.signal.aborted || isFinal(error)) throw error;
        lastError = error;
        if (!isHopeless(error)) hopefulError = error;
      }
    }
    // Where one broker may still come back, the other one's certificate is not the reason to give up.
    throw hopefulError ?? lastError;
  }

  async #connectOnce(endpoint: Endpoint): Promise<Transport> {
    const { ports, options, signal, openSessions, onLost } = this.#host;
    const deadlineMs = deadlineIn(ports, options.connectTimeoutMs);
    const transport = await openTransport(ports, {
      endpoint,
      settings: options,
      deadlineMs,
      signal,
      listener: { onLost },
    });
    const subject = { attempt: `open sessions at ${formatEndpoint(endpoint)}`, outcome: notYet };
    try {
      await waitFor(ports, { deadlineMs, signal }, subject, openSessions(transport));
    } catch (error) {
      transport.fail(asEverholdError(error));
      throw error;
    }
    if (transport.lostError !== undefined) throw transport.lostError;
    return transport;
  }
}

/** Whether only somebody who changes a certificate or a setting can help. */
function isHopeless(error: unknown): boolean {
  if (!EverholdError.is(error)) return false;
  const { code } = error;
  return (
    code === "EVH_TLS" ||
    code === "EVH_CLIENT_CERTIFICATE" ||
    code === "EVH_CONFIG" ||
    code.startsWith("EVH_CERTIFICATE_")
  );
}

/** Whether trying again can't help before somebody changes something. */
function isFinal(error: unknown): boolean {
  return (
    EverholdError.is(error, "EVH_SECURITY") ||
    EverholdError.is(error, "EVH_VERSION") ||
    EverholdError.is(error, "EVH_DUPLICATE_METADATA")
  );
}
