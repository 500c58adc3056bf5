/** The system's name of what failed (`ENOSPC`), or `undefined` where there is none. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The text of an error for a message: its own, or the system's code where it has none. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? (systemCodeOf(error) ?? error.name) : error.message;
}
