import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import type { Flight } from "./flight-statistics.ts";

const fileName = "flights.txt";

/** The archive's file: one line a flight, in the order in which they came. */
export class FlightArchive {
  readonly #file: number;

  constructor(folder: string) {
    this.#file = openSync(join(folder, fileName), "w");
  }

  /** Writes the flight down; when it returns the file has it. */
  append(index: number, flight: Flight): void {
    writeSync(this.#file, archiveLine(index, flight));
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Whether the archive holds each of `flights` exactly once and nothing else. */
export function readArchive(folder: string, flights: readonly Flight[]): "equal" | "different" {
  const lines = readFileSync(join(folder, fileName), "utf8").split("\n").slice(0, -1);
  if (lines.length !== flights.length) return "different";
  const expected = new Set(flights.map((flight, index) => archiveLine(index, flight).trimEnd()));
  // As many lines as flights, each a flight of ours: with each line taken once, none is missing.
  return lines.every((line) => expected.delete(line)) ? "equal" : "different";
}

function archiveLine(index: number, { delay, distance, time }: Flight): string {
  return `${index} ${delay} ${distance} ${time}\n`;
}
