/** One of several that happen one after the other. */
export interface OrderedStep {
  /** What the step has to wait for; it calls back, now or later, when that is so. Gives back what gives it up. */
  readonly prepare?: (onReady: () => void) => () => void;
  readonly run: () => void;
}

/**
 * Steps that happen in the order in which they were asked for, though some have to wait for something. Only the
 * first one waits: what the others need is asked for when it is their turn.
 */
export class OrderedSteps {
  readonly #steps: OrderedStep[] = [];
  readonly #onReady: (advance: () => void) => void;
  #giveUp: (() => void) | undefined;

  /** `onReady` is called when steps can happen that had to wait, with the function that does them. */
  constructor(onReady: (advance: () => void) => void) {
    this.#onReady = onReady;
  }

  /** Steps that have not happened yet. */
  get count(): number {
    return this.#steps.length;
  }

  /** Appends a step. It happens now if there is nothing to wait for. */
  add(step: OrderedStep): void {
    this.#steps.push(step);
    if (this.#steps.length === 1) this.#advance();
  }

  /** Forgets what has not happened. */
  clear(): void {
    this.#steps.length = 0;
    this.#giveUp?.();
    this.#giveUp = undefined;
  }

  /** Does what has nothing to wait for, then has the next one prepared. */
  #advance(): void {
    for (let step = this.#steps[0]; step !== undefined; step = this.#steps[0]) {
      if (step.prepare !== undefined && !this.#isPrepared(step.prepare)) return;
      this.#runFirst();
    }
  }

  /** Has the first step prepared; false when that takes longer, and is told later. */
  #isPrepared(prepare: NonNullable<OrderedStep["prepare"]>): boolean {
    let isReady = false;
    let isLate = false;
    const giveUp = prepare(() => {
      isReady = true;
      if (!isLate) return;
      this.#giveUp = undefined;
      this.#onReady(() => {
        this.#runFirst();
        this.#advance();
      });
    });
    isLate = true;
    if (!isReady) this.#giveUp = giveUp;
    return isReady;
  }

  #runFirst(): void {
    this.#steps.shift()?.run();
  }
}
