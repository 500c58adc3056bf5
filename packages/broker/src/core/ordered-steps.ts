/** Steps that happen in the order in which they were asked for, though some have to wait for something. */
export class OrderedSteps {
  readonly #steps: { isReady: boolean; readonly run: () => void }[] = [];

  /** Steps that have not happened yet. */
  get count(): number {
    return this.#steps.length;
  }

  /** Appends a step. It happens within {@link advance}, once the function given back was called. */
  add(run: () => void): () => void {
    const step = { isReady: false, run };
    this.#steps.push(step);
    return () => {
      step.isReady = true;
    };
  }

  /** Does what is due. */
  advance(): void {
    for (let step = this.#steps[0]; step?.isReady === true; step = this.#steps[0]) {
      this.#steps.shift();
      step.run();
    }
  }

  /** Forgets what has not happened. */
  clear(): void {
    this.#steps.length = 0;
  }
}
