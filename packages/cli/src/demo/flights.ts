import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import type { Flight } from "./flight-statistics.ts";

/**
 * The first `countMax` flights of the data set `flights-200k.json` of the npm package `vega-datasets`,
 * real departures in the United States.
 *
 * @throws Error when the package is not installed or the file does not hold flights
 */
export function readFlights(countMax: number): readonly Flight[] {
  const entry = createRequire(import.meta.url).resolve("vega-datasets");
  const file = new URL("../data/flights-200k.json", `file://${entry}`);
  const content: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(content)) throw new Error(`expected a list of flights in ${file.pathname}`);
  return content.slice(0, countMax).map((value: unknown) => parseFlight(value));
}

/** A flight from what JSON gave. @throws Error when it is none */
export function parseFlight(value: unknown): Flight {
  if (
    typeof value === "object" &&
    value !== null &&
    "delay" in value &&
    "distance" in value &&
    "time" in value &&
    typeof value.delay === "number" &&
    typeof value.distance === "number" &&
    typeof value.time === "number"
  ) {
    return { delay: value.delay, distance: value.distance, time: value.time };
  }
  throw new Error(
    `expected a flight with delay, distance and time, found ${JSON.stringify(value)}`,
  );
}
