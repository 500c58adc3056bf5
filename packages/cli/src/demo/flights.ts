import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { Prng } from "@everhold/base";

import type { Flight } from "./flight-statistics.ts";

/** As many as the data set has. */
export const flightCountMax = 200_000;

/** Of the flights that are made up. */
const seed = 1;

/** Whether {@link readFlights} has the data set. */
export function areFlightsReal(): boolean {
  return dataSetFile() !== undefined;
}

/**
 * The first `countMax` flights of the data set `flights-200k.json` of the npm package `vega-datasets`, real departures in
 * the United States; where that is not installed, always the same made-up ones.
 *
 * @throws Error when the file does not hold flights
 */
export function readFlights(countMax: number): readonly Flight[] {
  const file = dataSetFile();
  if (file === undefined) return madeFlights(countMax);
  const content: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(content)) throw new Error(`expected a list of flights in ${file.pathname}`);
  return content.slice(0, countMax).map((value: unknown) => parseFlight(value));
}

/** Flights as the data set has them, of any day. */
export function madeFlights(countMax: number): readonly Flight[] {
  const prng = new Prng(seed);
  return Array.from({ length: Math.min(countMax, flightCountMax) }, () => ({
    delay: prng.integer(-60, 179),
    distance: prng.integer(100, 2_999),
    time: prng.integer(0, 2_399) / 100,
  }));
}

function dataSetFile(): URL | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve("vega-datasets");
    return new URL("../data/flights-200k.json", `file://${entry}`);
  } catch {
    return undefined;
  }
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
