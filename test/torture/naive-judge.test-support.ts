import type { HistoryEvent } from "./history-line.ts";
import type { JudgedPlan } from "./judge.ts";

type EventOf<K extends HistoryEvent["kind"]> = Extract<HistoryEvent, { readonly kind: K }>;
type Delivery = EventOf<"delivery">;

/**
 * Whether a history in one file may be that of a good broker and client, found by trying every possibility: what
 * is in doubt may have happened or not, and some choice of it must explain all that was seen.
 */
export function isPossible(plan: JudgedPlan, events: HistoryEvent[]): boolean {
  const seen = new Seen(plan, events);
  if (!seen.isSettled() || !seen.isInOrder() || seen.isLateAnywhere()) return false;
  const doubts = seen.doubts();
  for (let choice = 0; choice < 2 ** doubts.length; choice += 1) {
    const chosen = new Set(doubts.filter((_, place) => Math.floor(choice / 2 ** place) % 2 === 1));
    if (seen.isExplainedBy(chosen)) return true;
  }
  return false;
}

class Seen {
  readonly #plan: JudgedPlan;
  readonly #events: readonly HistoryEvent[];

  constructor(plan: JudgedPlan, events: HistoryEvent[]) {
    this.#plan = plan;
    this.#events = events;
  }

  isSettled(): boolean {
    return (
      this.#events.at(-1)?.kind === "end" &&
      this.#all("send").every((send) => this.#sent(send) !== undefined) &&
      this.#all("settle").every(({ delivery }) => this.#settled(delivery) !== undefined) &&
      [...this.#all("commit"), ...this.#all("rollback")].every(
        ({ transaction }) => this.#ended(transaction) !== undefined,
      )
    );
  }

  isInOrder(): boolean {
    const firsts = this.#all("delivery").filter(
      (delivery, place, all) => all.findIndex((other) => isSame(delivery, other)) === place,
    );
    return firsts.every(({ queue, producer, number }, place) => {
      if (this.#plan.clients.filter((client) => client.queue === queue).length > 1) return true;
      return firsts
        .slice(0, place)
        .every(
          (before) =>
            before.queue !== queue || before.producer !== producer || before.number < number,
        );
    });
  }

  /** Whether something came after the application had been told that it is settled. */
  isLateAnywhere(): boolean {
    const deliveries = this.#all("delivery");
    return deliveries.some((delivery) =>
      deliveries.some((other) => {
        if (other === delivery || !isSame(delivery, other) || !this.#isTold(other)) return false;
        const isExcused = this.#isCut(delivery) && !this.#isTold(delivery);
        return !isExcused && this.#toldMicroseconds(other) < delivery.atMicroseconds;
      }),
    );
  }

  doubts(): string[] {
    return [
      ...this.#all("send")
        .filter((send) => this.#sent(send)?.outcome === "unknown")
        .map(nameOfSend),
      ...this.#all("settle")
        .filter(({ delivery }) => this.#settled(delivery)?.outcome === "unknown")
        .map(({ delivery }) => `delivery ${delivery}`),
      ...this.#all("commit")
        .filter(({ transaction }) => this.#ended(transaction)?.outcome === "unknown")
        .map(({ transaction }) => `transaction ${transaction}`),
    ];
  }

  /** Whether everything fits, if of what is in doubt exactly this has happened. */
  isExplainedBy(chosen: ReadonlySet<string>): boolean {
    const isWhole = (transaction: number): boolean =>
      transaction === 0 ||
      (this.#all("commit").some((commit) => commit.transaction === transaction) &&
        isOn(this.#ended(transaction)?.outcome, `transaction ${transaction}`, chosen));
    const isSettledOne = ({ delivery, transaction }: Delivery): boolean =>
      this.#all("settle").some((settle) => settle.delivery === delivery) &&
      isOn(this.#settled(delivery)?.outcome, `delivery ${delivery}`, chosen) &&
      isWhole(transaction);
    return this.#all("send").every((send) => {
      const isSent =
        isOn(this.#sent(send)?.outcome, nameOfSend(send), chosen) && isWhole(send.transaction);
      const copies = this.#all("delivery").filter(
        ({ producer, number }) => producer === send.producer && number === send.number,
      );
      return this.#plan.queues.every(({ address }, queue) => {
        const here = copies.filter((copy) => copy.queue === queue);
        if (!isSent || address !== send.address) return here.length === 0;
        const unmarked = here.filter(({ isRedelivered }) => !isRedelivered);
        const isMarked = this.#plan.keepsMarks
          ? unmarked.length <= 1
          : unmarked.every(
              (copy) =>
                this.#isCut(copy) ||
                this.#settled(copy.delivery)?.outcome === "none" ||
                isLast(copy, unmarked),
            );
        return isMarked && here.filter(isSettledOne).length === 1;
      });
    });
  }

  #isCut(delivery: Delivery): boolean {
    const start = this.#events.indexOf(delivery);
    const isOver = (event: HistoryEvent): boolean =>
      delivery.transaction === 0
        ? event.kind === "settled" && event.delivery === delivery.delivery
        : event.kind === "ended" && event.transaction === delivery.transaction;
    const over = this.#events.findIndex((event, place) => place > start && isOver(event));
    const isOfIt = (event: HistoryEvent): boolean =>
      (event.kind === "down" || event.kind === "up") && event.connection === delivery.consumer;
    const isDownAlready = this.#events.slice(0, start).filter(isOfIt).at(-1)?.kind === "down";
    const meanwhile = this.#events.slice(start, over === -1 ? undefined : over).filter(isOfIt);
    return isDownAlready || meanwhile.some(({ kind }) => kind === "down");
  }

  #isTold({ delivery, transaction }: Delivery): boolean {
    const isCommitted =
      this.#all("commit").some((commit) => commit.transaction === transaction) &&
      this.#ended(transaction)?.outcome === "applied";
    return this.#settled(delivery)?.outcome === "applied" && (transaction === 0 || isCommitted);
  }

  #toldMicroseconds({ delivery, transaction }: Delivery): number {
    const told = transaction === 0 ? this.#settled(delivery) : this.#ended(transaction);
    return told?.atMicroseconds ?? Infinity;
  }

  #sent({ producer, number }: EventOf<"send">): EventOf<"sent"> | undefined {
    return this.#all("sent").find((sent) => sent.producer === producer && sent.number === number);
  }

  #settled(delivery: number): EventOf<"settled"> | undefined {
    return this.#all("settled").find((settled) => settled.delivery === delivery);
  }

  #ended(transaction: number): EventOf<"ended"> | undefined {
    return this.#all("ended").find((ended) => ended.transaction === transaction);
  }

  #all<K extends HistoryEvent["kind"]>(kind: K): EventOf<K>[] {
    return this.#events.filter((event): event is EventOf<K> => event.kind === kind);
  }
}

function isOn(outcome: string | undefined, name: string, chosen: ReadonlySet<string>): boolean {
  return outcome === "applied" || (outcome === "unknown" && chosen.has(name));
}

function isSame(left: Delivery, right: Delivery): boolean {
  return (
    left.queue === right.queue && left.producer === right.producer && left.number === right.number
  );
}

function isLast(one: Delivery, all: readonly Delivery[]): boolean {
  return all.every(({ atMicroseconds }) => atMicroseconds <= one.atMicroseconds);
}

function nameOfSend({ producer, number }: EventOf<"send">): string {
  return `send ${producer}/${number}`;
}
