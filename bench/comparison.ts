import { median } from "./median.ts";

/** What can be measured of a contestant; all but the first are better when they are lower. */
export const figures = {
  perSecond: { title: "a second", unit: "" },
  p50: { title: "p50", unit: "ms" },
  p99: { title: "p99", unit: "ms" },
  sendP50: { title: "send p50", unit: "ms" },
  sendP99: { title: "send p99", unit: "ms" },
  transferP50: { title: "transfer p50", unit: "ms" },
  transferP99: { title: "transfer p99", unit: "ms" },
  brokerCpu: { title: "broker CPU", unit: "µs a message" },
  clientCpu: { title: "client CPU", unit: "µs each" },
} as const;

type FigureName = keyof typeof figures;

/** What one measurement found. */
export type Figures = Readonly<Partial<Record<FigureName, number>>>;

/** Who takes part in a comparison. */
export interface Contestant {
  readonly name: string;
  readonly measure: () => Promise<Figures>;
}

/** Of one contestant: the medians over all rounds. */
export interface ContestantResult {
  readonly name: string;
  readonly median: Figures;
  /** To the first contestant, pair by pair in each round, and of these the median. */
  readonly ratio: Figures;
}

/** What {@link compare} found. */
export interface Comparison {
  readonly scenario: string;
  readonly rounds: number;
  readonly results: readonly ContestantResult[];
}

/**
 * Measures contestants in turn, never two at once: so many rounds, every other one in reverse order, so
 * that a machine that gets slower or faster meanwhile does the same to all. The first is the yardstick.
 */
export async function compare(
  scenario: string,
  rounds: number,
  contestants: readonly Contestant[],
): Promise<Comparison> {
  const found = contestants.map(({ name }) => ({ name, rounds: new Array<Figures>() }));
  for (let round = 0; round < rounds; round++) {
    const indexes = [...contestants.keys()];
    if (round % 2 === 1) indexes.reverse();
    for (const index of indexes) {
      const measured = await contestants[index]?.measure();
      if (measured !== undefined) found[index]?.rounds.push(measured);
    }
  }
  const yardstick = found[0]?.rounds ?? [];
  return {
    scenario,
    rounds,
    results: found.map((one) => ({
      name: one.name,
      median: medianOf(one.rounds),
      ratio: medianOf(one.rounds.map((each, round) => ratioOf(each, yardstick[round] ?? {}))),
    })),
  };
}

/** The names of all figures, in the order in which they are shown. */
export function figureNames(): readonly FigureName[] {
  return [
    "perSecond",
    "p50",
    "p99",
    "sendP50",
    "sendP99",
    "transferP50",
    "transferP99",
    "brokerCpu",
    "clientCpu",
  ];
}

function medianOf(rounds: readonly Figures[]): Figures {
  return combined((name) => {
    const values = rounds.flatMap((figure) => figure[name] ?? []);
    return values.length === 0 ? undefined : rounded(median(values));
  });
}

function ratioOf(one: Figures, other: Figures): Figures {
  return combined((name) => {
    const [above, below] = [one[name], other[name]];
    return above === undefined || below === undefined || below === 0 ? undefined : above / below;
  });
}

function combined(valueOf: (name: FigureName) => number | undefined): Figures {
  const result: Partial<Record<FigureName, number>> = {};
  for (const name of figureNames()) {
    const value = valueOf(name);
    if (value !== undefined) result[name] = value;
  }
  return result;
}

/** To three digits: what lies behind them is noise. */
function rounded(value: number): number {
  return value >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
}
