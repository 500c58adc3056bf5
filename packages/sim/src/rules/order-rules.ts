import {
  keyOf,
  precedes,
  type Arrival,
  type Copy,
  type Holder,
  type Observed,
  type RoundFacts,
} from "./model.ts";
import { leastDelayMs, mostDelayMs } from "./judge.ts";
import type { Case } from "./verdict.ts";

/** What else is known of a round, for the order of its deliveries. */
export interface Handling {
  readonly facts: RoundFacts;
  /** Queues that were paused or resumed. */
  readonly switched: ReadonlySet<string>;
  /** Who gave back what it had, though its application had perhaps not seen all of it. */
  readonly givers: readonly Holder[];
}

/**
 * What is wrong with the order of a round's deliveries. Of what waits, the highest priority goes first; of one
 * priority, and one durability, what was sent first.
 */
export function checkOrder(cases: readonly Case[], handling: Handling): string[] {
  const problems: string[] = [];
  for (const { copy: late } of cases) {
    if (late.arrivals.length !== 1 || handling.switched.has(late.queue)) continue;
    for (const early of cases) {
      if (early.copy.queue !== late.queue || early.copy === late) continue;
      const problem = judgePair(early, late, handling);
      if (problem !== undefined) problems.push(`order: ${problem}`);
    }
  }
  return problems;
}

function judgePair(
  { copy: early, finding: { own } }: Case,
  late: Copy,
  { facts, givers }: Handling,
): string | undefined {
  const [arrival] = late.arrivals;
  if (arrival === undefined || !arrival.holder.takes(early.message)) return undefined;
  if (!goesFirst(early, late)) return undefined;
  const others = givers.filter((holder) => holder !== arrival.holder);
  if (mayHaveBeenAway(early, others) || wasAway(early, own, facts)) return undefined;
  if (cameBackWithBroker(late, arrival, facts)) return undefined;
  // It may be for somebody else.
  const { group } = early.message;
  if (group !== undefined && group !== late.message.group) return undefined;
  const names = `${late.message.id} of ${late.queue} was given to ${arrival.holder.name}`;
  const wasWaiting = waitedAllTheTime(early, facts);
  if (early.arrivals.length === 0) {
    if (!wasWaiting || own?.place !== "ready") return undefined;
    return `${names} while ${early.message.id}, which goes first, waits`;
  }
  const [other] = early.arrivals;
  if (early.arrivals.length > 1 || other === undefined) return undefined;
  if (other.holder !== arrival.holder || other.tick < arrival.tick) return undefined;
  if (!wasWaiting && !becameReadyTogether(early, late, arrival, facts)) return undefined;
  return `${names} before ${early.message.id}, which goes first`;
}

function goesFirst(early: Copy, late: Copy): boolean {
  if (early.message.priority !== late.message.priority) {
    return early.place !== "unborn" && early.message.priority > late.message.priority;
  }
  // What is in memory only may overtake what is still being written, but not in its own transaction.
  const isOneBlock = early.order.isBlock && early.order.stream === late.order.stream;
  const mayOvertake = early.message.durable !== late.message.durable && !isOneBlock;
  return !mayOvertake && precedes(early.order, late.order);
}

/** Whether it was perhaps on its way to somebody who gave it back before anybody saw it, which does not count. */
function mayHaveBeenAway({ queue, message }: Copy, givers: readonly Holder[]): boolean {
  return givers.some((holder) => holder.queue === queue && holder.takes(message));
}

/** Whether it was on its way to somebody whose connection broke: that counts, and it may have to wait. */
function wasAway(copy: Copy, own: Observed | undefined, { breaks }: RoundFacts): boolean {
  const [arrival] = copy.arrivals;
  const attempts = arrival === undefined ? own?.attempts : arrival.deliveryCount - 1;
  const explained = copy.returns.reduce((sum, { high }) => sum + high, copy.attempts);
  return breaks > 0 && (attempts ?? 0) > explained;
}

/** Whether the broker stopped after a message was given out: others were perhaps on their way elsewhere. */
function cameBackWithBroker(late: Copy, arrival: Arrival, facts: RoundFacts): boolean {
  const cameBack = late.returns.some(({ tick }) => tick > arrival.tick);
  return cameBack && facts.crashes + facts.restarts > 0;
}

/** Whether it was ready when the round began, and nothing kept it from being delivered. */
function waitedAllTheTime(copy: Copy, facts: RoundFacts): boolean {
  const { wallMs, crashes, restarts } = facts;
  if (copy.place !== "ready" || copy.returns.length > 0) return false;
  if (copy.sinks.length > 0 || copy.deaths.length > 0) return false;
  if (copy.expiresMs !== 0 && copy.expiresMs <= wallMs) return false;
  return copy.message.durable || crashes + restarts === 0;
}

/** Whether the earlier one could be delivered as soon as the later one, which arrived then. */
function becameReadyTogether(
  early: Copy,
  late: Copy,
  arrival: Arrival,
  facts: RoundFacts,
): boolean {
  if (early.place === "unborn" && late.place === "unborn") {
    return early.dueMs === 0 && early.order.stream === late.order.stream;
  }
  const [one] = early.returns;
  const [other] = late.returns;
  if (early.returns.length !== 1 || late.returns.length !== 1) return false;
  if (one === undefined || other === undefined || one.cause !== other.cause) return false;
  // It had been on its way before they came back.
  if (arrival.tick < other.tick) return false;
  // What counts as an attempt may have to wait, and holds up what stands behind it in one mode only.
  const isAlike = one.low === other.low && one.high === other.high && one.delayMs === other.delayMs;
  const waitAlike = isAlike && early.attempts === late.attempts;
  return (
    waitAlike ||
    (facts.redelivery.isBlocking && holdsUp(early, late, facts)) ||
    mostDelayMs(early, facts) <= leastDelayMs(late, facts)
  );
}

/** Whether the later one waits as long as the earlier one: those of another group, or of one at all, do not. */
function holdsUp(early: Copy, late: Copy, { exclusiveQueues }: RoundFacts): boolean {
  return exclusiveQueues.has(early.queue) || early.message.group === late.message.group;
}

/** What is wrong with the order in which the broker lists what is ready. */
export function checkListing(observed: readonly Observed[], copies: readonly Copy[]): string[] {
  const problems: string[] = [];
  const listed = observed.filter(({ place }) => place === "ready");
  const found = listed.map(({ id, queue, origin }) =>
    copies.find(
      (copy) => keyOf(copy.message.id, copy.queue, copy.origin) === keyOf(id, queue, origin),
    ),
  );
  for (let index = 1; index < found.length; index += 1) {
    const late = found[index - 1];
    const early = found[index];
    if (early === undefined || late === undefined || early.queue !== late.queue) continue;
    if (!goesFirst(early, late)) continue;
    problems.push(`listing: ${late.message.id} stands before ${early.message.id} in ${late.queue}`);
  }
  return problems;
}

/** What a browser must have seen: what was ready before and after it, each once. */
export function checkBrowse(
  queue: string,
  ids: readonly string[],
  cases: readonly Case[],
  { facts, givers }: Handling,
): string[] {
  const problems: string[] = [];
  const mine = cases.filter(({ copy }) => copy.queue === queue);
  for (const { copy, finding } of mine) {
    const { id } = copy.message;
    const seen = ids.filter((one) => one === id).length;
    // One that was sent to two queues may come to a third from both, and one that left may come back.
    const isAlone = cases.filter((one) => one.copy.message.id === id).length === 1;
    if (!isAlone || finding.cameThrough !== undefined) continue;
    if (seen > 1) problems.push(`browse: ${id} was seen ${seen} times in ${queue}`);
    const mustBeSeen =
      waitedAllTheTime(copy, facts) &&
      !mayHaveBeenAway(copy, givers) &&
      !wasAway(copy, finding.own, facts) &&
      finding.own?.place === "ready" &&
      copy.arrivals.length === 0;
    if (mustBeSeen && seen === 0) problems.push(`browse: ${id} was not seen in ${queue}`);
  }
  return problems;
}

/** What waits although somebody has room for it. */
export function checkHandedOut(
  copies: readonly Copy[],
  holders: readonly Holder[],
  { wallMs }: RoundFacts,
  mayWait: (copy: Copy) => boolean,
): string[] {
  const problems: string[] = [];
  for (const holder of holders) {
    if (!holder.isReady) continue;
    const held = copies.filter((copy) => copy.place === "held" && copy.holder === holder);
    if (held.length >= holder.prefetch) continue;
    const waiting = copies.find(
      (copy) =>
        copy.queue === holder.queue &&
        copy.place === "ready" &&
        (copy.expiresMs === 0 || copy.expiresMs > wallMs) &&
        holder.takes(copy.message) &&
        !mayWait(copy),
    );
    if (waiting === undefined) continue;
    problems.push(
      `stuck: ${waiting.message.id} waits in ${holder.queue}, though ${holder.name} has ${held.length} of ${holder.prefetch}`,
    );
  }
  return problems;
}
