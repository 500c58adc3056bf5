import { runProgram, type Trace } from "./run-program.ts";
import { showStep, type Program, type Step } from "./step.ts";
import type { Target } from "./wire.ts";

/** The first step that two servers answered in different ways, and what each had. */
export interface Difference {
  readonly program: Program;
  readonly at: number;
  readonly seen: readonly { readonly name: string; readonly lines: readonly string[] }[];
}

/** Runs a program on both; `undefined` where they say the same. */
export async function compare(
  expected: Target,
  actual: Target,
  program: Program,
): Promise<Difference | undefined> {
  const traces: [Trace, Trace] = [
    await runProgram(expected, program),
    await runProgram(actual, program),
  ];
  const at = program.steps.findIndex(
    (_, index) => JSON.stringify(traces[0][index]) !== JSON.stringify(traces[1][index]),
  );
  if (at === -1) return undefined;
  const seen = [expected, actual].map(({ name }, index) => ({
    name,
    lines: traces[index]?.[at] ?? [],
  }));
  return { program, at, seen };
}

/**
 * Leaves out what a difference does not need: what comes after it, then many steps at a time, then each, then parts.
 *
 * @param attemptsMax how many programs are tried
 */
export async function shrink(
  difference: Difference,
  differs: (program: Program) => Promise<Difference | undefined>,
  attemptsMax: number,
): Promise<Difference> {
  let shortest = difference;
  let attempts = 0;
  const attempt = async (steps: readonly Step[]): Promise<boolean> => {
    if (attempts >= attemptsMax) return false;
    attempts += 1;
    const found = await differs({ seed: difference.program.seed, steps });
    if (found === undefined) return false;
    shortest = found;
    return true;
  };
  const steps = (): readonly Step[] => shortest.program.steps;
  await attempt(steps().slice(0, shortest.at + 1));
  for (let size = steps().length; size >= 1; size = Math.floor(size / 2)) {
    for (let end = steps().length; end > 0; end -= size) {
      await attempt(steps().filter((_, at) => at < end - size || at >= end));
    }
  }
  for (let index = 0; index < steps().length; index += 1) {
    for (const shorter of shorterOnes(steps()[index])) {
      if (await attempt(steps().map((step, at) => (at === index ? shorter : step)))) break;
    }
  }
  return shortest;
}

/** A difference as the program that shows it. */
export function showDifference({ program, at, seen }: Difference): string {
  return [
    `programs of seed ${program.seed} differ at the last step of`,
    ...program.steps.slice(0, at + 1).map((step) => `  ${showStep(step)}`),
    ...seen.flatMap(({ name, lines }) => [`${name}:`, ...lines.map((line) => `  ${line}`)]),
  ].join("\n");
}

/** A step without one of its parts or paths. */
function shorterOnes(step: Step | undefined): Step[] {
  if (step?.kind === "multi" || step?.kind === "multiRead") {
    return step.parts.map((_, part) => ({
      ...step,
      parts: step.parts.filter((_each, at) => at !== part),
    }));
  }
  if (step?.kind !== "setWatches") return [];
  const { lists } = step;
  const none = { data: [], exists: [], children: [], persistent: [], persistentRecursive: [] };
  return [
    { ...step, lists: { ...none, data: lists.data } },
    { ...step, lists: { ...none, exists: lists.exists } },
    { ...step, lists: { ...none, children: lists.children } },
    { ...step, lists: { ...lists, persistent: [], persistentRecursive: [] } },
  ];
}
