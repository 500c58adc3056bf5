import fc from "fast-check";

import type { Prng } from "@everhold/base";

import { faultKinds, type EventOutcome, type HistoryEvent } from "./history-line.ts";

/** A small run: a queue with one consumer, one with two, and a topic with two queues. */
export const smallPlan = {
  keepsMarks: true,
  queues: [
    { name: "alone", address: 0 },
    { name: "shared", address: 1 },
    { name: "first", address: 2 },
    { name: "second", address: 2 },
  ],
  clients: [0, 1, 1, 2, 3].map((queue) => ({
    ...{ address: 0, isTransacted: false, queue, output: 0 },
    manner: "receive" as const,
  })),
};

const count = fc.nat({ max: 2 ** 45 });
const outcome = fc.constantFrom<EventOutcome[]>("applied", "none", "unknown");
const fault = fc.constantFrom(...faultKinds);

/** Any event at all. */
export const anyEvent: fc.Arbitrary<HistoryEvent> = fc.oneof(
  fc.record({ kind: fc.constant("begin"), process: count }),
  fc.record({
    kind: fc.constant("send"),
    ...{ producer: count, number: count, address: count, transaction: count },
  }),
  fc.record({ kind: fc.constant("sent"), producer: count, number: count, outcome }),
  fc.record({
    kind: fc.constant("delivery"),
    ...{ delivery: count, queue: count, consumer: count, producer: count, number: count },
    ...{ isRedelivered: fc.boolean(), transaction: count, atMicroseconds: count },
  }),
  fc.record({ kind: fc.constant("settle"), delivery: count }),
  fc.record({ kind: fc.constant("settled"), delivery: count, outcome, atMicroseconds: count }),
  fc.record({ kind: fc.constant("commit"), transaction: count }),
  fc.record({ kind: fc.constant("rollback"), transaction: count }),
  fc.record({ kind: fc.constant("ended"), transaction: count, outcome, atMicroseconds: count }),
  fc.record({ kind: fc.constant("down"), connection: count, atMicroseconds: count }),
  fc.record({ kind: fc.constant("up"), connection: count, atMicroseconds: count }),
  fc.record({ kind: fc.constant("fault"), fault, atMicroseconds: count }),
  fc.record({ kind: fc.constant("end") }),
);

/**
 * The history of a few messages in one file: mostly as a good broker would have it, and often with something that
 * it would not do, or that nobody was told of.
 */
export function randomHistory(random: Prng): HistoryEvent[] {
  const history = new RandomHistory(random);
  return history.make();
}

class RandomHistory {
  readonly #random: Prng;
  readonly #events: HistoryEvent[] = [{ kind: "begin", process: 0 }];
  #delivery = 0;
  #atMicroseconds = 0;

  constructor(random: Prng) {
    this.#random = random;
  }

  make(): HistoryEvent[] {
    const random = this.#random;
    const messageCount = random.integer(1, 3);
    for (let number = 1; number <= messageCount; number += 1) this.#send(number);
    for (let transaction = 1; transaction <= 3; transaction += 1) this.#endTransaction(transaction);
    if (random.chance(0.1)) this.#shuffle();
    if (!random.chance(0.02)) this.#events.push({ kind: "end" });
    return this.#events;
  }

  #send(number: number): void {
    const random = this.#random;
    const producer = random.integer(0, 1);
    const address = random.integer(0, 2);
    const transaction = random.chance(0.5) ? 0 : random.integer(1, 2);
    this.#events.push({ kind: "send", producer, number, address, transaction });
    const told = this.#outcome(0.7, 0.1);
    if (told !== undefined) this.#events.push({ kind: "sent", producer, number, outcome: told });
    for (const [queue, planned] of smallPlan.queues.entries()) {
      const isWrong = random.chance(0.01);
      if ((planned.address === address) === isWrong) continue;
      const deliveryCount = random.pick([0, 1, 1, 1, 1, 1, 2, 2, 3]);
      for (let repeat = 0; repeat < deliveryCount; repeat += 1) {
        this.#deliver({ producer, number, queue, isRedelivered: repeat > 0 });
      }
    }
  }

  #deliver(of: {
    readonly producer: number;
    readonly number: number;
    readonly queue: number;
    readonly isRedelivered: boolean;
  }): void {
    const random = this.#random;
    this.#delivery += 1;
    const delivery = this.#delivery;
    const isRedelivered = of.isRedelivered !== random.chance(0.05);
    const transaction = random.chance(0.5) ? 0 : random.integer(1, 3);
    const consumer = of.queue + random.integer(0, 1);
    const atMicroseconds = this.#now();
    const place = { delivery, consumer, transaction, atMicroseconds };
    this.#events.push({ kind: "delivery", ...of, ...place, isRedelivered });
    if (random.chance(0.1)) this.#connection(consumer, random.pick(["down", "up"]));
    if (random.chance(0.2)) return;
    this.#events.push({ kind: "settle", delivery });
    const told = this.#outcome(0.6, 0.2);
    if (told === undefined) return;
    this.#events.push({ kind: "settled", delivery, outcome: told, atMicroseconds: this.#now() });
  }

  #endTransaction(transaction: number): void {
    const random = this.#random;
    if (random.chance(0.1)) return;
    this.#events.push({ kind: random.chance(0.1) ? "rollback" : "commit", transaction });
    const told = this.#outcome(0.4, 0.1);
    if (told === undefined) return;
    const atMicroseconds = this.#now();
    this.#events.push({ kind: "ended", transaction, outcome: told, atMicroseconds });
  }

  #connection(connection: number, kind: "down" | "up"): void {
    this.#events.push({ kind, connection, atMicroseconds: this.#now() });
  }

  /** Two deliveries change places; their times do, too, for no clock goes back. */
  #shuffle(): void {
    const places = this.#events.flatMap(({ kind }, place) => (kind === "delivery" ? [place] : []));
    const [one, other] = [places.at(0), places.at(-1)];
    if (one === undefined || other === undefined) return;
    const [left, right] = [this.#events[one], this.#events[other]];
    if (left?.kind !== "delivery" || right?.kind !== "delivery") return;
    const { delivery, transaction, atMicroseconds, ...rest } = left;
    const {
      delivery: laterDelivery,
      transaction: later,
      atMicroseconds: atLater,
      ...others
    } = right;
    this.#events[one] = { ...others, delivery, transaction, atMicroseconds };
    this.#events[other] = {
      ...rest,
      delivery: laterDelivery,
      transaction: later,
      atMicroseconds: atLater,
    };
  }

  #outcome(applied: number, none: number): EventOutcome | undefined {
    const place = this.#random.fraction();
    if (place < applied) return "applied";
    if (place < applied + none) return "none";
    return this.#random.chance(0.03) ? undefined : "unknown";
  }

  #now(): number {
    this.#atMicroseconds += 1;
    return this.#atMicroseconds;
  }
}
