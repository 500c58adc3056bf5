import { EverholdError, type Message } from "everhold";

import { nowMicroseconds, type HistorySink } from "./history-file.ts";
import type { EventOutcome } from "./history-line.ts";

/** Room for a process's own transaction ids. */
const transactionsMax = 2 ** 32;

/** Writes down what one process means to do and what came of it. */
export class Recorder {
  readonly #sink: HistorySink;
  #nextDelivery = 1;
  #nextTransaction: number;
  #openCount = 0;

  constructor(processNumber: number, sink: HistorySink) {
    this.#sink = sink;
    this.#nextTransaction = processNumber * transactionsMax + 1;
    sink({ kind: "begin", process: processNumber });
  }

  /** Promises that have not settled. */
  get openCount(): number {
    return this.#openCount;
  }

  /** The id of a new transaction. */
  transaction(): number {
    this.#nextTransaction += 1;
    return this.#nextTransaction - 1;
  }

  /** Sends, and settles with what came of it; never rejects. */
  send(intent: SendIntent, work: () => Promise<void>): Promise<EventOutcome> {
    const { producer, number } = intent;
    this.#sink({ kind: "send", ...intent });
    return this.#watch(work, (outcome) => {
      this.#sink({ kind: "sent", producer, number, outcome });
    });
  }

  /** Notes a delivery; returns its number. */
  delivery(message: Message, place: DeliveryPlace): number {
    const delivery = this.#nextDelivery;
    this.#nextDelivery += 1;
    this.#sink({
      kind: "delivery",
      delivery,
      ...place,
      ...identityOf(message),
      isRedelivered: message.redelivered,
      atMicroseconds: nowMicroseconds(),
    });
    return delivery;
  }

  /** Settles a delivery; never rejects. What is given back counts as not settled. */
  settle(
    delivery: number,
    kind: "ack" | "release",
    work: () => Promise<void>,
  ): Promise<EventOutcome> {
    this.#sink({ kind: "settle", delivery });
    return this.#watch(work, (told) => {
      const outcome = kind === "release" ? "none" : told;
      this.#sink({ kind: "settled", delivery, outcome, atMicroseconds: nowMicroseconds() });
    });
  }

  /** Ends a transaction; never rejects. */
  end(
    transaction: number,
    kind: "commit" | "rollback",
    work: () => Promise<void>,
  ): Promise<EventOutcome> {
    this.#sink({ kind, transaction });
    return this.#watch(work, (outcome) => {
      this.#sink({ kind: "ended", transaction, outcome, atMicroseconds: nowMicroseconds() });
    });
  }

  connection(connection: number, kind: "down" | "up"): void {
    this.#sink({ kind, connection, atMicroseconds: nowMicroseconds() });
  }

  /** Everything is told. */
  finish(): void {
    this.#sink({ kind: "end" });
  }

  async #watch(
    work: () => Promise<void>,
    tell: (outcome: EventOutcome) => void,
  ): Promise<EventOutcome> {
    this.#openCount += 1;
    const outcome = await outcomeOf(work);
    this.#openCount -= 1;
    tell(outcome);
    return outcome;
  }
}

export interface SendIntent {
  readonly producer: number;
  readonly number: number;
  readonly address: number;
  readonly transaction: number;
}

export interface DeliveryPlace {
  readonly queue: number;
  readonly consumer: number;
  readonly transaction: number;
}

/** Errors that are no words of the client's are mistakes of this program, or of the client. */
async function outcomeOf(work: () => Promise<void>): Promise<EventOutcome> {
  try {
    await work();
    return "applied";
  } catch (error) {
    if (EverholdError.is(error)) return error.outcome;
    throw error;
  }
}

/** A body that says who sent it, and how long it is. */
export function bodyOf(producer: number, number: number, size: number): string {
  return `${producer} ${number} ${size} `.padEnd(size, "=");
}

/** Of a message whose body is damaged it says what nobody sends. */
function identityOf(message: Message): { readonly producer: number; readonly number: number } {
  const text = message.text();
  const [producer, number, size] = text.split(" ", 3).map(Number);
  if (producer !== undefined && number !== undefined && size !== undefined) {
    if (text === bodyOf(producer, number, size)) return { producer, number };
  }
  return { producer: -1, number: -1 };
}
