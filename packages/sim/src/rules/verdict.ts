import { judge, type Finding } from "./judge.ts";
import type { Copy, RoundFacts } from "./model.ts";
import type { Operation } from "./operation.ts";

/** More operations of unknown outcome that concern each other are not looked at one by one. */
const openMax = 10;

/** What was found of one copy. */
export interface Case {
  readonly copy: Copy;
  readonly finding: Finding;
}

/**
 * Looks for a story that explains everything that was found: for each operation of which nobody knows
 * whether it happened, one answer that fits all the messages it concerns. So a transaction must have
 * happened whole or not at all.
 *
 * @returns what no story explains
 */
export function findContradictions(cases: readonly Case[], facts: RoundFacts): string[] {
  const problems: string[] = [];
  for (const group of connected(cases)) {
    const problem = explain(group, facts);
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

function explain(group: readonly Case[], facts: RoundFacts): string | undefined {
  const open = [...new Set(group.flatMap(({ copy }) => openOperations(copy)))];
  let first: string | undefined;
  for (let story = 0; story < 2 ** Math.min(open.length, openMax); story += 1) {
    const isDone = (operation: Operation): boolean => {
      const index = open.indexOf(operation);
      if (index < 0) return operation.fate === "applied";
      return index >= openMax || Math.floor(story / 2 ** index) % 2 === 1;
    };
    const problem = firstProblem(group, facts, isDone);
    if (problem === undefined) return undefined;
    first ??= problem;
  }
  const doubts = open.map(({ what, fate }) => `${what} (${fate})`).join(", ");
  return open.length === 0 ? first : `${first ?? ""}; whatever became of ${doubts}`;
}

function firstProblem(
  group: readonly Case[],
  facts: RoundFacts,
  isDone: (operation: Operation) => boolean,
): string | undefined {
  for (const { copy, finding } of group) {
    const problem = judge(copy, finding, facts, isDone);
    if (problem !== undefined) return `content: ${copy.message.id} in ${copy.queue} ${problem}`;
  }
  return undefined;
}

/** Copies that share an operation of unknown outcome belong together. */
function connected(cases: readonly Case[]): Case[][] {
  const groups: { readonly cases: Case[]; readonly operations: Set<Operation> }[] = [];
  for (const one of cases) {
    const operations = new Set(openOperations(one.copy));
    const joined = { cases: [one], operations };
    for (let index = groups.length - 1; index >= 0; index -= 1) {
      const group = groups[index];
      if (group === undefined) continue;
      if (![...operations].some((operation) => group.operations.has(operation))) continue;
      groups.splice(index, 1);
      joined.cases.push(...group.cases);
      for (const operation of group.operations) joined.operations.add(operation);
    }
    groups.push(joined);
  }
  return groups.map((group) => group.cases);
}

function openOperations({ born, deaths, sinks }: Copy): Operation[] {
  const all = [...born, ...deaths.flat(), ...sinks.map(({ operation }) => operation)];
  return all.filter(({ isOpen }) => isOpen);
}
