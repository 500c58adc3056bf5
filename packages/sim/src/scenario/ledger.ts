import { EverholdError, type Outcome } from "@everhold/base";

/**
 * What one process has begun and not ended. When the process dies its promises never settle; then
 * whatever was open has an unknown outcome.
 */
export class Ledger {
  readonly #open = new Map<
    number,
    { readonly what: string; readonly settle: (outcome: Outcome) => void }
  >();
  readonly #onError: (error: unknown) => void;
  readonly #ask: (error: EverholdError) => Promise<Outcome>;
  #count = 0;
  #abandoned = false;

  /**
   * @param onError is told of rejections that are not one of Everhold's errors: nothing else is allowed
   * @param ask finds out what became of something in doubt; still `unknown` where nobody can tell
   */
  constructor(
    onError: (error: unknown) => void,
    ask: (error: EverholdError) => Promise<Outcome> = async ({ outcome }) => outcome,
  ) {
    this.#onError = onError;
    this.#ask = ask;
  }

  /** Whether the process has died. */
  get isAbandoned(): boolean {
    return this.#abandoned;
  }

  /** What is open now. */
  get open(): readonly string[] {
    return [...this.#open.values()].map(({ what }) => what);
  }

  /**
   * Begins something and waits for its end, which is told to `settle` exactly once.
   *
   * @returns the outcome; never, when the process dies
   */
  async track(
    what: string,
    begin: () => Promise<unknown>,
    settle: (outcome: Outcome) => void = () => undefined,
  ): Promise<Outcome> {
    if (this.#abandoned) return new Promise<Outcome>(() => undefined);
    this.#count += 1;
    const number = this.#count;
    this.#open.set(number, { what, settle });
    const outcome = await this.#outcomeOf(begin);
    if (this.#open.delete(number)) settle(outcome);
    return outcome;
  }

  /** As {@link track}, for what nobody waits for. */
  begin(what: string, begin: () => Promise<unknown>, settle?: (outcome: Outcome) => void): void {
    this.track(what, begin, settle).catch(this.#onError);
  }

  /** The process has died. */
  abandon(): void {
    this.#abandoned = true;
    const open = [...this.#open.values()];
    this.#open.clear();
    for (const { settle } of open) settle("unknown");
  }

  async #outcomeOf(begin: () => Promise<unknown>): Promise<Outcome> {
    try {
      await begin();
      return "applied";
    } catch (error) {
      if (EverholdError.is(error))
        return error.outcome === "unknown" ? this.#ask(error) : error.outcome;
      this.#onError(error);
      return "unknown";
    }
  }
}
