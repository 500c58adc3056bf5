/** What one subscriber saw of the messages, by index. */
export interface LedgerReport {
  /** Messages that came, each counted once. */
  readonly received: number;
  /** Messages of `0 … total - 1` that never came. */
  readonly lost: number;
  /**
   * Confirmed settlements beyond the first of one message, repeats that were not marked as
   * redelivered, and deliveries after a confirmed settlement.
   */
  readonly duplicated: number;
  /** Deliveries that were marked as redelivered. */
  readonly redelivered: number;
}

const delivered = 1;
const settled = 2;

/**
 * Keeps for each message, by its index, whether it was delivered and whether its settlement was
 * confirmed. A settlement that is in doubt when the broker dies was either applied (then the message
 * never comes again) or not (then it comes again, marked).
 */
export class EffectLedger {
  readonly #states: Uint8Array;
  #received = 0;
  #duplicated = 0;
  #redelivered = 0;

  constructor(total: number) {
    this.#states = new Uint8Array(total);
  }

  /** How many messages have come. */
  get received(): number {
    return this.#received;
  }

  /**
   * A delivery has come. Returns whether it is the first of this message, so that its content counts.
   *
   * @throws RangeError when there is no message of this index
   */
  noteDelivery(index: number, isRedelivered: boolean): boolean {
    const state = this.#stateOf(index);
    if (isRedelivered) this.#redelivered++;
    if (state === settled || (state === delivered && !isRedelivered)) this.#duplicated++;
    if (state !== 0) return false;
    this.#states[index] = delivered;
    this.#received++;
    return true;
  }

  /** A settlement was confirmed by the broker. */
  noteSettled(index: number): void {
    if (this.#stateOf(index) === settled) this.#duplicated++;
    this.#states[index] = settled;
  }

  report(): LedgerReport {
    return {
      received: this.#received,
      lost: this.#states.length - this.#received,
      duplicated: this.#duplicated,
      redelivered: this.#redelivered,
    };
  }

  #stateOf(index: number): number {
    const state = Number.isInteger(index) ? this.#states[index] : undefined;
    if (state !== undefined) return state;
    throw new RangeError(`no message has the index ${index}; there are ${this.#states.length}`);
  }
}
