import { counter, flag, struct, u32 } from "@everhold/wire";
import { stateLimits } from "./state-limits.ts";

/** A message that was moved away; or, with `isForgotten`, that all up to this one may have been. */
export const movedEntry = struct({ queueId: u32, messageId: counter, isForgotten: flag });

/**
 * Which messages have been moved from one queue to others of late: to the dead letters, to the expired ones, by
 * hand. Of what else is not in its queue any more a client may believe that it was settled; of these it may not, for
 * they may be delivered again. Of many only the last are remembered; of a queue's older ones nobody can tell.
 */
export class MovedMessages {
  /** In the order in which they were moved. */
  readonly #moved = new Map<string, { readonly queueId: number; readonly messageId: number }>();
  /** How many of them there are of each queue. */
  readonly #counts = new Map<number, number>();
  /** The highest id that was forgotten, by queue. */
  readonly #forgotten = new Map<number, number>();

  /** A message was moved away. */
  note(queueId: number, messageId: number): void {
    this.#remove(queueId, messageId);
    this.#moved.set(nameOf(queueId, messageId), { queueId, messageId });
    this.#counts.set(queueId, (this.#counts.get(queueId) ?? 0) + 1);
    if (this.#moved.size <= stateLimits.movedMessagesMax) return;
    for (const first of this.#moved.values()) {
      this.#remove(first.queueId, first.messageId);
      this.forgetUpTo(first.queueId, first.messageId);
      return;
    }
  }

  /** Of messages up to this one nobody knows any more whether they were moved. */
  forgetUpTo(queueId: number, messageId: number): void {
    const known = this.#forgotten.get(queueId) ?? -1;
    this.#forgotten.set(queueId, Math.max(known, messageId));
  }

  /** The queue is deleted: nobody can ask for its messages any more. */
  forgetQueue(queueId: number): void {
    this.#forgotten.delete(queueId);
    if (!this.#counts.has(queueId)) return;
    for (const { queueId: its, messageId } of this.#moved.values()) {
      if (its === queueId) this.#remove(queueId, messageId);
    }
  }

  /** What is known of a message that is not in the queue any more. */
  fateOf(queueId: number, messageId: number): "moved" | "not moved" | "unknown" {
    if (this.#moved.has(nameOf(queueId, messageId))) return "moved";
    return messageId > (this.#forgotten.get(queueId) ?? -1) ? "not moved" : "unknown";
  }

  /** All that is known, as snapshots have it. */
  *entries(): IterableIterator<ReturnType<typeof movedEntry.read>> {
    for (const [queueId, messageId] of this.#forgotten) {
      yield { queueId, messageId, isForgotten: true };
    }
    for (const moved of this.#moved.values()) yield { ...moved, isForgotten: false };
  }

  #remove(queueId: number, messageId: number): void {
    if (!this.#moved.delete(nameOf(queueId, messageId))) return;
    const left = (this.#counts.get(queueId) ?? 0) - 1;
    if (left > 0) this.#counts.set(queueId, left);
    else this.#counts.delete(queueId);
  }
}

function nameOf(queueId: number, messageId: number): string {
  return `${queueId} ${messageId}`;
}
