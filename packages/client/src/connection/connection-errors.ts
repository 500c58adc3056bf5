import { ClosedError, ConnectionError, EverholdError } from "@everhold/base";
import type { WaitSubject } from "@everhold/env";

/** For calls on a connection that the application closed. */
export function closedError(): ClosedError {
  return new ClosedError("EVH_CLOSED", "The connection is closed");
}

/** For new work that does not wait while no broker is connected. */
export function refusedWorkError(reason: string): ConnectionError {
  return new ConnectionError(
    "EVH_NOT_CONNECTED",
    `The connection broke and is not back yet, and nothing waits for it: ${reason}`,
  );
}

/** For work that has waited for the connection as long as it may. */
export function overdueError(failoverTimeoutMs: number, cause: EverholdError): ConnectionError {
  return new ConnectionError(
    "EVH_NOT_CONNECTED",
    `The connection broke and is not back after the failoverTimeout of ${failoverTimeoutMs} ms`,
    { cause },
  );
}

/** The same for one call, which says what is known of its effect. */
export function overdueCallError(subject: WaitSubject, cause: EverholdError): ConnectionError {
  return new ConnectionError("EVH_NOT_CONNECTED", `Cannot ${subject.attempt}: ${cause.message}`, {
    cause,
    outcome: subject.outcome(),
  });
}

/** Anything that was thrown, as an error of Everhold. */
export function asEverholdError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  return new EverholdError("EVH_INTERNAL", "The client failed in a way that it did not expect", {
    cause: error,
  });
}

/** The outcome of what has not been sent. */
export function notYet(): "none" {
  return "none";
}

/** Whether only somebody who changes a certificate or a setting can help. */
export function isHopeless(error: unknown): boolean {
  if (!EverholdError.is(error)) return false;
  const { code } = error;
  return (
    code === "EVH_TLS" ||
    code === "EVH_CLIENT_CERTIFICATE" ||
    code === "EVH_CONFIG" ||
    code.startsWith("EVH_CERTIFICATE_")
  );
}

/** Whether trying again can't help before somebody changes something, with any broker. */
export function isFinal(error: unknown): boolean {
  return EverholdError.is(error, "EVH_DUPLICATE_METADATA");
}

/** Whether a session was not opened for a reason that may be over soon. */
export function isPassing(error: unknown): boolean {
  return EverholdError.is(error, "EVH_NOT_READY") || EverholdError.is(error, "EVH_NOT_CONNECTED");
}

/** Whether this broker does not take the client, and another one may. */
export function isRefusal(error: unknown): boolean {
  return isLoginRefusal(error) || EverholdError.is(error, "EVH_VERSION");
}

/** Whether a broker does not take the credentials. */
export function isLoginRefusal(error: unknown): boolean {
  return EverholdError.is(error, "EVH_SECURITY");
}
