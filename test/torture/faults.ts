import { Prng } from "@everhold/base";

import type { Way } from "./cutting-proxy.ts";
import type { FaultKind } from "./history-line.ts";

/** One disturbance. */
export interface Fault {
  readonly kind: FaultKind;
  /** Peace before it, counted from the end of the one before. */
  readonly pauseMs: number;
  /** How long a broker stays stopped, or dead, or a link slow. */
  readonly durationMs: number;
  /** Share of the connections that are cut, lose what goes one way, or are slow. */
  readonly share: number;
  /** Bytes that a connection which is cut still passes on. */
  readonly bytes: number;
  /** Which way nothing passes any more. */
  readonly way: Way;
  /** How late all comes on a slow link. */
  readonly delayMs: number;
}

/** The most that one run can need. */
const faultCountMax = 10_000;

/** How long it is left in peace between two faults, in ms. */
export interface Peace {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * The faults of a run, in their order: the same seed gives the same ones. How many of them come to pass depends
 * on how long the broker takes to start.
 *
 * @param kinds at least one
 */
export function scheduleFaults(
  seed: number,
  kinds: readonly [FaultKind, ...FaultKind[]],
  { minMs, maxMs }: Peace,
): Fault[] {
  const random = new Prng(seed);
  return orderOf(random, kinds).map((kind) => {
    // One stop of six is longer than the clients' patience, which is 2 s or 10 s.
    const isLong = random.chance(1 / 6);
    const stopMs = isLong ? random.integer(2_500, 3_500) : random.integer(50, 1_200);
    const deadMs = random.chance(0.5) ? 0 : random.integer(1, 500);
    const slowMs = random.integer(100, 2_000);
    // One cut of six is longer than a session with ZooKeeper, which is 4 s.
    const partedMs = isLong ? random.integer(4_000, 8_000) : random.integer(100, 3_000);
    const share = random.chance(0.2) ? 1 : random.fraction();
    return {
      kind,
      pauseMs: random.integer(minMs, maxMs),
      durationMs: {
        ...{ kill: deadMs, stop: stopMs, cut: 0, drop: 0, delay: slowMs },
        ...{ part: partedMs, disk: slowMs, handover: 0, roll: 0 },
      }[kind],
      // Nobody but a silence of seconds tells of a drop, so most would stand still most of the time.
      share: kind === "drop" ? share * 0.1 : share,
      bytes: random.chance(0.3) ? 0 : random.integer(1, 20_000),
      way: random.pick(["out", "in"]),
      delayMs: random.integer(1, 1_000),
    };
  });
}

/** Round after round of all kinds, so that each comes; restarts of all members, which take long, in every third. */
function orderOf(random: Prng, kinds: readonly [FaultKind, ...FaultKind[]]): FaultKind[] {
  const order: FaultKind[] = [];
  for (let round = 1; order.length < faultCountMax; round += 1) {
    const left = kinds.filter((kind) => kind !== "roll" || kinds.length === 1 || round % 3 === 0);
    while (left.length > 0) order.push(...left.splice(random.integer(0, left.length - 1), 1));
  }
  return order;
}
