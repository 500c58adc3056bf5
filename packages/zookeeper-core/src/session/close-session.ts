import { ClosedError, EverholdError } from "@everhold/base";
import type { ServerConnection } from "../connection/server-connection.ts";
import { operations } from "../protocol/operations.ts";
import type { RequestSpec } from "./request.ts";

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
