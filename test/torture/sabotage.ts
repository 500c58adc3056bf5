import type { HistorySink } from "./history-file.ts";
import type { HistoryEvent } from "./history-line.ts";

/** Lies that the checker must find out: each makes the history look as a fault of the broker or client would. */
export const sabotages = ["drop", "double", "swap", "forget"] as const;

export type Sabotage = (typeof sabotages)[number];

/** Which lie, and when. */
export interface SabotageOptions {
  readonly kind: Sabotage;
  /** Events that are told as they were before it. */
  readonly after: number;
  /** Whether the order of a queue's messages can be told at all. */
  readonly isOrdered: (queue: number) => boolean;
  /** Called when the lie is told. */
  readonly onTold: () => void;
}

type Delivery = Extract<HistoryEvent, { readonly kind: "delivery" }>;

/** Far above what a process counts to. */
const secondDelivery = 2 ** 40;

/** What a history may hold back before it is told as it was. */
const heldMax = 100_000;

/**
 * Writes down what it is told, except once: `drop` hides a message that was delivered and
 * acknowledged, `double` tells of it twice, `swap` tells of two in the wrong order, `forget` leaves out what became
 * of a send.
 */
export function sabotagedSink(
  { kind, after, isOrdered, onTold }: SabotageOptions,
  sink: HistorySink,
): HistorySink {
  let eventCount = 0;
  let isDone = false;
  const saboteur = saboteurs[kind](sink, isOrdered);
  return (event) => {
    eventCount += 1;
    if (isDone || eventCount < after) {
      sink(event);
      return;
    }
    isDone = saboteur(event);
    if (isDone) onTold();
  };
}

/** Writes the event down, or lies; returns whether the lie is told. */
type Saboteur = (event: HistoryEvent) => boolean;

const saboteurs: Readonly<
  Record<Sabotage, (sink: HistorySink, isOrdered: (queue: number) => boolean) => Saboteur>
> = {
  drop: (sink) => {
    const held: HistoryEvent[] = [];
    return (event) => {
      const first = held[0];
      if (first?.kind !== "delivery") {
        if (isPlain(event) && !event.isRedelivered) held.push(event);
        else sink(event);
        return false;
      }
      const isOfIt = "delivery" in event && event.delivery === first.delivery;
      if (!isOfIt) sink(event);
      else held.push(event);
      if (!isOfIt || event.kind !== "settled") return false;
      if (event.outcome === "applied") return true;
      for (const hidden of held.splice(0)) sink(hidden);
      return false;
    };
  },
  double: (sink) => {
    let chosen: Delivery | undefined;
    return (event) => {
      sink(event);
      if (isPlain(event)) chosen ??= event;
      if (event.kind !== "settled" || event.delivery !== chosen?.delivery) return false;
      const delivery = chosen.delivery + secondDelivery;
      sink({ ...chosen, delivery });
      sink({ kind: "settle", delivery });
      sink({ ...event, delivery, outcome: "applied" });
      return true;
    };
  },
  swap: (sink, isOrdered) => {
    const held: HistoryEvent[] = [];
    return (event) => {
      const first = held[0];
      if (first?.kind !== "delivery") {
        if (isFresh(event) && isOrdered(event.queue)) held.push(event);
        else sink(event);
        return false;
      }
      const isNext = isFresh(event) && isSameLine(event, first) && event.number > first.number;
      if (isNext) sink(event);
      else held.push(event);
      if (!isNext && event.kind !== "end" && held.length < heldMax) return false;
      for (const late of held.splice(0)) sink(late);
      return isNext;
    };
  },
  forget: (sink) => (event) => {
    if (event.kind === "sent") return true;
    sink(event);
    return false;
  },
};

function isPlain(event: HistoryEvent): event is Delivery {
  return event.kind === "delivery" && event.transaction === 0;
}

function isFresh(event: HistoryEvent): event is Delivery {
  return event.kind === "delivery" && !event.isRedelivered;
}

function isSameLine(left: Delivery, right: Delivery): boolean {
  return (
    left.queue === right.queue &&
    left.consumer === right.consumer &&
    left.producer === right.producer
  );
}
