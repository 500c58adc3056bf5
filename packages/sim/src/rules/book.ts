import { Duplicates } from "./duplicates.ts";
import {
  deadLetterQueue,
  expiryQueue,
  isSink,
  keyOf,
  newCopy,
  type Arrival,
  type Copy,
  type Handled,
  type Holder,
  type Observed,
  type Order,
  type Return,
  type RoundFacts,
  type SentMessage,
} from "./model.ts";
import { checkBrowse, checkHandedOut, checkListing, checkOrder } from "./order-rules.ts";
import { checkArrivals } from "./arrival-rules.ts";
import type { Finding } from "./judge.ts";
import {
  checkKinds,
  GroupOwners,
  isLimited,
  mayBeDropped,
  mayGiveWay,
  mayHaveBeenThere,
  mayWait,
} from "./kind-rules.ts";
import type { FullnessPlan, QueuePlan, RulesSetup } from "./program.ts";
import type { Operation } from "./operation.ts";
import type { HeldMessage } from "./rule-client.ts";
import { findContradictions, type Case } from "./verdict.ts";

/** What a return is made of, besides the copy. */
interface ReturnOptions {
  readonly low: number;
  readonly high: number;
  readonly cause?: object;
  readonly operation?: Operation;
  readonly delayMs?: number | undefined;
}

/** What an application sees of a delivery. */
export interface ArrivedMessage {
  readonly id: string;
  readonly origin: string;
  readonly deliveryCount: number;
  readonly wallMs: number;
  /** Whether it may be from a broker that has died since. */
  readonly isLate: boolean;
}

/** What the broker has, and when it said so. */
export interface Look {
  readonly observed: readonly Observed[];
  /** A tick: what arrived later is of the next round. */
  readonly asOf: number;
}

/** A finding that is being made. */
type OpenFinding = { -readonly [Key in keyof Finding]: Finding[Key] } & { moved: Observed[] };

/** What one rest found out. */
export interface RestReport {
  readonly problems: readonly string[];
  readonly found: number;
}

/**
 * Everything that is known of every message: a list, and the rules applied to it one by one. What may have
 * happened in a round is noted as it happens; at rest it is compared with what the broker has.
 */
export class Book {
  readonly deadLetterQueue = deadLetterQueue;
  readonly queueNames: readonly string[];
  readonly duplicates = new Duplicates();
  readonly #plans: readonly QueuePlan[];
  readonly #isBlocking: boolean;
  /** How full the address is that drops what does not fit. */
  readonly #drops: FullnessPlan | undefined;
  readonly #groups = new GroupOwners();
  #copies: Copy[] = [];
  /** What was delivered where it was not when the round began. */
  #strays = new Map<string, Handled>();
  /** Who gave back what it had in this round, and what has to end before it has done so. */
  #givers: { readonly holder: Holder; readonly operation: Operation }[] = [];
  #browses: { readonly queue: string; readonly ids: readonly string[] }[] = [];
  #tick = 0;
  /** When the round began. */
  #beginTick = 0;
  readonly paused = new Set<string>();
  /** Queues that were paused or resumed in this round. */
  readonly switched = new Set<string>();

  constructor({ queues, redelivery, fullness }: RulesSetup) {
    this.#drops = fullness.maxSizeBytes >= 0 && fullness.policy === "drop" ? fullness : undefined;
    this.#plans = queues;
    this.#isBlocking = redelivery.isBlocking;
    this.queueNames = [...queues.map(({ name }) => name), deadLetterQueue, expiryQueue];
  }

  /** Copies that are or may be somewhere. */
  get copies(): readonly Copy[] {
    return this.#copies;
  }

  /** Moments have numbers. */
  tick(): number {
    this.#tick += 1;
    return this.#tick;
  }

  isSink(queue: string): boolean {
    return isSink(queue);
  }

  /** A place behind all that was put down before. */
  newOrder(stream: string, isBlock: boolean): Order {
    const begin = this.tick();
    return { begin, end: Infinity, stream, number: begin, isBlock };
  }

  add(copy: Copy): void {
    this.#copies.push(copy);
  }

  copyOf(key: string): Copy | undefined {
    return this.#copies.find((copy) => keyOfCopy(copy) === key);
  }

  /** Whether somebody got it where it was not when the broker was asked what there is. */
  hasStrayed(key: string): boolean {
    return this.#strays.has(key);
  }

  /** What rests in a queue. */
  resting(queue: string): Copy[] {
    return this.#copies.filter(
      (copy) => copy.queue === queue && (copy.place === "ready" || copy.place === "scheduled"),
    );
  }

  /** A copy may have gone back to its queue. */
  returnCopy(copy: Handled, { low, high, cause = {}, operation, delayMs }: ReturnOptions): void {
    const one: Return = { tick: this.tick(), low, high, cause, operation, delayMs };
    copy.returns.push(one);
  }

  /** Messages that an application held may have gone back. */
  returned(held: readonly HeldMessage[], options: ReturnOptions): void {
    const cause = options.cause ?? {};
    for (const { copyKey } of held) {
      const copy = this.copyOf(copyKey) ?? this.#strays.get(copyKey);
      if (copy !== undefined) this.returnCopy(copy, { ...options, cause });
    }
  }

  /** These give back what they have, and what is on its way to them, until something ends. */
  giveBack(holders: readonly Holder[], operation: Operation): void {
    this.#givers.push(...holders.map((holder) => ({ holder, operation })));
  }

  /** What these have, or had for a moment. */
  heldBy(holders: readonly Holder[]): Handled[] {
    return [...this.#copies, ...this.#strays.values()].filter(
      ({ holder, arrivals }) =>
        (holder !== undefined && holders.includes(holder)) ||
        arrivals.some((arrival) => holders.includes(arrival.holder)),
    );
  }

  /** The broker died, or stopped in order: all goes back. */
  brokerStopped(isCrash: boolean): void {
    const options = { low: 0, high: isCrash ? 0 : 1, cause: {} };
    for (const stray of this.#strays.values()) this.returnCopy(stray, options);
    for (const copy of this.#copies) {
      if (copy.place === "held" || copy.place === "hidden" || copy.arrivals.length > 0) {
        this.returnCopy(copy, options);
      }
      copy.mayBeMarked = true;
      if (isCrash && copy.wasHandedOut && copy.message.durable) copy.mustBeMarked = true;
    }
    if (this.paused.size > 0) for (const queue of this.paused) this.switched.add(queue);
    this.paused.clear();
  }

  /** @returns the copy, if it was where it was delivered when the round began */
  arrived(arrived: ArrivedMessage, holder: Holder): Copy | undefined {
    const { id, origin, deliveryCount, wallMs, isLate } = arrived;
    const key = keyOf(id, holder.queue, origin);
    const copy = this.copyOf(key);
    const { mustBeMarked = false, mayBeMarked = true } = copy ?? {};
    // No broker can say that it is going to die.
    const marks = { mustBeMarked: mustBeMarked && !isLate, mayBeMarked };
    const arrival = { holder, deliveryCount, tick: this.tick(), wallMs, ...marks };
    const stray = this.#strays.get(key) ?? newStray();
    if (copy === undefined) this.#strays.set(key, stray);
    (copy ?? stray).arrivals.push(arrival);
    return copy;
  }

  browsed(queue: string, ids: readonly string[]): void {
    this.#browses.push({ queue, ids });
  }

  /** Compares what may have happened in the round with what there is, and begins the next one. */
  rest({ observed, asOf }: Look, holders: readonly Holder[], facts: RoundFacts): RestReport {
    const early = this.#copies.map((copy) => {
      const arrivals = copy.arrivals.filter(({ tick }) => tick > asOf);
      copy.arrivals = copy.arrivals.filter(({ tick }) => tick <= asOf);
      return { copy, arrivals };
    });
    const earlyStrays = this.#takeEarlyStrays(asOf);
    const report = this.#judge(observed, holders, facts);
    for (const { copy, arrivals } of early) copy.arrivals.push(...arrivals);
    this.#strays = earlyStrays;
    this.#beginTick = asOf;
    return report;
  }

  #judge(observed: readonly Observed[], holders: readonly Holder[], facts: RoundFacts): RestReport {
    this.duplicates.prepare();
    const hasStopped = facts.crashes + facts.restarts > 0;
    const { cases, strangers } = this.#assign(observed, facts);
    const problems = strangers.map(
      ({ id, queue, origin }) => `content: ${keyOf(id, queue, origin)} came from nowhere`,
    );
    problems.push(...findContradictions(cases, facts));
    const isThere = new Set(
      cases
        .filter(({ finding }) => finding.own !== undefined || finding.moved.length > 0)
        .map(({ copy }) => copy.message),
    );
    const mayHaveGone = ({ address, durable }: SentMessage): boolean =>
      (hasStopped && !durable) ||
      (address === "first" && this.#drops !== undefined) ||
      this.#plans.some((plan) => plan.address === address && isLimited(plan));
    problems.push(...this.duplicates.learn((message) => isThere.has(message), mayHaveGone));
    if (problems.length > 0) return { problems, found: observed.length };
    problems.push(...checkArrivals(cases, facts));
    const handling = {
      facts,
      switched: this.switched,
      givers: this.#givers.map(({ holder }) => holder),
    };
    problems.push(...checkOrder(cases, handling));
    const hasLeft = (holder: Holder): boolean =>
      hasStopped || facts.breaks > 0 || !holder.isReady || !holders.includes(holder);
    problems.push(...this.#groups.learn(this.#copies, hasLeft));
    for (const { queue, ids } of this.#browses) {
      problems.push(...checkBrowse(queue, ids, cases, handling));
    }
    this.#turnOver(cases, facts);
    problems.push(...this.#checkStrays(cases, hasStopped));
    problems.push(...checkListing(observed, this.#copies));
    problems.push(...checkKinds(this.#copies, this.#plans));
    problems.push(
      ...checkHandedOut(this.#copies, holders, facts, (copy) => {
        if (this.paused.has(copy.queue)) return true;
        const plan = this.#planOf(copy.queue);
        return mayWait(copy, this.#copies, holders, plan, this.#isBlocking);
      }),
    );
    this.#browses = [];
    this.#givers = this.#givers.filter(({ operation }) => operation.fate === "pending");
    this.switched.clear();
    return { problems, found: observed.length };
  }

  /** Finds out which copy each of the found messages is. */
  #assign(
    observed: readonly Observed[],
    facts: RoundFacts,
  ): { cases: Case[]; strangers: Observed[] } {
    const cases = this.#copies.map((copy) => {
      return { copy, finding: newFinding() };
    });
    const strangers: Observed[] = [];
    for (const one of observed) {
      const key = keyOf(one.id, one.queue, one.origin);
      const own = cases.find(({ copy }) => keyOfCopy(copy) === key);
      const isOther = own === undefined || own.finding.own !== undefined;
      if (!isOther && !(cameThrough(one, own.copy) && one.messageId !== own.copy.messageId)) {
        own.finding.own = one;
        continue;
      }
      const source =
        cases.find(({ copy }) => cameFrom(one, copy)) ??
        cases.find(({ copy }) => cameThrough(one, copy));
      if (source === undefined) {
        strangers.push(one);
        continue;
      }
      const { copy, finding } = source;
      finding.moved.push(one);
      finding.cameThrough = cameFrom(one, copy) ? undefined : one.origin;
      const queue = finding.cameThrough ?? one.queue;
      finding.movedReturns = this.#strays.get(keyOf(one.id, queue, ""))?.returns ?? [];
    }
    const hasStopped = facts.crashes + facts.restarts > 0;
    const present = cases.filter((one) => mayHaveBeenThere(one, hasStopped));
    for (const one of cases) {
      const { copy, finding } = one;
      const wasFull = mayBeDropped(one, present, this.#drops, hasStopped);
      finding.mayGiveWay = wasFull || mayGiveWay(one, present, this.#plans, facts);
      if (copy.preparing === undefined) continue;
      copy.wasFull = wasFull;
      copy.hasPlace = copy.preparing.fate !== "pending";
    }
    return { cases, strangers };
  }

  #turnOver(cases: readonly Case[], { crashes, restarts, wallMs }: RoundFacts): void {
    // It was moved at any time of the round.
    const begin = this.#beginTick;
    const end = this.tick();
    const next: Copy[] = [];
    for (const { copy, finding } of cases) {
      for (const one of finding.moved) {
        const stream = `moved to ${one.queue} ${one.messageId}`;
        const order = { begin, end, stream, number: 0, isBlock: false };
        const moved = newCopy(copy.message, one.queue, order, []);
        moved.origin = one.origin;
        moved.expiresMs = 0;
        moved.dueMs = 0;
        const key = keyOf(one.id, one.queue, one.origin);
        moved.arrivals = key === keyOfCopy(copy) ? copy.arrivals : this.#takeStrays(key);
        if (finding.cameThrough !== undefined) {
          this.#takeStrays(keyOf(one.id, finding.cameThrough, ""));
        }
        moved.mayBeMarked = copy.mayBeMarked || crashes + restarts > 0;
        settleDown(moved, one, wallMs);
        next.push(moved);
      }
      if (isKept(copy, finding, crashes + restarts > 0, wallMs)) next.push(copy);
    }
    this.#copies = next;
  }

  #planOf(queue: string): QueuePlan | undefined {
    return this.#plans.find(({ name }) => name === queue);
  }

  /** Takes out what somebody got after the broker was asked what there is: it is of the next round. */
  #takeEarlyStrays(asOf: number): Map<string, Handled> {
    const early = new Map<string, Handled>();
    for (const [key, stray] of this.#strays) {
      const late = stray.arrivals.filter(({ tick }) => tick > asOf);
      if (late.length === 0) continue;
      stray.arrivals = stray.arrivals.filter(({ tick }) => tick <= asOf);
      if (stray.arrivals.length === 0) this.#strays.delete(key);
      early.set(key, { ...newStray(), arrivals: late });
    }
    return early;
  }

  #takeStrays(key: string): Arrival[] {
    const { arrivals } = this.#strays.get(key) ?? newStray();
    this.#strays.delete(key);
    return arrivals;
  }

  /**
   * What is in memory only may have been moved and delivered before the broker stopped, and what was moved to a
   * queue that keeps few messages may have given way when it came back.
   */
  #checkStrays(cases: readonly Case[], hasStopped: boolean): string[] {
    const lost = cases.filter(
      ({ copy, finding: { own, moved, mayGiveWay: hasGivenWay } }) =>
        (hasStopped && !copy.message.durable) ||
        (hasGivenWay && own === undefined && moved.length === 0),
    );
    const problems = [...this.#strays.keys()]
      .filter((key) => !lost.some(({ copy }) => key.startsWith(`${copy.message.id} in `)))
      .map((key) => `delivery: ${key} was delivered, but never was there`);
    this.#strays.clear();
    return problems;
  }
}

function newStray(): Handled {
  return { holder: undefined, arrivals: [], returns: [] };
}

/** Nothing found yet. */
function newFinding(): OpenFinding {
  return { own: undefined, moved: [], cameThrough: undefined, movedReturns: [], mayGiveWay: false };
}

/** What tells a copy from all others. */
export function keyOfCopy({ message, queue, origin }: Copy): string {
  return keyOf(message.id, queue, origin);
}

/** Whether something that was found may be a copy that was moved. */
function cameFrom({ id, queue, origin }: Observed, copy: Copy): boolean {
  if (copy.message.id !== id || (copy.place === "unborn" && copy.born.length === 0)) return false;
  if (isSink(queue)) return origin === copy.queue;
  return copy.sinks.some((sink) => sink.queue === queue);
}

/** Whether something that was found may be a copy that was given back to a queue, and has left that as well. */
function cameThrough({ id, queue, origin }: Observed, copy: Copy): boolean {
  if (copy.message.id !== id || !isSink(copy.queue) || !isSink(queue)) return false;
  return copy.sinks.some((sink) => sink.queue === origin);
}

/** Takes over what was found of a copy; false when it has gone for good. */
function isKept(copy: Copy, finding: Finding, hasStopped: boolean, wallMs: number): boolean {
  const { own, moved } = finding;
  const wasUnborn = copy.place === "unborn";
  const isForgotten = hasStopped && !copy.message.durable && !wasUnborn;
  const hasGone =
    isForgotten || moved.length > 0 || copy.deaths.some((one) => one.every(isApplied));
  const isExpected = wasUnborn && mayHappen(copy.born);
  const mayHaveGone = copy.deaths.some(
    (one) => one.some(isUnknown) && !one.some(({ fate }) => fate === "none"),
  );
  // An answer that never comes is that it did not happen, where the message is still there.
  copy.deaths = copy.deaths.filter(mayHappen);
  copy.sinks = copy.sinks.filter(({ operation }) => mayHappen([operation]));
  const isWaiting = !wasUnborn && !hasGone && copy.deaths.length > 0;
  if (own === undefined && !isExpected && !isWaiting) return false;
  if (own !== undefined) settleDown(copy, own, wallMs);
  else if (isWaiting) {
    copy.place = "hidden";
    // Once it had come back, without a word to its transaction, others may have replaced it.
    copy.mayHaveGone ||= mayHaveGone || (finding.mayGiveWay && copy.returns.length > 0);
  }
  if (copy.place === "hidden") copy.holder = undefined;
  copy.returns = [];
  copy.arrivals = [];
  return true;
}

function isUnknown({ fate }: Operation): boolean {
  return fate === "unknown";
}

function isApplied({ fate }: Operation): boolean {
  return fate === "applied";
}

/** Whether operations have not all ended, and none of them badly. */
function mayHappen(operations: readonly Operation[]): boolean {
  const isOpen = operations.some(({ fate }) => fate === "pending");
  return isOpen && operations.every(({ fate }) => fate === "pending" || fate === "applied");
}

function settleDown(copy: Copy, own: Observed, wallMs: number): void {
  const newest = copy.arrivals.at(-1);
  copy.born = [];
  copy.mayHaveGone = false;
  copy.place = own.place;
  copy.holder = own.place === "held" ? (newest?.holder ?? copy.holder) : undefined;
  copy.restingSinceMs = own.place === "held" ? Infinity : Math.min(copy.restingSinceMs, wallMs);
  if (newest !== undefined && own.place !== "held") copy.restingSinceMs = wallMs;
  copy.dueMs = own.dueMs;
  copy.messageId = own.messageId;
  copy.attempts = own.attempts;
  if (newest !== undefined) copy.wasHandedOut = true;
  copy.arrivals = [];
}
