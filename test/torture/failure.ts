import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const fileName = "failure.txt";

/** Writes down why a run came to an early end. */
export function writeFailure(folder: string, error: unknown): void {
  writeFileSync(join(folder, fileName), error instanceof Error ? error.message : String(error));
}

/** The first line of what {@link writeFailure} wrote; `undefined` of a run that came to its end. */
export function readFailure(folder: string): string | undefined {
  const path = join(folder, fileName);
  return existsSync(path) ? readFileSync(path, "utf8").split("\n", 1)[0] : undefined;
}
