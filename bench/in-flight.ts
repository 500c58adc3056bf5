/** Bounds how many promises are under way at a time, at a cost that does not grow with their number. */
export class InFlight {
  readonly #countMax: number;
  #count = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Follows `work`, calls `onDone` when it is done, and settles when there is room for more. */
  async add(work: Promise<void>, onDone: () => void): Promise<void> {
    this.#count++;
    work.then(
      () => {
        onDone();
        this.#ended();
      },
      (error: unknown) => {
        this.#failure ??= { error };
        this.#ended();
      },
    );
    await this.#until(this.#countMax - 1);
  }

  /** Settles when none is under way. @throws the first failure */
  ended(): Promise<void> {
    return this.#until(0);
  }

  async #until(count: number): Promise<void> {
    while (this.#count > count && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #ended(): void {
    this.#count--;
    this.#wake();
  }
}
