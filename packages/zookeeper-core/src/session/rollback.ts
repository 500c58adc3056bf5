import { ClosedError } from "@everhold/base";
import type { MonotonicClock } from "@everhold/env";
import { writeValue } from "@everhold/wire";
import { operations } from "../protocol/operations.ts";
import { pathAndWatch } from "../protocol/records.ts";
import { closeSessionOn } from "./close-session.ts";
import type { RequestSpec } from "./request.ts";
import { helloFor, isGranted } from "./session-identity.ts";
import { type DialAttempt, visit, type VisitContext } from "./visit.ts";

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
 * The last transaction of a server, asked as a client that has seen nothing, in a session of its own that is ended; 0n
 * where the server grants the session and does not say.
 * @throws EverholdError where the server does not answer such a client either
 */
export async function lastZxidOf(context: VisitContext, attempt: DialAttempt): Promise<bigint> {
  const { sessionTimeoutMs: timeoutMs } = context.settings;
  const hello = helloFor(undefined, { timeoutMs, lastZxid: 0n });
  const { connection, response, wait } = await visit(context, attempt, hello);
  if (!isGranted(undefined, response)) {
    const error = new ClosedError("EVH_NOT_READY", "The server grants no session");
    connection.fail(error);
    throw error;
  }
  // The answer says how far the server is, unless it is that of one that asks for a login.
  await connection.request(lookAtRoot, wait).catch(() => undefined);
  await closeSessionOn(connection, wait);
  return connection.lastZxid;
}
