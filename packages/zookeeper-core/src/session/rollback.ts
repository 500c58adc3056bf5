import { ClosedError } from "@everhold/base";
import { deadlineIn, type Endpoint, type MonotonicClock } from "@everhold/env";
import { writeValue } from "@everhold/wire";
import { openConnection } from "../connection/open-connection.ts";
import { operations } from "../protocol/operations.ts";
import { pathAndWatch } from "../protocol/records.ts";
import { closeSessionOn, nobody } from "./end-session.ts";
import type { RequestSpec } from "./request.ts";
import { helloFor, isGranted } from "./session-identity.ts";
import type { SessionPorts, SessionSettings } from "./session-settings.ts";

/**
 * Suspects that the servers' data has gone back in time: a server that is behind what the client has seen closes the
 * connection without a word, and so does one without quorum. Where that goes on for long, a look as a client that has
 * seen nothing tells the two apart.
 */
export class RollbackSuspicion {
  readonly #clock: MonotonicClock;
  #sinceMs: number | undefined;

  constructor(clock: MonotonicClock) {
    this.#clock = clock;
  }

  /** A server closed the connection without answering the handshake. */
  unanswered(): void {
    this.#sinceMs ??= this.#clock.nowMs();
  }

  /** A server answered the handshake, or a look was taken. */
  clear(): void {
    this.#sinceMs = undefined;
  }

  /** Whether no server has answered for so long. */
  isDue(afterMs: number): boolean {
    return this.#sinceMs !== undefined && this.#clock.nowMs() - this.#sinceMs > afterMs;
  }
}

const lookAtRoot: RequestSpec<void> = {
  operation: operations.exists,
  path: "/",
  encode: (writer) => writeValue(pathAndWatch, writer, { path: "/", watch: false }),
  decode: () => undefined,
};

/**
 * The last transaction of a server, asked as a client that has seen nothing, in a session of its own that is ended.
 * @throws EverholdError where the server does not answer such a client either
 */
export async function lastZxidOf(
  context: { readonly ports: SessionPorts; readonly settings: SessionSettings },
  attempt: {
    readonly endpoint: Endpoint;
    readonly durationMs: number;
    readonly signal: AbortSignal;
  },
): Promise<bigint> {
  const { ports, settings } = context;
  const { endpoint, durationMs, signal } = attempt;
  const deadlineMs = deadlineIn(ports, durationMs);
  const hello = helloFor(undefined, { timeoutMs: settings.sessionTimeoutMs, lastZxid: 0n });
  const opening = { endpoint, hello, settings, deadlineMs, signal, listener: nobody };
  const { connection, response } = await openConnection(ports, opening);
  if (!isGranted(undefined, response)) {
    const error = new ClosedError("EVH_NOT_READY", "The server grants no session");
    connection.fail(error);
    throw error;
  }
  // Refused or not, the answer says how far the server is.
  await connection.request(lookAtRoot, { deadlineMs, signal }).catch(() => undefined);
  await closeSessionOn(connection, { deadlineMs, signal });
  return connection.lastZxid;
}
