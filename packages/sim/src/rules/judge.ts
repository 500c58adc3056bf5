import {
  deadLetterQueue,
  expiryQueue,
  isSink,
  type Copy,
  type Observed,
  type Return,
  type RoundFacts,
} from "./model.ts";
import type { Operation } from "./operation.ts";

/** After so long the broker must have noticed that a message has expired, while nobody consumes. */
const expiryScanMs = 62_000;
/** How late a scheduled message may be. */
const scheduleSlackMs = 2_500;

/** What was found of one copy. */
export interface Finding {
  /** In its own queue. */
  readonly own: Observed | undefined;
  /** In other queues, where it was not before. */
  readonly moved: readonly Observed[];
  /** The queue that it was given back to, and has left for the dead letters by now. */
  readonly cameThrough: string | undefined;
  /** What may have given it back after it was moved, in the queue that it was moved to. */
  readonly movedReturns: readonly Return[];
  /** Whether its queue may have let it go for others. */
  readonly mayGiveWay: boolean;
}

/** An operation of which nobody knows, supposed to be done or not. */
export type Supposition = (operation: Operation) => boolean;

/** What a copy may have come to. */
interface Possible {
  stay: boolean;
  vanish: boolean;
  sinks: Set<string>;
  attemptsLow: number;
  attemptsHigh: number;
}

/**
 * What is wrong with what was found of a copy after one round, if anything: each rule of delivery, written
 * down as simply as it can be said.
 */
export function judge(
  copy: Copy,
  finding: Finding,
  facts: RoundFacts,
  isDone: Supposition,
): string | undefined {
  const { own, moved } = finding;
  const count = moved.length + (own === undefined ? 0 : 1);
  if (!copy.born.every(isDone)) {
    return count > 0 ? "is there, though it was never sent or committed" : undefined;
  }
  const possible = possibilities(copy, facts, isDone);
  if (finding.mayGiveWay) possible.vanish = true;
  if (count === 0) return possible.vanish ? undefined : `is lost; ${expectation(possible)}`;
  const mayHaveTwo = copy.rejections > 0 && moved.some(({ queue }) => queue === deadLetterQueue);
  if (count > 1 && !(mayHaveTwo && count === 2)) return "is there more than once";
  for (const { queue } of moved) {
    const problem = judgeMove(copy, queue, finding, facts, possible);
    if (problem !== undefined) return problem;
  }
  if (own === undefined) return undefined;
  if (!possible.stay) return `is still there; ${expectation(possible)}`;
  return judgePlace(copy, own, facts, possible);
}

/** Whether it may be where it was found, or have come there by way of the queue that it was given back to. */
function judgeMove(
  copy: Copy,
  queue: string,
  { cameThrough, movedReturns }: Finding,
  facts: RoundFacts,
  possible: Possible,
): string | undefined {
  const target = cameThrough ?? queue;
  if (!possible.sinks.has(target) && !(copy.rejections > 0 && target === deadLetterQueue)) {
    return `was moved to ${target} without a reason; ${expectation(possible)}`;
  }
  if (isSink(target)) return undefined;
  const { maxDeliveryAttempts: max } = facts;
  const { low, high } = returnedAttempts(movedReturns, facts);
  if (cameThrough === undefined) {
    const mayStay = max <= 0 || low < max;
    return mayStay ? undefined : `is in ${target}, where it had all its ${max} attempts`;
  }
  const mayGo = queue === deadLetterQueue && max > 0 && high + facts.breaks >= max;
  if (mayGo) return undefined;
  return `went from ${target} to ${queue}, with ${high + facts.breaks} of ${max} attempts at most`;
}

function possibilities(copy: Copy, facts: RoundFacts, isDone: Supposition): Possible {
  const isNew = copy.place === "unborn";
  const isForgotten = !copy.message.durable && facts.crashes + facts.restarts > 0;
  const possible: Possible = {
    stay: true,
    vanish: copy.mayHaveGone || copy.deaths.some(mayBeHidden),
    sinks: new Set(),
    ...attemptsOf(copy, facts, isDone),
  };
  for (const { queue, operation } of copy.sinks) {
    if (!isDone(operation)) continue;
    possible.sinks.add(queue);
    possible.stay = false;
  }
  if (copy.deaths.some((operations) => operations.every(isDone))) {
    possible.stay = false;
    // The copy that an earlier attempt left is the only one.
    possible.vanish = possible.sinks.size === 0 || copy.rejections > 1 || isForgotten;
    return possible;
  }
  applyExpiry(copy, facts, possible);
  applyAttempts(copy, facts, possible);
  if (isForgotten) {
    possible.vanish = true;
    if (!isNew) possible.stay = false;
  }
  return possible;
}

/** A settlement in a transaction that is open hides the message from everybody, unless it was refused. */
function mayBeHidden(operations: readonly Operation[]): boolean {
  return (
    operations.some(({ fate }) => fate === "pending") &&
    operations.every(({ fate }) => fate !== "none")
  );
}

function applyExpiry(copy: Copy, facts: RoundFacts, possible: Possible): void {
  const { expiresMs } = copy;
  if (expiresMs === 0 || facts.wallMs < expiresMs) return;
  possible.sinks.add(expiryQueue);
  const noticedMs = Math.max(expiresMs, facts.upSinceMs, copy.restingSinceMs) + expiryScanMs;
  const isLeftAlone = copy.returns.length === 0 && copy.arrivals.length === 0;
  if (facts.wallMs > noticedMs && isLeftAlone) possible.stay = false;
}

function applyAttempts(copy: Copy, facts: RoundFacts, possible: Possible): void {
  const { maxDeliveryAttempts: max } = facts;
  if (max <= 0 || copy.queue === deadLetterQueue || copy.queue === expiryQueue) return;
  if (possible.attemptsHigh >= max) possible.sinks.add(deadLetterQueue);
  if (possible.attemptsLow >= max) possible.stay = false;
}

/** What was not committed when the broker died may not have been counted. */
function attemptsOf(
  copy: Copy,
  facts: RoundFacts,
  isDone: Supposition,
): { attemptsLow: number; attemptsHigh: number } {
  const returned = returnedAttempts(copy.returns, facts);
  const low = copy.attempts + returned.low;
  let high = copy.attempts + returned.high;
  // Somebody may have had it for a moment before the connection broke.
  if (!isHeldSafely(copy)) high += facts.breaks;
  if (copy.deaths.some((operations) => !operations.every(isDone))) high += 1;
  return { attemptsLow: low, attemptsHigh: high };
}

function returnedAttempts(
  returns: readonly Return[],
  facts: RoundFacts,
): { low: number; high: number } {
  const counted = { low: 0, high: 0 };
  for (const one of returns) {
    counted.high += one.high;
    const isSure = one.operation === undefined || one.operation.fate === "applied";
    if (isSure && facts.breaks + facts.crashes + facts.restarts === 0) counted.low += one.low;
  }
  return counted;
}

/** How long a copy that came back waits at least, counted from the beginning of the round. */
export function leastDelayMs(copy: Copy, facts: RoundFacts): number {
  const isSure = copy.returns.some(
    ({ low, operation }) => low > 0 && (operation === undefined || operation.fate === "applied"),
  );
  if (!isSure || facts.crashes + facts.restarts + facts.breaks > 0) return 0;
  const delays = copy.returns.map((one) =>
    one.high === 0 ? 0 : (one.delayMs ?? redeliveryDelayMs(copy.attempts + 1, facts.redelivery)),
  );
  return Math.min(...delays);
}

/** How long a copy that came back waits at most. */
export function mostDelayMs(copy: Copy, facts: RoundFacts): number {
  const attempts = copy.attempts + facts.breaks + copy.returns.length;
  const mayCount = facts.breaks > 0 || copy.returns.some(({ high }) => high > 0);
  const usual = mayCount ? redeliveryDelayMs(attempts, facts.redelivery) : 0;
  return Math.max(usual, ...copy.returns.map(({ delayMs }) => delayMs ?? 0));
}

function redeliveryDelayMs(attempts: number, plan: RoundFacts["redelivery"]): number {
  const most = plan.delayMaxMs < 0 ? plan.delayMs * 10 : plan.delayMaxMs;
  return Math.min(plan.delayMs * plan.multiplier ** Math.max(0, attempts - 1), most);
}

/** Whether a consumer holds it, and nothing has happened that could have changed that. */
export function isHeldSafely(copy: Copy): boolean {
  return copy.place === "held" && copy.returns.length === 0;
}

function judgePlace(
  copy: Copy,
  own: Observed,
  facts: RoundFacts,
  possible: Possible,
): string | undefined {
  const { attemptsLow: low, attemptsHigh: high } = possible;
  if (own.attempts < low || own.attempts > high) {
    return `has ${own.attempts} attempts, expected ${low} to ${high}`;
  }
  switch (own.place) {
    case "ready": {
      const dueMs = Math.max(copy.dueMs, facts.beganMs + leastDelayMs(copy, facts));
      if (dueMs > facts.wallMs) return `is ready ${dueMs - facts.wallMs} ms before its time`;
      if (isHeldSafely(copy)) return `was taken from ${copy.holder?.name ?? "nobody"}`;
      return undefined;
    }
    case "scheduled": {
      const mostMs = mostDelayMs(copy, facts);
      if (own.dueMs > Math.max(copy.dueMs, facts.wallMs + mostMs)) {
        return `is to wait ${own.dueMs - facts.wallMs} ms more, expected ${mostMs} at most`;
      }
      const lateMs = facts.wallMs - Math.max(own.dueMs, facts.upSinceMs);
      return lateMs > scheduleSlackMs ? `is late by ${lateMs} ms` : undefined;
    }
    case "held":
      if (copy.arrivals.length === 0 && copy.place !== "held" && copy.place !== "hidden") {
        return "is in flight, but nobody got it";
      }
      return undefined;
  }
}

function expectation({ stay, vanish, sinks, attemptsLow, attemptsHigh }: Possible): string {
  const places = [...(stay ? ["its queue"] : []), ...sinks, ...(vanish ? ["nowhere"] : [])];
  return `expected it in ${places.join(" or ")}, with ${attemptsLow} to ${attemptsHigh} attempts`;
}
