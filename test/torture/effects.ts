import type { EventOutcome } from "./history-line.ts";
import type { DeliveryRecord, History, MessageRecord, TransactionRecord } from "./history.ts";

/**
 * What took effect. What was told to the application is taken at its word; a transaction in doubt is decided by
 * what is seen of it, for it took effect as a whole or not at all.
 */
export class Effects {
  /** Transactions in doubt, decided. */
  readonly #decided = new Map<TransactionRecord, "applied" | "none">();

  constructor(history: History) {
    const inDoubt = [...history.transactions.values()].filter(
      (transaction) => reportedEffect(transaction) === "unknown",
    );
    const undecided = new Set<TransactionRecord>();
    for (const transaction of inDoubt) {
      const sends = transaction.messages.filter(({ outcome }) => outcome === "applied");
      if (sends.length === 0) undecided.add(transaction);
      else this.#decide(transaction, sends.some(isSeen));
    }
    this.#decideConsumers(undecided);
  }

  /** Of a send; one in doubt that was seen has been applied. */
  ofSend(message: MessageRecord): EventOutcome {
    const effect = together(message.outcome ?? "unknown", this.#of(message.transaction));
    return effect === "unknown" && isSeen(message) ? "applied" : effect;
  }

  /** Of a delivery: whether it was settled. */
  ofDelivery(delivery: DeliveryRecord): EventOutcome {
    if (!delivery.isAsked) return "none";
    return together(delivery.outcome ?? "unknown", this.#of(delivery.transaction));
  }

  #of(transaction: TransactionRecord | undefined): EventOutcome {
    if (transaction === undefined) return "applied";
    return this.#decided.get(transaction) ?? reportedEffect(transaction);
  }

  #decide(transaction: TransactionRecord, isApplied: boolean): void {
    this.#decided.set(transaction, isApplied ? "applied" : "none");
  }

  /**
   * Transactions in doubt that only consumed: one of whose messages somebody else has settled did not take
   * effect; one of whose messages nobody else can have settled did.
   */
  #decideConsumers(undecided: Set<TransactionRecord>): void {
    while (undecided.size > 0) {
      const before = undecided.size;
      for (const transaction of undecided) {
        const verdict = this.#seenOf(transaction);
        if (verdict === undefined) continue;
        this.#decide(transaction, verdict);
        undecided.delete(transaction);
      }
      if (undecided.size < before) continue;
      // The others follow. Best is one without which a message would have been settled by nobody.
      const all = [...undecided];
      const chosen = all.find((transaction) => this.#isWanted(transaction)) ?? all[0];
      if (chosen === undefined) return;
      this.#decide(chosen, true);
      undecided.delete(chosen);
    }
  }

  /** Whether it may have settled, by an acknowledgement in doubt, what nobody else can have settled. */
  #isWanted({ deliveries }: TransactionRecord): boolean {
    return deliveries.some(
      (delivery) =>
        delivery.isAsked &&
        delivery.outcome === "unknown" &&
        othersOf(delivery).every((other) => this.ofDelivery(other) === "none"),
    );
  }

  #seenOf(transaction: TransactionRecord): boolean | undefined {
    let isNeeded = false;
    for (const delivery of transaction.deliveries) {
      // Whether the transaction took effect says nothing of what may have been no part of it.
      if (!delivery.isAsked || delivery.outcome !== "applied") continue;
      const others = othersOf(delivery);
      const effects = others.map((other) => this.ofDelivery(other));
      const isTwice = others.some(
        (other) =>
          other.transaction === transaction && other.isAsked && other.outcome === "applied",
      );
      if (isTwice || effects.includes("applied")) return false;
      if (!effects.includes("unknown")) isNeeded = true;
    }
    return isNeeded ? true : undefined;
  }
}

/** As the application was told. */
export function reportedEffect({ intent, outcome }: TransactionRecord): EventOutcome {
  return intent === "commit" ? (outcome ?? "unknown") : "none";
}

function together(part: EventOutcome, whole: EventOutcome): EventOutcome {
  if (part === "none" || whole === "none") return "none";
  return part === "applied" && whole === "applied" ? "applied" : "unknown";
}

function isSeen({ deliveries }: MessageRecord): boolean {
  return deliveries.length > 0;
}

/** The other deliveries of the same message from the same queue. */
function othersOf(delivery: DeliveryRecord): DeliveryRecord[] {
  const all = delivery.message?.deliveries ?? [];
  return all.filter((other) => other !== delivery && other.queue === delivery.queue);
}
