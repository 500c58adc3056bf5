import type { GroupMistake } from "../group-mistakes.ts";
import { manners, runCrash, type Manner } from "./crash-run.ts";
import type { CrashStep } from "./crash-steps.ts";

/** Which points of a step are tried. */
export interface CrashExploration {
  /** How many points at most, spread over the step, in one manner after the other. Default: all, each in each manner. */
  readonly pointCountMax?: number | undefined;
  readonly mistake?: GroupMistake | undefined;
}

/** What came of the deaths in one step. */
export interface StepReport {
  /** Things that whoever dies does in the step, on its disk and with others. */
  readonly pointCount: number;
  /** Deaths that were tried. */
  readonly deathCount: number;
  readonly failures: readonly CrashFailure[];
}

/** A death of which something came that may not. */
export interface CrashFailure {
  readonly point: number;
  /** undefined: nobody died. */
  readonly manner: Manner | undefined;
  readonly diedAfter: string | undefined;
  readonly problems: readonly string[];
}

/** Has a member die at the points of a step, each time in a new group; and once at none. */
export async function exploreCrashes(
  step: CrashStep,
  { pointCountMax = Infinity, mistake }: CrashExploration = {},
): Promise<StepReport> {
  const failures: CrashFailure[] = [];
  const { pointCount, problems } = await runCrash({ step, point: Infinity, mistake });
  const none = { point: Infinity, manner: undefined, diedAfter: undefined };
  if (problems.length > 0) failures.push({ ...none, problems });
  const stride = Math.max(1, Math.ceil(pointCount / pointCountMax));
  const isWhole = pointCountMax === Infinity;
  let deathCount = 0;
  for (let point = Math.floor(stride / 2); point < pointCount; point += stride) {
    const turn = Math.floor(point / stride) % manners.length;
    for (const manner of isWhole ? manners : manners.slice(turn, turn + 1)) {
      const died = await runCrash({ step, manner, point, mistake });
      deathCount += 1;
      if (died.problems.length > 0) failures.push({ ...died, point, manner });
    }
  }
  return { pointCount, deathCount, failures };
}
