import { Prng } from "@everhold/base";

import type { FaultKind } from "./history-line.ts";

/** One disturbance. */
export interface Fault {
  readonly kind: FaultKind;
  /** Peace before it, counted from the end of the one before. */
  readonly pauseMs: number;
  /** How long a broker stays stopped, or dead. */
  readonly durationMs: number;
  /** Share of the connections that are cut. */
  readonly share: number;
  /** Bytes that a connection which is cut still passes on. */
  readonly bytes: number;
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
  return Array.from({ length: faultCountMax }, () => {
    const kind = random.pick(kinds);
    // One stop of six is longer than the clients' patience, which is 2 s or 10 s.
    const isLong = random.chance(1 / 6);
    const stopMs = isLong ? random.integer(2_500, 3_500) : random.integer(50, 1_200);
    const deadMs = random.chance(0.5) ? 0 : random.integer(1, 500);
    return {
      kind,
      pauseMs: random.integer(minMs, maxMs),
      durationMs: kind === "stop" ? stopMs : deadMs,
      share: random.chance(0.2) ? 1 : random.fraction(),
      bytes: random.chance(0.3) ? 0 : random.integer(1, 20_000),
    };
  });
}
