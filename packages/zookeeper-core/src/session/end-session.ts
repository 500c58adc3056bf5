import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import type { ServerConnection } from "../connection/server-connection.ts";
import { operations } from "../protocol/operations.ts";
import { helloFor, isGranted, type SessionIdentity } from "./session-identity.ts";
import type { RequestSpec } from "./request.ts";
import { isAuthFailure } from "./session-errors.ts";
import { type DialAttempt, visit, type VisitContext } from "./visit.ts";

const closeSession: RequestSpec<void> = {
  operation: operations.closeSession,
  encode: () => undefined,
  decode: () => undefined,
};

/**
 * Has the server end the session, then ends the connection. Waits for the server at most so long; gives whether it
 * answered. One that refuses, because it asks for a login, leaves the session to expire, and would do so again.
 */
export async function closeSessionOn(
  connection: ServerConnection,
  wait: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const isAnswered = await connection.request(closeSession, wait).then(
    () => true,
    (error: unknown) => EverholdError.is(error, "EVH_SECURITY"),
  );
  connection.fail(new ClosedError("EVH_CLOSED", "the client was closed"));
  return isAnswered;
}

/**
 * Connects to one server as a session that the client has given up, and has it end there. So its ephemeral nodes go
 * now rather than when it expires.
 * @throws EverholdError where the server could not be reached in the time, or gave no answer
 */
export async function endFormerSession(
  context: VisitContext,
  former: SessionIdentity,
  attempt: DialAttempt,
): Promise<void> {
  const hello = helloFor(former, { timeoutMs: former.timeoutMs, lastZxid: 0n });
  const visited = await visit(context, attempt, hello).catch((error: unknown) => {
    // Who is not let in would not be the next time either; the client's own login tells of it.
    if (EverholdError.is(error) && isAuthFailure(error)) return undefined;
    throw error;
  });
  if (visited === undefined) return;
  const { connection, response, wait } = visited;
  if (!isGranted(former, response)) {
    connection.fail(new ClosedError("EVH_CLOSED", "the session is over already"));
    return;
  }
  if (await closeSessionOn(connection, wait)) return;
  throw new ConnectionError(
    "EVH_DISCONNECTED",
    `Cannot end a session at ${connection.server}: it gave no answer`,
  );
}
