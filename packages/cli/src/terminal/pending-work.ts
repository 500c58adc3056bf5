/**
 * Promises under way, at most `countMax` at a time. The first failure is kept and thrown by the next
 * call, so that no failure is lost and none is unhandled.
 */
export class PendingWork {
  readonly #countMax: number;
  readonly #failing = new AbortController();
  #count = 0;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** How many are under way. */
  get count(): number {
    return this.#count;
  }

  /** Aborted by the first failure: nobody has to wait for more work then. */
  get failed(): AbortSignal {
    return this.#failing.signal;
  }

  /** Follows `work`; settles when there is room for more. @throws the first failure so far */
  async add(work: Promise<unknown>): Promise<void> {
    this.#count++;
    work.then(
      () => this.#ended(),
      (error: unknown) => {
        this.#failure ??= { error };
        this.#failing.abort();
        this.#ended();
      },
    );
    while (this.#count >= this.#countMax && this.#failure === undefined) await this.#change();
    this.#check();
  }

  /** Waits for all that are under way. @throws the first failure */
  async settle(): Promise<void> {
    while (this.#count > 0) await this.#change();
    this.#check();
  }

  #ended(): void {
    this.#count--;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Only one caller waits at a time: the loop that adds the work. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
