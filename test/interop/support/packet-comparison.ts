import { PacketScript } from "./packet-script.ts";
import { PacketStage, type PacketStep } from "./packet-stage.ts";
import { differences, type Difference, type Observation } from "./packet-transcript.ts";

/** A program: what it shows, and its steps. */
export interface PacketProgram {
  readonly name: string;
  readonly build: (script: PacketScript) => void;
}

/** Where a step came to something else on Everhold than on Artemis. */
export interface StepDifference extends Difference {
  readonly program: string;
  readonly index: number;
  /** The step in words. */
  readonly step: string;
}

/** The two brokers that get the same packets. */
export interface BrokerPair {
  readonly ours: { readonly port: number };
  readonly theirs: { readonly port: number };
}

/** Silence that ends a step: short at first, long when something differed, so that no race counts. */
const quietMs = { first: 12, second: 120, third: 400 } as const;

/** What names begin with differs from run to run, so that a broker that was used before serves as well. */
const runName = Date.now().toString(36);
/** For how long a program that differs may be made shorter. */
const shrinkMs = 120_000;
let programCount = 0;

/**
 * Runs a program against both brokers and returns in what they differ. What differs is run again with
 * longer silence, under fresh names; only what differs each time is returned.
 *
 * @param kept the numbers of the steps to run; all when left out
 * @param excuses whether a difference is known and explained
 */
export async function compare(
  brokers: BrokerPair,
  program: PacketProgram,
  excuses: (difference: StepDifference) => boolean,
  kept?: ReadonlySet<number>,
): Promise<StepDifference[]> {
  let found: StepDifference[] = [];
  for (const silence of Object.values(quietMs)) {
    programCount += 1;
    const script = new PacketScript(`${runName}-${programCount}.`, Date.now());
    program.build(script);
    const steps = script.steps.filter((_step, index) => kept === undefined || kept.has(index));
    const options = { prefix: script.prefix, quietMs: silence };
    const [ours, theirs] = await Promise.all([
      new PacketStage({ ...options, port: brokers.ours.port }).run(steps),
      new PacketStage({ ...options, port: brokers.theirs.port }).run(steps),
    ]);
    found = differencesOf(program.name, steps, ours, theirs).filter((one) => !excuses(one));
    if (found.length === 0) return [];
  }
  return found;
}

/**
 * Drops steps of a program while it still differs as it did: in the same place of the answer to the same
 * packet, because shorter programs may well differ for other, known reasons.
 *
 * @returns the numbers of the steps that are left
 */
export async function shrink(
  brokers: BrokerPair,
  program: PacketProgram,
  excuses: (difference: StepDifference) => boolean,
  found: readonly StepDifference[],
): Promise<ReadonlySet<number>> {
  const deadlineMs = performance.now() + shrinkMs;
  const [first] = found;
  const isOther = (one: StepDifference): boolean =>
    excuses(one) || first === undefined || signatureOf(one) !== signatureOf(first);
  const script = new PacketScript("", 0);
  program.build(script);
  let kept = new Set(script.steps.keys());
  for (let size = Math.ceil(kept.size / 2); size >= 1; size = Math.floor(size / 2)) {
    for (const start of [...kept].filter((_step, index) => index % size === 0)) {
      if (performance.now() > deadlineMs) return kept;
      const all = [...kept];
      const from = all.indexOf(start);
      if (from < 0) continue;
      const fewer = new Set(all.toSpliced(from, size));
      if ((await compare(brokers, program, isOther, fewer)).length > 0) kept = fewer;
    }
  }
  return kept;
}

/** The steps of a program in words, one a line. */
export function listing(program: PacketProgram, kept?: ReadonlySet<number>): string {
  const script = new PacketScript("", 0);
  program.build(script);
  return script.steps
    .map(({ text }, index) => `${index}: ${text}`)
    .filter((_text, index) => kept === undefined || kept.has(index))
    .join("\n");
}

/** Differences for people, by step. */
export function describeDifferences(found: readonly StepDifference[]): string {
  const lines: string[] = [];
  let index = -1;
  for (const one of found) {
    if (one.index !== index) lines.push(`${one.index}: ${cut(one.step, 160)}`);
    index = one.index;
    const ours = cut(JSON.stringify(one.ours) ?? "nothing", 200);
    const theirs = cut(JSON.stringify(one.theirs) ?? "nothing", 200);
    lines.push(`    ${one.path}: Everhold ${ours}, Artemis ${theirs}`);
  }
  return lines.join("\n");
}

/** What kind of packet a difference follows, and where it is. */
function signatureOf({ step, path }: StepDifference): string {
  return `${step.split(" ")[0] ?? ""} ${path.split(".").at(-1) ?? ""}`;
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : `${text.slice(0, chars)}…`;
}

function differencesOf(
  program: string,
  steps: readonly PacketStep[],
  ours: readonly Observation[],
  theirs: readonly Observation[],
): StepDifference[] {
  return steps.flatMap(({ text }, index) =>
    differences(ours[index], theirs[index]).map((difference) => ({
      ...difference,
      program,
      index,
      step: text,
    })),
  );
}
