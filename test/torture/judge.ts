import { Effects, reportedEffect } from "./effects.ts";
import { History, type DeliveryRecord, type MessageRecord } from "./history.ts";
import { DeliveryOrder } from "./delivery-order.ts";
import type { FaultKind, HistoryEvent } from "./history-line.ts";
import { outagesByCause, type Cause, type OutageSpread } from "./outages.ts";
import type { Plan } from "./plan.ts";

/** What the judge found. The first three count sends by what their senders were told. */
export interface Verdict {
  readonly applied: number;
  readonly none: number;
  readonly unknown: number;
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly failovers: number;
  /** Messages, of each queue apart, that were sent for sure and settled by nobody. */
  readonly lost: number;
  /**
   * Deliveries that should not be: confirmed settlements beyond the first, repeats that are not marked as
   * redelivered, and what came after a settlement was confirmed.
   */
  readonly duplicated: number;
  /** Messages of one producer that one consumer saw in another order. */
  readonly outOfOrder: number;
  /** Promises that never settled, and processes that did not end in order. */
  readonly unsettled: number;
  /** Deliveries of what was refused, rolled back, never sent, or sent elsewhere. */
  readonly phantom: number;
  readonly redelivered: number;
  /** Repeats without a mark that are excused: see `keepsMarks` of the plan. */
  readonly unmarked: number;
  readonly longestOutageMs: number;
  /** By what was done, as {@link outagesByCause} has it. */
  readonly outages: Readonly<Record<string, OutageSpread>>;
  /** The first violations, in words. */
  readonly examples: readonly string[];
}

/** What of a plan has to be known. */
export type JudgedPlan = Pick<Plan, "queues" | "clients" | "keepsMarks">;

/** Of each kind. */
const examplesMax = 5;

/** Those that members do not feel. */
const clientFaults: ReadonlySet<FaultKind> = new Set(["cut", "drop", "delay"]);

/**
 * Judges the history of a run; `files` as {@link History} takes them. `harms`: what was done to a group by faults that
 * members feel, in more words than theirs.
 */
export function judge(
  plan: JudgedPlan,
  files: readonly (readonly HistoryEvent[])[],
  harms?: readonly Cause[],
): Verdict {
  return new Judge(plan, new History(files)).verdict(harms);
}

/** Whether nothing went wrong. */
export function isFaultless(verdict: Verdict): boolean {
  const { lost, duplicated, outOfOrder, unsettled, phantom } = verdict;
  return lost + duplicated + outOfOrder + unsettled + phantom === 0;
}

function countsOf(faults: readonly { readonly name: FaultKind }[]): Record<FaultKind, number> {
  const counts = {
    ...{ kill: 0, stop: 0, cut: 0, drop: 0, delay: 0 },
    ...{ part: 0, disk: 0, handover: 0, roll: 0 },
  };
  for (const { name } of faults) counts[name] += 1;
  return counts;
}

type ViolationKind = "lost" | "duplicated" | "outOfOrder" | "unsettled" | "phantom";

class Judge {
  readonly #plan: JudgedPlan;
  /** By address. */
  readonly #queuesOf: number[][] = [];
  readonly #history: History;
  readonly #effects: Effects;
  readonly #counts: Record<ViolationKind, number> = {
    ...{ lost: 0, duplicated: 0, outOfOrder: 0, unsettled: 0, phantom: 0 },
  };
  readonly #sends = { applied: 0, none: 0, unknown: 0 };
  readonly #examples: string[] = [];
  readonly #shown = new Map<ViolationKind, number>();
  #redelivered = 0;
  #unmarked = 0;

  constructor(plan: JudgedPlan, history: History) {
    this.#plan = plan;
    this.#history = history;
    this.#effects = new Effects(history);
    for (const [queue, { address }] of plan.queues.entries()) {
      (this.#queuesOf[address] ??= []).push(queue);
    }
  }

  verdict(harms: readonly Cause[] | undefined): Verdict {
    const { faults, outages, unendedCount } = this.#history;
    this.#note("unsettled", unendedCount, () => "processes that did not end in order");
    for (const message of this.#history.messages.values()) this.#judgeMessage(message);
    this.#judgeDeliveries();
    for (const { id, intent, outcome } of this.#history.transactions.values()) {
      const isUnsettled = intent !== "open" && outcome === undefined;
      this.#note("unsettled", isUnsettled ? 1 : 0, () => `${intent} of transaction ${id}`);
    }
    const causes =
      harms === undefined
        ? faults
        : [...harms, ...faults.filter(({ name }) => clientFaults.has(name))];
    const spreads = outagesByCause(causes, outages);
    return {
      ...this.#sends,
      ...{ faults: countsOf(faults), failovers: outages.length },
      ...this.#counts,
      ...{ redelivered: this.#redelivered, unmarked: this.#unmarked },
      longestOutageMs: Math.max(0, ...Object.values(spreads).map(({ worstMs }) => worstMs)),
      outages: spreads,
      examples: this.#examples,
    };
  }

  #judgeMessage(message: MessageRecord): void {
    const { transaction, outcome, deliveries, address } = message;
    const isUnsettled = outcome === undefined;
    this.#note("unsettled", isUnsettled ? 1 : 0, () => `send of ${nameOf(message)}`);
    const whole = transaction === undefined ? "applied" : reportedEffect(transaction);
    const isNone = outcome === "none" || whole === "none";
    const isApplied = outcome === "applied" && whole === "applied";
    this.#sends[isNone ? "none" : isApplied ? "applied" : "unknown"] += 1;

    const effect = this.#effects.ofSend(message);
    const wrong = deliveries.filter(({ queue }) => this.#plan.queues[queue]?.address !== address);
    this.#note("phantom", wrong.length, () => `${nameOf(message)} in a queue of another address`);
    for (const queue of this.#queuesOf[address] ?? []) {
      const copies = deliveries.filter((delivery) => delivery.queue === queue);
      if (effect === "none") {
        this.#note("phantom", copies.length, () => `${nameOf(message)} was not to be sent`);
      } else {
        this.#judgeCopies(message, queue, copies, effect === "applied");
      }
    }
  }

  #judgeCopies(
    message: MessageRecord,
    queue: number,
    copies: readonly DeliveryRecord[],
    isApplied: boolean,
  ): void {
    const describe = (): string =>
      `${nameOf(message)} of ${this.#plan.queues[queue]?.name}: ${JSON.stringify(copies.map(brief))}`;
    const effects = copies.map((copy) => this.#effects.ofDelivery(copy));
    const isSettled = effects.includes("applied") || effects.includes("unknown");
    this.#note("lost", isApplied && !isSettled ? 1 : 0, describe);

    const unmarked = copies.filter(({ isRedelivered }) => !isRedelivered);
    const confirmed = copies.filter((_, index) => effects[index] === "applied");
    const wrong = new Set([...this.#wronglyUnmarked(unmarked), ...confirmed.slice(1)]);
    for (const copy of copies) if (isLate(copy, copies)) wrong.add(copy);
    this.#note("duplicated", wrong.size, describe);
    this.#redelivered += copies.length - unmarked.length;
  }

  /** All but the first; where marks may be missing, those after one that was settled, undisturbed. */
  #wronglyUnmarked(unmarked: readonly DeliveryRecord[]): readonly DeliveryRecord[] {
    if (this.#plan.keepsMarks || unmarked.length < 2) return unmarked.slice(1);
    const inOrder = unmarked.toSorted((left, right) => left.atMicroseconds - right.atMicroseconds);
    const wrong = inOrder.filter((_, place) => {
      const before = inOrder[place - 1];
      return before !== undefined && !before.isCut && before.outcome !== "none";
    });
    this.#unmarked += inOrder.length - 1 - wrong.length;
    return wrong;
  }

  /** What each consumer saw, in its order. */
  #judgeDeliveries(): void {
    const order = new DeliveryOrder(this.#plan);
    for (const delivery of this.#history.deliveries) {
      const isUnsettled = delivery.isAsked && delivery.outcome === undefined;
      this.#note(
        "unsettled",
        isUnsettled ? 1 : 0,
        () => `settlement ${JSON.stringify(brief(delivery))}`,
      );
      const { message } = delivery;
      if (message === undefined) {
        this.#note("phantom", 1, () => "a message that nobody sent");
      } else if (!order.takes(delivery, message)) {
        this.#note("outOfOrder", 1, () => `${nameOf(message)} ${JSON.stringify(brief(delivery))}`);
      }
    }
  }

  #note(kind: ViolationKind, count: number, describe: () => string): void {
    if (count === 0) return;
    this.#counts[kind] += count;
    const shown = this.#shown.get(kind) ?? 0;
    if (shown === examplesMax) return;
    this.#shown.set(kind, shown + 1);
    this.#examples.push(`${kind}: ${describe()}`);
  }
}

/**
 * Whether it came although its settlement was confirmed before. What a consumer saw just as its connection broke,
 * and could not settle, was handed to it before that: somebody else may have been faster since.
 */
function isLate(copy: DeliveryRecord, copies: readonly DeliveryRecord[]): boolean {
  if (copy.isCut && !isConfirmed(copy)) return false;
  return copies.some(
    (other) =>
      other !== copy && isConfirmed(other) && confirmedMicroseconds(other) < copy.atMicroseconds,
  );
}

/** Whether the application was told that it is settled. */
function isConfirmed({ isAsked, outcome, transaction }: DeliveryRecord): boolean {
  const isWhole = transaction === undefined || reportedEffect(transaction) === "applied";
  return isAsked && outcome === "applied" && isWhole;
}

function confirmedMicroseconds({ settledMicroseconds, transaction }: DeliveryRecord): number {
  return transaction?.endedMicroseconds ?? settledMicroseconds;
}

function nameOf({ producer, number }: MessageRecord): string {
  return `message ${producer}/${number}`;
}

function brief(delivery: DeliveryRecord): object {
  const { consumer, isRedelivered, isAsked, outcome, isCut, transaction } = delivery;
  const { atMicroseconds, settledMicroseconds } = delivery;
  return {
    ...{ consumer, isRedelivered, isAsked, outcome, isCut, atMicroseconds, settledMicroseconds },
    transaction: transaction?.id,
    committed: transaction?.outcome,
  };
}
