import { EverholdError } from "everhold";

/** An EVH_FILE error for a file or folder of the command line. An error of ours, as of a body, stays what it is. */
export function fileError(attempted: string, file: string, cause: unknown): EverholdError {
  if (EverholdError.is(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EverholdError("EVH_FILE", `cannot ${attempted} ${file}: ${reason}`, { cause });
}
