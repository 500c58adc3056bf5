import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import { closeSessionOn } from "./close-session.ts";
import { helloFor, isGranted, type SessionIdentity } from "./session-identity.ts";
import { isAuthFailure } from "./session-errors.ts";
import { type DialAttempt, visit, type VisitContext } from "./visit.ts";

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
