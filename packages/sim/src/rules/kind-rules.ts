import { precedes, type Copy, type Holder, type RoundFacts } from "./model.ts";
import type { FullnessPlan, QueuePlan } from "./program.ts";
import type { Operation } from "./operation.ts";
import type { Case } from "./verdict.ts";

/**
 * Whether a copy may have given way to others, as queues that keep few messages let it.
 *
 * @param present what may have been in a queue in the round
 */
export function mayGiveWay(
  one: Case,
  present: readonly Case[],
  plans: readonly QueuePlan[],
  facts: RoundFacts,
): boolean {
  const hasStopped = facts.crashes + facts.restarts > 0;
  const planOf = (queue: string): QueuePlan | undefined => plans.find(({ name }) => name === queue);
  // Where it was moved to it may have been too much.
  const hasTarget = (queue: string): boolean => isLimitedOrNone(planOf(queue));
  if (one.copy.sinks.some(({ queue }) => hasTarget(queue))) return true;
  const plan = planOf(one.copy.queue);
  if (plan === undefined || !isLimited(plan)) return false;
  const { copy } = one;
  const all = present.filter((other) => other !== one && wasIn(copy.queue, other, hasStopped));
  const comesBack = copy.returns.length > 0 || mayFallDue(copy, facts);
  const others = all.filter(
    // What comes back gives way to what is older, too.
    (other) => comesBack || !standsBefore(other.copy, copy),
  );
  if (!plan.isLastValue) return others.length >= plan.ringSize || mayOvertake(copy, all, plan);
  const { key } = copy.message;
  return key !== undefined && others.some((other) => other.copy.message.key === key);
}

/** Whether a copy that waited for its time may have come back, though nobody had it in the round. */
function mayFallDue({ place, dueMs }: Copy, { wallMs }: RoundFacts): boolean {
  return place === "scheduled" && dueMs <= wallMs;
}

/**
 * Whether a message may have been taken and dropped, because its address is full: by then when its place was
 * sought, which for what is prepared is long before the commit.
 */
export function mayBeDropped(
  { copy }: Case,
  present: readonly Case[],
  drops: FullnessPlan | undefined,
  hasStopped: boolean,
): boolean {
  if (drops === undefined || copy.queue !== "first" || copy.place !== "unborn") return false;
  if (copy.wasFull || copy.hasPlace) return copy.wasFull;
  const bytes = present
    .filter((other) => other.copy !== copy && wasIn("first", other, hasStopped))
    .reduce((sum, other) => sum + messageBytesMax(other.copy.message.bodyChars), 0);
  return bytes >= drops.maxSizeBytes;
}

/** Two bytes a letter, and the headers with all properties that there may be. */
export function messageBytesMax(bodyChars: number): number {
  return bodyChars * 2 + 1_000;
}

function isLimitedOrNone(plan: QueuePlan | undefined): boolean {
  return plan !== undefined && isLimited(plan);
}

/** Whether a queue lets messages go for others. */
export function isLimited({ isLastValue, ringSize }: QueuePlan): boolean {
  return isLastValue || ringSize >= 0;
}

/** A ring lets go what would be delivered first, which need not be the oldest. */
function mayOvertake(copy: Copy, all: readonly Case[], { ringSize }: QueuePlan): boolean {
  const isMixed = all.some(
    (other) =>
      other.copy.message.priority !== copy.message.priority ||
      other.copy.message.durable !== copy.message.durable,
  );
  return isMixed && all.length >= ringSize;
}

/**
 * Whether a copy may have been in its queue in the round. What is in memory only may have come, replaced what is
 * on the disk, and have been lost with the broker: what was replaced does not come back.
 */
export function mayHaveBeenThere({ copy, finding }: Case, hasStopped: boolean): boolean {
  if (copy.place !== "unborn" || finding.own !== undefined || finding.moved.length > 0) return true;
  return hasStopped && !copy.message.durable && copy.born.every(mayBeDone);
}

/** Whether what may have been in its queue was in this one in the round, or may have been moved to it and lost. */
function wasIn(queue: string, { copy, finding }: Case, hasStopped: boolean): boolean {
  if (copy.queue === queue || finding.cameThrough === queue) return true;
  if (finding.moved.some((one) => one.queue === queue)) return true;
  const isForgotten = hasStopped && !copy.message.durable && finding.own === undefined;
  return isForgotten && copy.sinks.some((one) => one.queue === queue && mayBeDone(one.operation));
}

/** Whether the first certainly has its place before the second. */
function standsBefore(first: Copy, second: Copy): boolean {
  // What was moved to a queue stands behind what was there.
  return first.queue === second.queue && precedes(first.order, second.order);
}

function mayBeDone({ fate, isOpen }: Operation): boolean {
  return fate === "applied" || isOpen;
}

/** What is wrong with what queues of special kinds hold. */
export function checkKinds(copies: readonly Copy[], plans: readonly QueuePlan[]): string[] {
  return plans.flatMap((plan) => {
    const mine = copies.filter(({ queue }) => queue === plan.name);
    const problems: string[] = [];
    const ready = mine.filter(({ place }) => place === "ready");
    if (plan.ringSize >= 0 && ready.length > plan.ringSize) {
      problems.push(`ring: ${plan.name} has ${ready.length} messages, expected ${plan.ringSize}`);
    }
    if (plan.isLastValue) problems.push(...doubledValues(ready));
    const holders = new Set(mine.map(holderOf).filter((holder) => holder !== undefined));
    if (plan.isExclusive && holders.size > 1) {
      const names = [...holders].map(({ name }) => name).join(", ");
      problems.push(`exclusive: ${names} have messages of ${plan.name}`);
    }
    return problems;
  });
}

function doubledValues(ready: readonly Copy[]): string[] {
  return ready.flatMap(({ message }, index) => {
    const other = ready.slice(index + 1).find((one) => one.message.key === message.key);
    if (message.key === undefined || other === undefined) return [];
    return [`last value: ${message.id} and ${other.message.id} both are ${message.key}`];
  });
}

function holderOf({ place, holder }: Copy): Holder | undefined {
  return place === "held" ? holder : undefined;
}

/**
 * Whether a message may rightly wait though a consumer has room: it is for the owner of its group, or of
 * the queue, or something before it holds the queue up.
 */
export function mayWait(
  copy: Copy,
  copies: readonly Copy[],
  consumers: readonly Holder[],
  plan: QueuePlan | undefined,
  isBlocking: boolean,
): boolean {
  const mine = copies.filter(({ queue }) => queue === copy.queue);
  const isHeldUp = mine.some(({ place, attempts }) => place === "scheduled" && attempts > 0);
  if (isBlocking && isHeldUp) return true;
  if (copy.message.group === undefined && plan?.isExclusive !== true) return false;
  // Nobody knows who the owner is, so all of them must have room for it.
  return !consumers
    .filter(({ queue }) => queue === copy.queue)
    .every((consumer) => {
      const held = mine.filter((one) => holderOf(one) === consumer);
      return consumer.isReady && consumer.takes(copy.message) && held.length < consumer.prefetch;
    });
}

/** Who got the messages of each group last, and has not left. */
export class GroupOwners {
  #owners = new Map<string, Holder>();

  /**
   * Learns from the deliveries of a round.
   *
   * @param mayHaveLeft whether a consumer may have lost its groups in the round
   * @returns what is wrong
   */
  learn(copies: readonly Copy[], mayHaveLeft: (holder: Holder) => boolean): string[] {
    const problems: string[] = [];
    const arrivals = copies
      .flatMap((copy) => copy.arrivals.map((arrival) => ({ copy, arrival })))
      .toSorted((one, other) => one.arrival.tick - other.arrival.tick);
    for (const { copy, arrival } of arrivals) {
      const { group } = copy.message;
      if (group === undefined) continue;
      const key = `${group} of ${copy.queue}`;
      const owner = this.#owners.get(key);
      this.#owners.set(key, arrival.holder);
      if (owner === undefined || owner === arrival.holder || mayHaveLeft(owner)) continue;
      problems.push(
        `group: ${copy.message.id} of ${key} was given to ${arrival.holder.name}, though ${owner.name} has the group`,
      );
    }
    for (const [key, owner] of this.#owners) if (mayHaveLeft(owner)) this.#owners.delete(key);
    return problems;
  }
}
