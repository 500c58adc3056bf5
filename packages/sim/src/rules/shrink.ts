import type { Round, RulesPlan } from "./program.ts";

/** Whether a plan still shows what the whole one showed. */
export type Fails = (plan: RulesPlan) => Promise<boolean>;

/**
 * Leaves out of a failing program what it does not need to fail: rounds first, many at a time, then steps and
 * pauses one by one.
 *
 * @param attemptsMax how many programs are tried
 */
export async function shrink(
  plan: RulesPlan,
  fails: Fails,
  attemptsMax: number,
): Promise<RulesPlan> {
  let shortest = plan;
  let attempts = 0;
  const attempt = async (rounds: readonly Round[]): Promise<boolean> => {
    if (attempts >= attemptsMax) return false;
    attempts += 1;
    const candidate = { ...shortest, rounds };
    if (!(await fails(candidate))) return false;
    shortest = candidate;
    return true;
  };
  await leaveOutRounds(() => shortest.rounds, attempt);
  await leaveOutSteps(() => shortest.rounds, attempt);
  // What is shorter may need fewer rounds.
  await leaveOutRounds(() => shortest.rounds, attempt);
  return shortest;
}

type Attempt = (rounds: readonly Round[]) => Promise<boolean>;

async function leaveOutRounds(rounds: () => readonly Round[], attempt: Attempt): Promise<void> {
  for (let size = rounds().length; size >= 1; size = Math.floor(size / 2)) {
    // The end is the likeliest not to be needed.
    let end = rounds().length;
    while (end > 0) {
      const start = Math.max(0, end - size);
      const all = rounds();
      await attempt([...all.slice(0, start), ...all.slice(end)]);
      end = start;
    }
  }
}

async function leaveOutSteps(rounds: () => readonly Round[], attempt: Attempt): Promise<void> {
  for (let index = rounds().length - 1; index >= 0; index -= 1) {
    const replace = (change: (round: Round) => Round): readonly Round[] =>
      rounds().map((round, at) => (at === index ? change(round) : round));
    if ((rounds()[index]?.restMs ?? 0) > 0) {
      await attempt(replace((round) => ({ ...round, restMs: 0 })));
    }
    for (let step = (rounds()[index]?.steps.length ?? 0) - 1; step >= 0; step -= 1) {
      await attempt(
        replace((round) => ({ ...round, steps: round.steps.filter((_, at) => at !== step) })),
      );
    }
  }
}
