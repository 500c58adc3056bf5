import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

import { formatHistoryLine, parseHistoryLine, type HistoryEvent } from "./history-line.ts";

/** Where what happens is written down. */
export type HistorySink = (event: HistoryEvent) => void;

/** A history that only grows; a line that was written outlives the process, however that ends. */
export class HistoryFile {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  readonly write: HistorySink = (event) => {
    writeSync(this.#file, formatHistoryLine(event));
  };

  close(): void {
    closeSync(this.#file);
  }
}

/** The events of a file. A process that was killed may have left half a line, which counts for nothing. */
export function readHistory(path: string): HistoryEvent[] {
  const lines = readFileSync(path, "utf8").split("\n");
  lines.pop();
  return lines.map(parseHistoryLine);
}

/** Microseconds of the clock that all processes of the machine share. */
export function nowMicroseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000_000 + Math.floor(nanoseconds / 1_000);
}
