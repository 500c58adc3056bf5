import type { Outcome } from "@everhold/base";

/** A message that somebody tries to send. */
export interface SendRecord {
  /** Unique in the scenario. */
  readonly id: string;
  readonly producer: string;
  /** Grows with each send of its producer. */
  readonly sequence: number;
  readonly address: string;
  readonly durable: boolean;
  /** Before when it may not be delivered, by the broker's time of day; absent for at once. */
  readonly deliverAt?: number;
  /** The transaction it belongs to, which then decides its outcome unless the send itself is refused. */
  readonly transaction?: string;
}

/** One hand-over of a message to an application. */
export interface DeliveryRecord {
  readonly queue: string;
  readonly id: string;
  readonly redelivered: boolean;
  /** It came from the dead letters, for which the queue had given it up. */
  readonly isDeadLetter: boolean;
  /** The connection over which it came; one that is made anew has another name. */
  readonly link: string;
}

/** The broker's time of day, as only the world knows it. */
export interface BrokerTime {
  /** A moment to ask about later. */
  moment(): number;
  /** The latest time of day since a moment: it may have been set back since. */
  latestSince(moment: number): number;
}

/** What is in the queues when everything has come to rest. */
export type Leftovers = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Knows what was promised and watches what happens, from the applications' side alone.
 *
 * - A send that settled as applied has, in each queue of its address, exactly one effect (a settlement
 *   that was confirmed), or is still there at the end.
 * - A send that was refused is never delivered. One whose outcome is unknown is in all queues or in none.
 * - What was attempted too often goes to the dead letters once, and nowhere else any more.
 * - Nothing is delivered after its settlement was confirmed, and a repeat is marked as one; except for
 *   what a client still hands out from a connection that is broken already. In a queue whose messages are
 *   moved by hand a repeat may come unmarked, because deliveries are counted anew where they arrive.
 * - Nothing is delivered before its time.
 * - A queue with one consumer delivers a producer's messages in the order in which they were sent,
 *   durable ones and others each among themselves, those that are given back excepted; and those for a
 *   later time among the ones for the same time.
 * - Whoever lives and asks is told what became of a durable send or a commit.
 * - A transaction whose outcome is unknown took effect as a whole or not at all.
 */
export class Oracle {
  readonly #queuesByAddress = new Map<string, Set<string>>();
  readonly #sharedQueues = new Set<string>();
  readonly #managedQueues = new Set<string>();
  readonly #sends = new Map<string, SendState>();
  readonly #transactions = new Map<string, TransactionState>();
  readonly #lastSequence = new Map<string, number>();
  readonly #onProblem: (text: string) => void;
  readonly #time: BrokerTime;
  readonly #brokenLinks = new Set<string>();
  readonly #suspicions: { readonly link: string; readonly text: string }[] = [];
  #deliveryCount = 0;
  #repeatCount = 0;

  /** @param onProblem is told of each broken promise, as soon as it shows */
  constructor(onProblem: (text: string) => void, time: BrokerTime) {
    this.#onProblem = onProblem;
    this.#time = time;
  }

  /** Counts for the report. */
  get counts(): OracleCounts {
    const outcomes = { applied: 0, none: 0, unknown: 0 };
    let effectCount = 0;
    let deadLetterCount = 0;
    let delayedCount = 0;
    for (const send of this.#sends.values()) {
      const outcome = this.#outcomeOf(send);
      if (outcome !== undefined) outcomes[outcome] += 1;
      if (send.record.deliverAt !== undefined) delayedCount += 1;
      for (const entry of send.entries.values()) {
        effectCount += this.#effects(entry).applied;
        if (entry.isDead) deadLetterCount += 1;
      }
    }
    return {
      sends: this.#sends.size,
      ...outcomes,
      deliveries: this.#deliveryCount,
      repeats: this.#repeatCount,
      effects: effectCount,
      deadLetters: deadLetterCount,
      delayed: delayedCount,
      transactions: this.#transactions.size,
    };
  }

  /** A queue takes part in its address's messages from now on. `shared`: several consumers compete. */
  queueBound(queue: string, address: string, shared: boolean): void {
    const queues = this.#queuesByAddress.get(address) ?? new Set();
    this.#queuesByAddress.set(address, queues.add(queue));
    if (shared) this.#sharedQueues.add(queue);
  }

  /** Messages of the queue are moved away and back by hand. */
  queueManaged(queue: string): void {
    this.#managedQueues.add(queue);
  }

  /**
   * Whose promise it is that `queue` keeps, for a message that was sent to `address`: its own, or, when it
   * is none of ours but that of the dead letters, the one of the address's only queue.
   */
  queueOf(queue: string, address: string): string {
    const queues = [...(this.#queuesByAddress.get(address) ?? [])];
    const [only] = queues;
    return queues.length === 1 && only !== undefined && !queues.includes(queue) ? only : queue;
  }

  sendStarted(record: SendRecord): void {
    const startedAt = this.#time.moment();
    this.#sends.set(record.id, { record, startedAt, outcome: undefined, entries: new Map() });
  }

  sendSettled(id: string, outcome: Outcome): void {
    const send = this.#sends.get(id);
    if (send === undefined) return this.#onProblem(`a send settled that nobody made: ${id}`);
    if (send.outcome !== undefined) this.#onProblem(`${id} settled twice`);
    send.outcome = outcome;
    this.#checkRefused(send);
  }

  transactionEnded(transaction: string, outcome: Outcome): void {
    const state = this.#transaction(transaction);
    if (state.outcome !== undefined) this.#onProblem(`transaction ${transaction} ended twice`);
    state.outcome = outcome;
    for (const send of this.#sends.values()) {
      if (send.record.transaction === transaction) this.#checkRefused(send);
    }
  }

  /** An application was given a message. */
  delivered(delivery: DeliveryRecord): void {
    const { queue, id } = delivery;
    this.#deliveryCount += 1;
    const send = this.#sends.get(id);
    if (send === undefined) return this.#onProblem(`${queue} delivered ${id}, which nobody sent`);
    if (this.#queuesByAddress.get(send.record.address)?.has(queue) !== true) {
      return this.#onProblem(`${queue} delivered ${id}, which was sent to ${send.record.address}`);
    }
    this.#checkTime(send, queue);
    const entry = this.#entry(send, queue);
    if (this.#effects(entry).applied > 0) {
      this.#suspect(delivery, `${queue} delivered ${id} again after its settlement was confirmed`);
    }
    if (entry.isDead && !delivery.isDeadLetter) {
      this.#suspect(delivery, `${queue} delivered ${id} again after it went to the dead letters`);
    }
    entry.isDead ||= delivery.isDeadLetter;
    entry.deliveryCount += 1;
    this.#checkRefused(send);
    if (entry.deliveryCount > 1) this.#repeatCount += 1;
    if (delivery.redelivered || delivery.isDeadLetter) return;
    if (entry.deliveryCount === 1) this.#checkOrder(send.record, queue);
    else if (!this.#managedQueues.has(queue)) {
      this.#suspect(delivery, `${queue} delivered ${id} again without marking it as redelivered`);
    }
  }

  /** A connection broke, or the process at its end died. */
  linkBroken(link: string): void {
    this.#brokenLinks.add(link);
  }

  /** An application was given a message with other bytes than were sent. */
  damaged(queue: string, id: string): void {
    this.#onProblem(`${queue} delivered ${id} with another body than was sent`);
  }

  /**
   * An application acknowledges a message it was given. Ends with {@link acknowledgeSettled}, or with
   * its transaction.
   */
  acknowledgeStarted(queue: string, id: string, transaction?: string): void {
    const send = this.#sends.get(id);
    if (send === undefined) return;
    const entry = this.#entry(send, queue);
    const settlement: Settlement = {
      transaction,
      deliveriesBefore: entry.deliveryCount,
      outcome: undefined,
    };
    entry.settlements.push(settlement);
    if (transaction !== undefined)
      this.#transaction(transaction).settlements.push({ entry, settlement, id, queue });
  }

  acknowledgeSettled(queue: string, id: string, outcome: Outcome): void {
    const settlements = this.#sends.get(id)?.entries.get(queue)?.settlements ?? [];
    const open = settlements.find(
      (settlement) => settlement.outcome === undefined && settlement.transaction === undefined,
    );
    if (open === undefined) return this.#onProblem(`${queue}: nobody acknowledged ${id}`);
    open.outcome = outcome;
  }

  /** A process that lives has asked what became of a durable send or a transaction, and was not told. */
  doubtLeft(what: string): void {
    this.#onProblem(`${what} is left in doubt, though the process that began it has asked`);
  }

  /** Everything has come to rest: nothing may be missing, half-done or done twice. */
  finish(left: Leftovers): void {
    for (const send of this.#sends.values()) {
      for (const queue of this.#queuesByAddress.get(send.record.address) ?? []) {
        this.#checkEntry(send, queue, left);
      }
      this.#checkAllOrNone(send, left);
    }
    for (const [name, state] of this.#transactions) this.#checkTransaction(name, state, left);
    for (const { link, text } of this.#suspicions) {
      if (!this.#brokenLinks.has(link)) this.#onProblem(text);
    }
  }

  /**
   * A client that has not noticed yet that its connection is gone hands out what it was sent before,
   * while others settle the same messages already. It can settle nothing of that; so it is forgiven if the
   * connection proves to be broken, and only the confirmed effects count.
   */
  #suspect({ link }: DeliveryRecord, text: string): void {
    this.#suspicions.push({ link, text });
  }

  #checkEntry(send: SendState, queue: string, left: Leftovers): void {
    const { id, durable } = send.record;
    const outcome = this.#outcomeOf(send);
    if (outcome === undefined) return this.#onProblem(`the send of ${id} never settled`);
    const entry = this.#entry(send, queue);
    const { applied, unknown, open } = this.#effects(entry);
    const isLeft = left.get(queue)?.has(id) === true;
    if (open > 0) this.#onProblem(`${queue}: an acknowledgement of ${id} never settled`);
    if (applied > 1) this.#onProblem(`${queue}: ${id} had ${applied} confirmed effects`);
    if (applied > 0 && isLeft) this.#onProblem(`${queue} still holds ${id}, which was settled`);
    if (outcome === "none" && isLeft) this.#onProblem(`${queue} holds ${id}, which was refused`);
    const settled = applied > 0 || unknown > 0;
    if (outcome === "applied" && durable && !settled && !isLeft) {
      this.#onProblem(
        `${queue} lost ${id}: its send was confirmed, nobody settled it, it is not there`,
      );
    }
    if (entry.deliveryCount > 0 && durable && !settled && !isLeft) {
      this.#onProblem(`${queue} lost ${id}: it was delivered, nobody settled it, it is not there`);
    }
  }

  /** One record holds all targets of a message, so it cannot be in some of its queues only. */
  #checkAllOrNone(send: SendState, left: Leftovers): void {
    const queues = [...(this.#queuesByAddress.get(send.record.address) ?? [])];
    const present = queues.filter((queue) => this.#isPresent(send, queue, left));
    if (!send.record.durable || present.length === 0 || present.length === queues.length) return;
    this.#onProblem(`${send.record.id} is in ${present.join()} only, of ${queues.join()}`);
  }

  #checkTransaction(name: string, state: TransactionState, left: Leftovers): void {
    if (state.outcome !== "unknown") {
      if (state.outcome === undefined) this.#onProblem(`transaction ${name} never ended`);
      return;
    }
    const effects = new Map<string, boolean>();
    for (const send of this.#sends.values()) {
      const { transaction, address, id, durable } = send.record;
      if (transaction !== name || !durable || send.outcome === "none") continue;
      for (const queue of this.#queuesByAddress.get(address) ?? []) {
        effects.set(`send of ${id}`, this.#isPresent(send, queue, left));
      }
    }
    for (const { entry, settlement, id, queue } of state.settlements) {
      // One that was not durable may be gone for another reason: the broker died.
      if (this.#sends.get(id)?.record.durable !== true) continue;
      const cameBack = entry.deliveryCount > settlement.deliveriesBefore;
      effects.set(`acknowledgement of ${id}`, !cameBack && left.get(queue)?.has(id) !== true);
    }
    if (new Set(effects.values()).size <= 1) return;
    const text = [...effects].map(([what, happened]) => `${what}: ${happened ? "yes" : "no"}`);
    this.#onProblem(`transaction ${name} took effect in part: ${text.join("; ")}`);
  }

  #checkTime({ record, startedAt }: SendState, queue: string): void {
    const earlyMs = (record.deliverAt ?? 0) - this.#time.latestSince(startedAt);
    if (earlyMs <= 0) return;
    this.#onProblem(`${queue} delivered ${record.id} ${earlyMs} ms before its time`);
  }

  #checkRefused(send: SendState): void {
    if (this.#outcomeOf(send) !== "none") return;
    for (const [queue, entry] of send.entries) {
      if (entry.deliveryCount > 0)
        this.#onProblem(`${queue} delivered ${send.record.id}, which was refused`);
    }
  }

  /**
   * What is marked was handed out before, perhaps to a consumer that was gone without the broker knowing;
   * it comes when it is given back. Non-durable messages may overtake durable ones, which wait for the
   * disk (JMS 2.0, 6.2.9).
   */
  #checkOrder(record: SendRecord, queue: string): void {
    if (this.#sharedQueues.has(queue)) return;
    const key = `${queue} ${record.producer} ${record.durable} ${record.deliverAt ?? "at once"}`;
    const last = this.#lastSequence.get(key) ?? 0;
    if (record.sequence < last) {
      this.#onProblem(`${queue} delivered ${record.id} after number ${last} of the same producer`);
    }
    this.#lastSequence.set(key, Math.max(last, record.sequence));
  }

  #isPresent(send: SendState, queue: string, left: Leftovers): boolean {
    const { id } = send.record;
    return this.#entry(send, queue).deliveryCount > 0 || left.get(queue)?.has(id) === true;
  }

  #outcomeOf(send: SendState): Outcome | undefined {
    const { transaction } = send.record;
    // Refused before it became part of the transaction.
    if (send.outcome === "none") return "none";
    return transaction === undefined ? send.outcome : this.#transactions.get(transaction)?.outcome;
  }

  #effects(entry: Entry): { applied: number; unknown: number; open: number } {
    const counts = { applied: 0, unknown: 0, none: 0, open: 0 };
    for (const { transaction, outcome } of entry.settlements) {
      const decided =
        transaction === undefined ? outcome : this.#transactions.get(transaction)?.outcome;
      counts[decided ?? "open"] += 1;
    }
    return counts;
  }

  #entry(send: SendState, queue: string): Entry {
    let entry = send.entries.get(queue);
    if (entry === undefined) {
      entry = { deliveryCount: 0, isDead: false, settlements: [] };
      send.entries.set(queue, entry);
    }
    return entry;
  }

  #transaction(name: string): TransactionState {
    let state = this.#transactions.get(name);
    if (state === undefined) {
      state = { outcome: undefined, settlements: [] };
      this.#transactions.set(name, state);
    }
    return state;
  }
}

/** What a scenario amounted to. */
export interface OracleCounts {
  readonly sends: number;
  readonly applied: number;
  readonly none: number;
  readonly unknown: number;
  readonly deliveries: number;
  /** Deliveries beyond the first of a message in a queue, all of them marked. */
  readonly repeats: number;
  /** Settlements that were confirmed. */
  readonly effects: number;
  /** Messages that a queue gave up. */
  readonly deadLetters: number;
  /** Sends for a later time. */
  readonly delayed: number;
  readonly transactions: number;
}

interface SendState {
  readonly record: SendRecord;
  readonly startedAt: number;
  outcome: Outcome | undefined;
  /** By queue. */
  readonly entries: Map<string, Entry>;
}

interface Entry {
  deliveryCount: number;
  isDead: boolean;
  readonly settlements: Settlement[];
}

interface Settlement {
  readonly transaction: string | undefined;
  readonly deliveriesBefore: number;
  outcome: Outcome | undefined;
}

interface TransactionState {
  outcome: Outcome | undefined;
  readonly settlements: {
    readonly entry: Entry;
    readonly settlement: Settlement;
    readonly id: string;
    readonly queue: string;
  }[];
}
