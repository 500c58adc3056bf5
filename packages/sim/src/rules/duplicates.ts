import type { Order, SentMessage } from "./model.ts";
import { Operation } from "./operation.ts";

/** A message that has the same duplicate id as others of its address. */
interface Contender {
  readonly message: SentMessage;
  readonly order: Order;
  /** When it was sent: what it belongs to may be committed much later. */
  readonly sentTick: number;
  /** What must be done for it to be taken, if it is the first. */
  readonly needed: readonly Operation[];
  /** That it is the first. */
  readonly accepted: Operation;
}

/** What is known of one duplicate id. */
interface Group {
  /** Whether a message has used it up. */
  state: "free" | "perhaps" | "used";
  contenders: Contender[];
}

/** Of the messages of one address that share a duplicate id, one is taken, for ever. */
export class Duplicates {
  readonly #groups = new Map<string, Group>();

  /** Notes a message that is sent. @returns what must be done for it to be there */
  contend(message: SentMessage, order: Order, needed: readonly Operation[]): readonly Operation[] {
    const { duplicate } = message;
    if (duplicate === undefined) return needed;
    const group = this.#groups.get(duplicate) ?? { state: "free", contenders: [] };
    this.#groups.set(duplicate, group);
    const accepted = new Operation(`accept ${message.id} as the first of ${duplicate}`);
    group.contenders.push({ message, order, sentTick: order.begin, needed, accepted });
    return [...needed, accepted];
  }

  /** Decides who can be the first, before the broker's content is looked at. */
  prepare(): void {
    for (const { state, contenders } of this.#groups.values()) {
      if (state === "used") for (const { accepted } of contenders) accepted.end("none");
      else if (state === "free" && contenders.length === 1) {
        const [only] = contenders;
        // Another may overtake it for as long as it waits, for room or for a commit.
        if (only?.needed.some(isPending) === false) only.accepted.end("applied");
      }
    }
  }

  /**
   * Learns from what was found.
   *
   * @param wasFound whether a message was there at the end of the round
   * @param mayHaveGone whether a message may have gone again since it was taken
   * @returns what is wrong
   */
  learn(
    wasFound: (message: SentMessage) => boolean,
    mayHaveGone: (message: SentMessage) => boolean,
  ): string[] {
    const problems: string[] = [];
    for (const [id, group] of this.#groups) {
      const found = group.contenders.filter(({ message }) => wasFound(message));
      if (found.length > 1) problems.push(`duplicate: ${id} was taken ${found.length} times`);
      const ended = group.contenders.filter(({ needed }) => !needed.some(isPending));
      // One that has gone since, as what is in memory only goes with the broker, was perhaps the first.
      const gone = ended.filter(
        ({ message, needed }) => needed.every(mayBeApplied) && mayHaveGone(message),
      );
      const isLost = ({ message, order, needed }: Contender): boolean =>
        needed.every(isApplied) &&
        !mayHaveGone(message) &&
        gone.every(({ sentTick }) => order.end < sentTick);
      if (found.length > 0) group.state = "used";
      else if (group.state === "free") {
        const haveAllEnded = ended.length === group.contenders.length;
        if (haveAllEnded && ended.some(isLost)) {
          problems.push(`duplicate: ${id} was taken from nobody`);
        }
        // It may have been the first though others still wait, and then they are refused.
        const isUsed = ended.some(({ needed }) => needed.every(mayBeApplied));
        if (gone.length > 0 || (haveAllEnded && isUsed)) group.state = "perhaps";
      }
      for (const { accepted, message } of ended)
        accepted.end(wasFound(message) ? "applied" : "none");
      group.contenders = group.contenders.filter((one) => !ended.includes(one));
    }
    return problems;
  }
}

function isPending({ fate }: Operation): boolean {
  return fate === "pending";
}

function isApplied({ fate }: Operation): boolean {
  return fate === "applied";
}

function mayBeApplied({ fate }: Operation): boolean {
  return fate !== "none";
}
