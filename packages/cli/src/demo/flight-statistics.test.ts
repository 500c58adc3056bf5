import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { FlightArchive, readArchive } from "./archive.ts";
import { EffectLedger } from "./effect-ledger.ts";
import { FlightStatistics } from "./flight-statistics.ts";
import { madeFlights, parseFlight, readFlights } from "./flights.ts";

test("statistics do not depend on the order of the flights", () => {
  const flights = readFlights(2_000);
  const forwards = new FlightStatistics();
  const backwards = new FlightStatistics();
  for (const flight of flights) forwards.add(flight);
  for (const flight of flights.toReversed()) backwards.add(flight);
  assert.equal(forwards.toText(), backwards.toText());
});

test("a flight missing, doubled or changed shows in the statistics", () => {
  const flights = readFlights(1_000);
  const text = (all: readonly (typeof flights)[number][]): string => {
    const statistics = new FlightStatistics();
    for (const flight of all) statistics.add(flight);
    return statistics.toText();
  };
  const [first = { delay: 0, distance: 0, time: 0 }, ...rest] = flights;
  assert.notEqual(text(rest), text(flights));
  assert.notEqual(text([first, ...flights]), text(flights));
  assert.notEqual(text([{ ...first, delay: first.delay + 1 }, ...rest]), text(flights));
});

test("the data set has 200,000 flights", () => {
  const flights = readFlights(1_000_000);
  assert.equal(flights.length, 200_000);
  assert.deepEqual(flights[1], { delay: 171, distance: 2_227, time: 0 });
});

test("flights that are made up are flights, and the same each time", () => {
  const made = madeFlights(1_000);
  assert.deepEqual(made, madeFlights(1_000));
  assert.deepEqual(made.map(parseFlight), made);
  assert.ok(made.every(({ time }) => time >= 0 && time < 24));
  assert.equal(new Set(made.map((flight) => JSON.stringify(flight))).size, 1_000);
});

test("what is no flight is refused", () => {
  for (const value of [null, 1, {}, { delay: "1", distance: 1, time: 1 }]) {
    assert.throws(() => parseFlight(value), /expected a flight/);
  }
});

test("the archive is equal only with each flight once", () => {
  const folder = mkdtempSync(join(tmpdir(), "everhold-archive-"));
  const flights = readFlights(3);
  const write = (indexes: readonly number[]): void => {
    const archive = new FlightArchive(folder);
    for (const index of indexes) {
      archive.append(index, flights[index] ?? { delay: 0, distance: 0, time: 0 });
    }
    archive.close();
  };
  write([2, 0, 1]);
  assert.equal(readArchive(folder, flights), "equal");
  write([0, 1]);
  assert.equal(readArchive(folder, flights), "different");
  write([0, 1, 1]);
  assert.equal(readArchive(folder, flights), "different");
  rmSync(folder, { recursive: true });
});

test("a marked redelivery before the settlement is no duplicate", () => {
  const ledger = new EffectLedger(2);
  assert.equal(ledger.noteDelivery(0, false), true);
  assert.equal(ledger.noteDelivery(0, true), false);
  ledger.noteSettled(0);
  assert.deepEqual(ledger.report(), { received: 1, lost: 1, duplicated: 0, redelivered: 1 });
});

test("an unmarked repeat, a delivery after settlement and a second effect are duplicates", () => {
  const unmarked = new EffectLedger(1);
  unmarked.noteDelivery(0, false);
  unmarked.noteDelivery(0, false);
  assert.equal(unmarked.report().duplicated, 1);
  const settled = new EffectLedger(1);
  settled.noteDelivery(0, false);
  settled.noteSettled(0);
  settled.noteDelivery(0, true);
  assert.equal(settled.report().duplicated, 1);
  settled.noteSettled(0);
  assert.equal(settled.report().duplicated, 2);
});

test("a message of no index is an error", () => {
  assert.throws(() => new EffectLedger(1).noteDelivery(1, false), RangeError);
  assert.throws(() => new EffectLedger(1).noteDelivery(0.5, false), RangeError);
});
