import type { Outcome } from "@everhold/base";

/** A change that was asked for. */
export interface Count {
  /** How often the servers had lost everything by then. */
  readonly era: number;
}

/**
 * Knows what everybody was told who has added 1 to a counter: no two were told the same, and in the end it says what all
 * changes come to, each made once.
 */
export class Counting {
  readonly counts = { counted: 0, countsInDoubt: 0 };
  readonly #fail: (text: string) => void;
  readonly #open = new Set<Count>();
  readonly #told = new Set<bigint>();
  #era = 0;
  #doubtCount = 0;

  constructor(fail: (text: string) => void) {
    this.#fail = fail;
  }

  begin(): Count {
    const count: Count = { era: this.#era };
    this.#open.add(count);
    return count;
  }

  /** It gave `value`, or failed. */
  ended(count: Count, end: { readonly outcome: Outcome; readonly value?: bigint }): void {
    this.#open.delete(count);
    // What the servers had lost by then was in doubt already.
    if (count.era !== this.#era || end.outcome === "none") return;
    if (end.value === undefined) {
      this.#doubtCount += 1;
      this.counts.countsInDoubt += 1;
      return;
    }
    this.counts.counted += 1;
    if (this.#told.has(end.value))
      this.#fail(`count: two were told that they made it ${end.value}`);
    this.#told.add(end.value);
  }

  /** The servers begin with nothing; what was begun may be made before or after that. */
  wiped(): void {
    this.#era += 1;
    this.#told.clear();
    this.#doubtCount = this.#open.size;
  }

  /** At the end: what the counter says. */
  addUp(value: bigint): void {
    const least = BigInt(this.#told.size);
    const most = least + BigInt(this.#doubtCount + this.#open.size);
    if (value >= least && value <= most) return;
    this.#fail(`count: found ${value}, expected ${least} to ${most} after all changes`);
  }
}
