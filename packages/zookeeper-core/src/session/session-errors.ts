import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import { attemptOf, type RequestSubject, shownPathOf, ZooKeeperError } from "../errors.ts";

/** Anything that was thrown, as an error of Everhold. */
export function asEverholdError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  return new EverholdError("EVH_INTERNAL", "The client failed in a way that it did not expect", {
    cause: error,
  });
}

/** For a connection that is not wanted any more. */
export function givenUpError(): ConnectionError {
  return new ConnectionError("EVH_DISCONNECTED", "the connection was given up");
}

/**
 * For whoever waits for a connection for too long; `last` is what kept the last attempt from it. Its code is that of
 * TLS or of a certificate where that was it: then only a person can help.
 */
export function notConnectedError(
  last: EverholdError | undefined,
  cause: EverholdError,
): ConnectionError {
  const why = last?.message ?? "no server answered in time";
  const code = last !== undefined && isAboutTls(last) ? last.code : "EVH_NOT_CONNECTED";
  return new ConnectionError(code, `Cannot connect to ZooKeeper: ${why}`, { cause: last ?? cause });
}

function isAboutTls({ code }: EverholdError): boolean {
  const codes: readonly string[] = ["EVH_TLS", "EVH_CLIENT_CERTIFICATE"];
  return codes.includes(code) || code.startsWith("EVH_CERTIFICATE_");
}

/** For a connection whose session is over. */
export function sessionOverError(): ZooKeeperError {
  return new ZooKeeperError("EVH_SESSION_EXPIRED", "the session is over", {
    reason: "SESSIONEXPIRED",
  });
}

/** For a request that is bound to a session which is over; it has not left. */
export function epochOverError(request: RequestSubject): ZooKeeperError {
  return new ZooKeeperError(
    "EVH_SESSION_EXPIRED",
    `Cannot ${attemptOf(request)}: the session that it belongs to is over`,
    { reason: "SESSIONEXPIRED", path: shownPathOf(request) },
  );
}

/** For a request to a client that has ended by `end`; it has not left. */
export function endedError(request: RequestSubject, end: EverholdError): EverholdError {
  const attempt = `Cannot ${attemptOf(request)}`;
  if (end instanceof ClosedError) {
    return new ClosedError(end.code, `${attempt}: the ZooKeeper client is closed`);
  }
  return new ZooKeeperError(end.code, `${attempt}: ${end.message}`, {
    reason: end instanceof ZooKeeperError ? end.reason : "CONNECTIONLOSS",
    path: shownPathOf(request),
    cause: end,
  });
}

/** Whether the servers do not accept who the client says it is; no other attempt is of use then. */
export function isAuthFailure(error: EverholdError): boolean {
  if (error.code === "EVH_UNSUPPORTED") return true;
  if (!(error instanceof ZooKeeperError)) return false;
  return error.reason === "AUTHFAILED" || error.reason === "SESSIONCLOSEDREQUIRESASLAUTH";
}
