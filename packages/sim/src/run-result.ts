import type { World } from "./world/world.ts";

/** How one run went, of whatever kind. */
export interface RunResult<Counts extends object = Readonly<Record<string, number>>> {
  readonly seed: number;
  /** Broken promises; empty when all is well. */
  readonly problems: readonly string[];
  readonly simulatedMs: number;
  readonly eventCount: number;
  /** The same at each run of the seed. */
  readonly fingerprint: string;
  /** How often each kind of fault happened. */
  readonly faults: Readonly<Record<string, number>>;
  /** How often what was done, by words for it. */
  readonly counts: Counts;
}

/** What has become of a world, and what was counted in it. */
export function resultOf<Counts extends object>(
  world: World,
  counted: Pick<RunResult<Counts>, "faults" | "counts">,
): RunResult<Counts> {
  return {
    seed: world.seed,
    problems: world.failures.map(
      ({ source, timeMs, error }) => `at ${timeMs.toFixed(3)} ms, ${source}: ${error.message}`,
    ),
    simulatedMs: world.nowMs,
    eventCount: world.eventCount,
    fingerprint: world.trace.fingerprint,
    ...counted,
  };
}
