import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";

import { cacheFolder } from "./folders.ts";

/** Keeps something measured: printed at the end of the run, and left in `.cache/figures.jsonl`. */
export function recordFigure(name: string, value: object): void {
  mkdirSync(cacheFolder, { recursive: true });
  appendFileSync(
    join(cacheFolder, "figures.jsonl"),
    `${JSON.stringify({ figure: name, ...value })}\n`,
  );
}
