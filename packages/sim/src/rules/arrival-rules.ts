import type { Arrival, RoundFacts } from "./model.ts";
import { isHeldSafely } from "./judge.ts";
import type { Case } from "./verdict.ts";

/** What is wrong with the deliveries of a round, each looked at alone. */
export function checkArrivals(cases: readonly Case[], facts: RoundFacts): string[] {
  return cases.flatMap((one) => checkCopy(one, facts));
}

function checkCopy({ copy, finding }: Case, facts: RoundFacts): string[] {
  // What came back from where it was moved to is another message, with a count of its own.
  if (finding.cameThrough !== undefined) return [];
  const name = `${copy.message.id} in ${copy.queue}`;
  if (copy.arrivals.length > 0 && isHeldSafely(copy)) {
    const holders = copy.arrivals.map(({ holder }) => holder.name).join(", ");
    return [`delivery: ${name} was given to ${holders}, though ${copy.holder?.name ?? ""} has it`];
  }
  const low = copy.attempts;
  const returned = copy.returns.reduce((sum, { high }) => sum + high, 0);
  const counted = low + returned + facts.breaks + 1;
  // An attempt may have been counted, and lost with the broker.
  const high = facts.crashes > 0 ? counted : (finding.own?.attempts ?? counted);
  return copy.arrivals.flatMap((arrival) => {
    const problem = checkCount(arrival, low, high);
    return problem === undefined ? [] : [`delivery: ${name} to ${arrival.holder.name} ${problem}`];
  });
}

/** The first delivery counts 1, and says nothing of a repeat. */
function checkCount(arrival: Arrival, low: number, high: number): string | undefined {
  const { deliveryCount, mustBeMarked, mayBeMarked } = arrival;
  if (mustBeMarked && deliveryCount < 2) {
    return "is not marked as redelivered, though the broker died after it had been handed out";
  }
  const attempts = deliveryCount - 1;
  if (attempts >= low && attempts <= high) return undefined;
  if (mayBeMarked && deliveryCount === 2) return undefined;
  return `counts ${deliveryCount} deliveries, expected ${low + 1} to ${high + 1}`;
}
