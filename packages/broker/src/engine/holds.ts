import { NumberHeap } from "../state/number-heap.ts";
import type { QueueState } from "../state/queue-state.ts";
import { laneOfKey, rowKey, sequenceOfKey } from "../state/row-key.ts";

const none = -1;

/**
 * The messages of one queue that come again after a delay and that those behind them wait for: blocking
 * redelivery. What no longer waits is found out when somebody asks, so nobody has to say so.
 */
export class Holds {
  readonly #state: QueueState;
  /** Sequences by lane. */
  readonly #lanes = new Map<number, NumberHeap>();

  constructor(state: QueueState) {
    this.#state = state;
  }

  /** A message holds those behind it. */
  add(key: number): void {
    const number = laneOfKey(key);
    let lane = this.#lanes.get(number);
    if (lane === undefined) {
      lane = new NumberHeap();
      this.#lanes.set(number, lane);
    }
    lane.push(sequenceOfKey(key));
  }

  /** The key of the first message that holds others; −1 when there is none any more. */
  first(): number {
    let first = none;
    for (const number of this.#lanes.keys()) {
      const key = this.#firstOf(number);
      if (key !== none && (first === none || this.#state.isBefore(key, first))) first = key;
    }
    return first;
  }

  #firstOf(number: number): number {
    const lane = this.#lanes.get(number);
    while (lane !== undefined && lane.count > 0) {
      const key = rowKey(lane.smallest, number);
      if (this.#state.isHolding(key)) return key;
      lane.pop();
    }
    this.#lanes.delete(number);
    return none;
  }
}
