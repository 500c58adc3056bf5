import { ClosedError, EverholdError } from "@everhold/base";

/** For calls on a connection that the application closed. */
export function closedError(): ClosedError {
  return new ClosedError("EVH_CLOSED", "The connection is closed");
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
