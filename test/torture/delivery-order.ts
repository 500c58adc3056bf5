import type { DeliveryRecord, MessageRecord } from "./history.ts";
import { consumerCount, type Plan } from "./plan.ts";

/**
 * In what order messages are to come: where a queue has one consumer, each message's first delivery comes in the
 * order of its producer. Where it has several nothing can be said of it: one gets late what was sent to another
 * ahead of its need, and given back.
 */
export class DeliveryOrder {
  readonly #consumerCounts: number[];
  /** By queue and producer. */
  readonly #lastNumbers = new Map<string, number>();

  constructor(plan: Pick<Plan, "queues" | "clients">) {
    this.#consumerCounts = plan.queues.map((_, queue) => consumerCount(plan, queue));
  }

  /** Notes the next delivery; false where it comes too late. */
  takes(delivery: DeliveryRecord, message: MessageRecord): boolean {
    const { queue } = delivery;
    if ((this.#consumerCounts[queue] ?? 0) > 1) return true;
    if (message.deliveries.find((other) => other.queue === queue) !== delivery) return true;
    const line = `${queue} ${message.producer}`;
    const last = this.#lastNumbers.get(line) ?? -1;
    this.#lastNumbers.set(line, Math.max(last, message.number));
    return message.number > last;
  }
}
