import { parseArgs } from "node:util";
import { mutations } from "./mutations/mutations.ts";
import { ruleMutations } from "./mutations/rule-mutations.ts";
import { groupMistakes } from "./scenario/group/group-mistakes.ts";
import { keeperMistakes } from "./zookeeper/scenario/keeper-run.ts";
import { kinds, parseSeeds, type Kind, type SeedPlan, type SeedRow } from "./runner.ts";

/** How the command is used. */
export const usage = `Usage: npm run sim -- [options]

  --kind KIND     only runs of this kind: ${kinds.join(", ")} (default all)
  --seeds N       how many seeds of each kind, after the recorded ones (default 100, or no limit with --minutes)
  --start S       the first of them (default 1)
  --from FILE     the first of them is in this file, and where it ended is written there
  --minutes M     begin no further seed after M minutes
  --processes P   so many processes at the same time (default 1)
  --seed S        replay one seed and print everything that happens; with --kind (default promises)
  --mutate NAME   break something on purpose, which must be found:
                  promises: ${mutations.join(", ")}
                  rules: ${ruleMutations.join(", ")}
                  zookeeper: ${keeperMistakes.join(", ")}
                  group: ${groupMistakes.join(", ")}
  --json          one line of JSON at the end`;

/** What the command line asks for. */
export interface Arguments {
  readonly plan: SeedPlan;
  readonly replay: number | undefined;
  readonly replayKind: Kind;
  readonly json: boolean;
  readonly processes: number;
  /** The file that is told where the run ended. */
  readonly from: string | undefined;
  /** Whether another process started this one to do a part of its work. */
  readonly isPart: boolean;
}

/**
 * @param readFile gives the text of a file
 * @throws Error that says what is not understood
 */
export function readArguments(
  words: readonly string[],
  readFile: (name: string | URL) => string,
): Arguments {
  const { values } = parseArgs({
    args: [...words],
    options: {
      kind: { type: "string" },
      seeds: { type: "string" },
      seed: { type: "string" },
      start: { type: "string" },
      from: { type: "string" },
      minutes: { type: "string" },
      mutate: { type: "string" },
      processes: { type: "string" },
      part: { type: "string" },
      starts: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const mutation = mutations.find((name) => name === values.mutate);
  const ruleMutation = ruleMutations.find((name) => name === values.mutate);
  const mistake = keeperMistakes.find((name) => name === values.mutate);
  const groupMistake = groupMistakes.find((name) => name === values.mutate);
  const mutated = mutation ?? ruleMutation ?? mistake ?? groupMistake;
  if (values.mutate !== undefined && mutated === undefined) {
    const known = [...mutations, ...ruleMutations, ...keeperMistakes, ...groupMistakes].join(", ");
    throw new Error(`cannot use --mutate ${values.mutate}: expected one of ${known}`);
  }
  const kind = kinds.find((one) => one === values.kind);
  if (values.kind !== undefined && kind === undefined) {
    throw new Error(`cannot use --kind ${values.kind}: expected one of ${kinds.join(", ")}`);
  }
  const asked =
    kind ??
    (ruleMutation && "rules") ??
    (mistake && "zookeeper") ??
    (groupMistake && "group") ??
    (mutation && "promises");
  const [part, parts] = readPart(values.part);
  const minutes = values.minutes === undefined ? Infinity : numberOf("minutes", values.minutes);
  const count = values.minutes === undefined ? 100 : Infinity;
  const start = values.start === undefined ? 1 : integerOf("start", values.start);
  const starts = values.from === undefined ? {} : readStarts(values.from, readFile);
  const given = values.starts?.split(",").map((text) => integerOf("starts", text)) ?? [];
  const rows: Partial<Record<Kind, SeedRow>> = {};
  for (const one of kinds) {
    if (asked !== undefined && asked !== one) continue;
    const isRecorded = values.mutate === undefined && part === 0;
    const recorded = isRecorded ? parseSeeds(readFile(seedsFiles[one])) : [];
    rows[one] = { recorded, first: (given.shift() ?? starts[one] ?? start) + part };
  }
  return {
    plan: {
      rows,
      stride: parts,
      count: values.seeds === undefined ? count : integerOf("seeds", values.seeds),
      realMsMax: minutes * 60_000,
      mutation,
      ruleMutation,
      mistake,
      groupMistake,
    },
    replay: values.seed === undefined ? undefined : integerOf("seed", values.seed),
    replayKind: asked ?? "promises",
    json: values.json,
    processes: values.processes === undefined ? 1 : integerOf("processes", values.processes),
    from: values.from,
    isPart: values.part !== undefined,
  };
}

/** Where the recorded seeds of each kind are. */
const seedsFiles: Readonly<Record<Kind, URL>> = {
  promises: new URL("../seeds.txt", import.meta.url),
  rules: new URL("../rules-seeds.txt", import.meta.url),
  zookeeper: new URL("../zookeeper-seeds.txt", import.meta.url),
  group: new URL("../group-seeds.txt", import.meta.url),
};

/** Which part of how many: `0/2`. */
function readPart(text: string | undefined): readonly [number, number] {
  if (text === undefined) return [0, 1];
  const [part = "", parts = ""] = text.split("/");
  return [integerOf("part", part), integerOf("part", parts)];
}

/** A file that is not there yet begins at the beginning. */
function readStarts(
  name: string,
  readFile: (name: string) => string,
): Partial<Record<Kind, number>> {
  let text: string;
  try {
    text = readFile(name);
  } catch {
    return {};
  }
  const found: Partial<Record<Kind, number>> = {};
  for (const kind of kinds) {
    const match = new RegExp(`"${kind}": *(\\d+)`).exec(text);
    if (match?.[1] !== undefined) found[kind] = Number(match[1]);
  }
  return found;
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0) return value;
  throw new Error(`cannot use --${name} ${text}: expected a number of 0 or more`);
}

function integerOf(name: string, text: string): number {
  const value = numberOf(name, text);
  if (Number.isSafeInteger(value)) return value;
  throw new Error(`cannot use --${name} ${text}: expected a whole number`);
}
