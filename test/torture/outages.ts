/** What may have broken connections, and when it began. */
export interface Cause {
  readonly name: string;
  readonly atMicroseconds: number;
}

/** A time in which a client was without a connection. */
export interface Outage {
  readonly downMicroseconds: number;
  readonly lengthMicroseconds: number;
}

/** How long clients were without a connection, of the outages with one cause. */
export interface OutageSpread {
  /** How often it was done. */
  readonly times: number;
  /** How many connections broke. */
  readonly outages: number;
  readonly medianMs: number;
  readonly worstMs: number;
}

/**
 * The outages by what caused them: by the last that was done before the connection broke. What lasts while other things are
 * done, and what shows late, may be counted with one of those.
 */
export function outagesByCause(
  causes: readonly Cause[],
  outages: readonly Outage[],
): Record<string, OutageSpread> {
  const inOrder = causes.toSorted((left, right) => left.atMicroseconds - right.atMicroseconds);
  const lengths = new Map<string, number[]>();
  for (const { downMicroseconds, lengthMicroseconds } of outages) {
    const cause = inOrder.findLast(({ atMicroseconds }) => atMicroseconds <= downMicroseconds);
    const name = cause?.name ?? "nothing";
    lengths.set(name, [...(lengths.get(name) ?? []), lengthMicroseconds]);
  }
  const names = [...new Set([...causes.map(({ name }) => name), ...lengths.keys()])];
  return Object.fromEntries(
    names.toSorted().map((name) => {
      const times = causes.filter((cause) => cause.name === name).length;
      return [name, spreadOf(times, lengths.get(name) ?? [])];
    }),
  );
}

function spreadOf(times: number, lengths: readonly number[]): OutageSpread {
  const sorted = lengths.toSorted((left, right) => left - right);
  const ms = (index: number): number => Math.round((sorted[index] ?? 0) / 1_000);
  return {
    ...{ times, outages: sorted.length },
    ...{ medianMs: ms(Math.floor((sorted.length - 1) / 2)), worstMs: ms(sorted.length - 1) },
  };
}
