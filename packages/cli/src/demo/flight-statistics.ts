/** One flight of the data set: delay in minutes, distance in miles, time of day in hours. */
export interface Flight {
  readonly delay: number;
  readonly distance: number;
  readonly time: number;
}

/** Count and delays of the flights of one cell. */
export interface DelayCell {
  count: number;
  /** Minutes; whole numbers, so that the order of adding does not matter. */
  delaySum: number;
  delayMin: number;
  delayMax: number;
}

/** Miles that one class of distance spans. */
const distanceClassMiles = 500;

/**
 * Delay statistics by hour of departure and class of distance. Two of them are equal exactly when they
 * saw the same flights the same number of times, as far as counts, sums and extremes can tell.
 */
export class FlightStatistics {
  readonly #cells = new Map<string, DelayCell>();

  add(flight: Flight): void {
    const key = cellKey(flight);
    const cell = this.#cells.get(key);
    if (cell === undefined) {
      this.#cells.set(key, {
        count: 1,
        delaySum: flight.delay,
        delayMin: flight.delay,
        delayMax: flight.delay,
      });
      return;
    }
    cell.count++;
    cell.delaySum += flight.delay;
    cell.delayMin = Math.min(cell.delayMin, flight.delay);
    cell.delayMax = Math.max(cell.delayMax, flight.delay);
  }

  /** Every cell in the order of its key: the same text for the same statistics. */
  toText(): string {
    return JSON.stringify([...this.#cells].toSorted(([left], [right]) => (left < right ? -1 : 1)));
  }

  /** Mean delay in minutes by hour of departure, for people. */
  meanDelayByHour(): readonly { readonly hour: number; readonly meanDelay: number }[] {
    const byHour = new Map<number, { count: number; delaySum: number }>();
    for (const [key, cell] of this.#cells) {
      const hour = Number(key.slice(0, 2));
      const sum = byHour.get(hour) ?? { count: 0, delaySum: 0 };
      sum.count += cell.count;
      sum.delaySum += cell.delaySum;
      byHour.set(hour, sum);
    }
    return [...byHour]
      .toSorted(([left], [right]) => left - right)
      .map(([hour, { count, delaySum }]) => ({ hour, meanDelay: delaySum / count }));
  }
}

function cellKey(flight: Flight): string {
  const hour = String(Math.floor(flight.time)).padStart(2, "0");
  const distanceClass = Math.floor(flight.distance / distanceClassMiles) * distanceClassMiles;
  return `${hour}h ${String(distanceClass).padStart(4, "0")}mi`;
}
