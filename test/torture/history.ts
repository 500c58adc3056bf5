import type { EventOutcome, FaultKind, HistoryEvent } from "./history-line.ts";
import type { Cause, Outage } from "./outages.ts";

/** A message as its producer wrote of it, and every delivery of it. */
export interface MessageRecord {
  readonly producer: number;
  readonly number: number;
  readonly address: number;
  readonly transaction: TransactionRecord | undefined;
  /** Missing: the promise did not settle. */
  outcome: EventOutcome | undefined;
  /** In the order of the files and of their lines. */
  readonly deliveries: DeliveryRecord[];
}

/** One hand-over of a message to a consumer. */
export interface DeliveryRecord {
  /** Missing: nobody meant to send it. */
  readonly message: MessageRecord | undefined;
  readonly queue: number;
  readonly consumer: number;
  readonly isRedelivered: boolean;
  readonly transaction: TransactionRecord | undefined;
  readonly atMicroseconds: number;
  isAsked: boolean;
  /** What the settlement's promise said. */
  outcome: EventOutcome | undefined;
  settledMicroseconds: number;
  /** Its connection broke before its settlement was over: it may have been somebody else's when it was seen. */
  isCut: boolean;
}

export interface TransactionRecord {
  readonly id: number;
  intent: "open" | "commit" | "rollback";
  /** What the promise of the last intent said. */
  outcome: EventOutcome | undefined;
  endedMicroseconds: number;
  readonly messages: MessageRecord[];
  readonly deliveries: DeliveryRecord[];
}

const numbersMax = 2 ** 32;

/** What the files of a run say, put together. Nothing is judged here, except what makes no sense. */
export class History {
  readonly messages = new Map<number, MessageRecord>();
  readonly transactions = new Map<number, TransactionRecord>();
  /** All of them, in the order of the files and of their lines. */
  readonly deliveries: DeliveryRecord[] = [];
  readonly faults: (Cause & { readonly name: FaultKind })[] = [];
  /** Of connections that stood again after they had broken. */
  readonly outages: Outage[] = [];
  /** Processes that did not say that they ended in order. */
  unendedCount = 0;

  /** Each list is one process's file; those of who drains the queues at the end come last. */
  constructor(files: readonly (readonly HistoryEvent[])[]) {
    // A consumer's file may tell of a message before the producer's does.
    for (const events of files) {
      for (const event of events) if (event.kind === "send") this.#onSend(event);
    }
    for (const events of files) this.#readFile(events);
  }

  #onSend(event: Extract<HistoryEvent, { readonly kind: "send" }>): void {
    const { producer, number, address } = event;
    const transaction = this.#transaction(event.transaction);
    const message: MessageRecord = {
      ...{ producer, number, address, transaction },
      ...{ outcome: undefined, deliveries: [] },
    };
    const key = producer * numbersMax + number;
    if (this.messages.has(key)) throw new Error(`the message ${producer}/${number} was sent twice`);
    this.messages.set(key, message);
    transaction?.messages.push(message);
  }

  #readFile(events: readonly HistoryEvent[]): void {
    const file = new FileState();
    for (const event of events) this.#onEvent(event, file);
    if (events.at(-1)?.kind !== "end") this.unendedCount += 1;
  }

  #onEvent(event: HistoryEvent, file: FileState): void {
    switch (event.kind) {
      case "begin":
      case "send":
      case "end":
        return;
      case "sent": {
        const message = this.#message(event.producer, event.number);
        if (message === undefined) throw new Error("an outcome stands without its send");
        message.outcome = event.outcome;
        return;
      }
      case "delivery":
        return this.#onDelivery(event, file);
      case "settle": {
        const delivery = file.deliveries.get(event.delivery);
        if (delivery !== undefined) delivery.isAsked = true;
        return;
      }
      case "settled": {
        const delivery = file.deliveries.get(event.delivery);
        if (delivery === undefined) return;
        delivery.outcome = event.outcome;
        delivery.settledMicroseconds = event.atMicroseconds;
        if (delivery.transaction === undefined) file.open.delete(delivery);
        return;
      }
      case "commit":
      case "rollback": {
        const transaction = this.#transaction(event.transaction);
        if (transaction === undefined) return;
        transaction.intent = event.kind;
        transaction.outcome = undefined;
        return;
      }
      case "ended": {
        const transaction = this.#transaction(event.transaction);
        if (transaction === undefined) return;
        transaction.outcome = event.outcome;
        transaction.endedMicroseconds = event.atMicroseconds;
        for (const delivery of transaction.deliveries) file.open.delete(delivery);
        return;
      }
      case "down":
        file.downs.set(event.connection, event.atMicroseconds);
        for (const delivery of file.open) {
          if (delivery.consumer === event.connection) delivery.isCut = true;
        }
        return;
      case "up": {
        const downMicroseconds = file.downs.get(event.connection);
        if (downMicroseconds === undefined) return;
        file.downs.delete(event.connection);
        const lengthMicroseconds = event.atMicroseconds - downMicroseconds;
        this.outages.push({ downMicroseconds, lengthMicroseconds });
        return;
      }
      case "fault":
        this.faults.push({ name: event.fault, atMicroseconds: event.atMicroseconds });
        return;
    }
  }

  #onDelivery(event: Extract<HistoryEvent, { readonly kind: "delivery" }>, file: FileState): void {
    const { queue, consumer, isRedelivered, atMicroseconds } = event;
    const message = this.#message(event.producer, event.number);
    const transaction = this.#transaction(event.transaction);
    const delivery: DeliveryRecord = {
      ...{ message, queue, consumer, isRedelivered, atMicroseconds, transaction },
      ...{ isAsked: false, outcome: undefined, settledMicroseconds: 0 },
      isCut: file.downs.has(consumer),
    };
    file.deliveries.set(event.delivery, delivery);
    file.open.add(delivery);
    transaction?.deliveries.push(delivery);
    message?.deliveries.push(delivery);
    this.deliveries.push(delivery);
  }

  #message(producer: number, number: number): MessageRecord | undefined {
    return this.messages.get(producer * numbersMax + number);
  }

  #transaction(id: number): TransactionRecord | undefined {
    if (id === 0) return undefined;
    let transaction = this.transactions.get(id);
    if (transaction === undefined) {
      transaction = {
        ...{ id, intent: "open", outcome: undefined, endedMicroseconds: 0 },
        ...{ messages: [], deliveries: [] },
      };
      this.transactions.set(id, transaction);
    }
    return transaction;
  }
}

class FileState {
  readonly deliveries = new Map<number, DeliveryRecord>();
  /** Deliveries whose settlement is not over. */
  readonly open = new Set<DeliveryRecord>();
  /** Since when connections are broken. */
  readonly downs = new Map<number, number>();
}
