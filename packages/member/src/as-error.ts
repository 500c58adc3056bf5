import { EverholdError } from "@everhold/base";

/** What was thrown, as an error with a code: EVH_INTERNAL where it has none. */
export function asError(error: unknown): EverholdError {
  if (EverholdError.is(error)) return error;
  const problem = error instanceof Error ? error.message : String(error);
  return new EverholdError("EVH_INTERNAL", problem, { cause: error });
}
