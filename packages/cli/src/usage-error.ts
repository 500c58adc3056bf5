/** The command line is wrong. Ends the process with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";

  constructor(problem: string) {
    super(`${problem}; everhold --help shows commands and options`);
  }
}
